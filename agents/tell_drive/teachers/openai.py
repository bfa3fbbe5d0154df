"""A language model behind any OpenAI-compatible endpoint, as a teacher."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from hybridrl.agents.tell_drive.teachers.advice import Advice, advice_for, invalid
from hybridrl.agents.tell_drive.teachers.answer import Answer, InvalidAnswer, parse_answer
from hybridrl.agents.tell_drive.teachers.cache import AnswerCache
from hybridrl.agents.tell_drive.teachers.client import ChatClient, TeacherError
from hybridrl.agents.tell_drive.teachers.ledger import Ledger
from hybridrl.agents.tell_drive.teachers.prompt import Case, build_prompt, clean, template_version

if TYPE_CHECKING:
    from hybridrl.envs.driving.scene import Scene

Retrieve = Callable[["Scene"], Sequence[Case]]


@dataclass(frozen=True)
class Asking:
    """How a model is asked; part of every cache key.

    Args:
        reasoning: Ask for a sentence before the action.
        temperature: Of sampling.
        max_tokens: Longest answer.
        n_samples: Answers to a scene; with several, their votes are the distribution.
    """

    reasoning: bool = True
    temperature: float = 0.0
    max_tokens: int = 160
    n_samples: int = 1


class OpenAITeacher:
    """Prompt, cache, budget, call, parse; scenes are asked about side by side.

    Args:
        client: Of the endpoint.
        cache: Of raw answers; one in memory by default.
        ledger: Of costs, with its budget.
        asking: How the model is asked.
        retrieve: Remembered cases for a scene, the nearest first.
        threads: Calls at the same time.
    """

    name = "openai"
    quality = "model"

    def __init__(
        self,
        client: ChatClient,
        cache: AnswerCache | None = None,
        ledger: Ledger | None = None,
        asking: Asking | None = None,
        retrieve: Retrieve | None = None,
        threads: int = 8,
    ) -> None:
        self.client = client
        self.cache = cache or AnswerCache()
        self.ledger = ledger or Ledger()
        self.asking = asking or Asking()
        self.retrieve = retrieve
        self.threads = threads
        self._told = False

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """Ask about every scene; equal questions are asked once.

        What fails comes back as advice that is not valid, with a reason.
        """
        asked = [self._question(scene) for scene in scenes]
        first: dict[str, int] = {}
        for i, (key, _) in enumerate(asked):
            first.setdefault(key, i)
        with ThreadPoolExecutor(self.threads) as pool:
            jobs = {k: pool.submit(self._one, scenes[i], k, asked[i][1]) for k, i in first.items()}
            done = {key: job.result() for key, job in jobs.items()}
        return [
            done[key] if first[key] == i else done[key].but(tokens=0, cost=0.0, latency_s=0.0)
            for i, (key, _) in enumerate(asked)
        ]

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always: a teacher holds sockets and a database.
        """
        raise TypeError("a teacher is not saved; give it to `load(..., teacher=...)` again")

    def _question(self, scene: Scene) -> tuple[str, list[Case]]:
        cases = list(self.retrieve(scene)) if self.retrieve else []
        key = AnswerCache.key(
            template=template_version(),
            model=self.client.model,
            reasoning=self.asking.reasoning,
            temperature=self.asking.temperature,
            max_tokens=self.asking.max_tokens,
            scene=scene.key(),
            cases=[[case.id, case.text, case.action, clean(case.note)] for case in cases],
        )
        return key, cases

    def _one(self, scene: Scene, key: str, cases: Sequence[Case]) -> Advice:
        votes: list[Answer] = []
        spent: dict[str, Any] = {"latency_s": 0.0, "tokens": 0, "cost": 0.0}
        reason = ""
        for k in range(self.asking.n_samples):
            try:
                text = self._text(scene, f"{key}-{k}" if k else key, cases, spent)
                votes.append(parse_answer(text, scene.available))
            except (InvalidAnswer, TeacherError) as error:
                reason = str(error)
        if not votes:
            return invalid(scene, self.name, reason).but(**spent)
        return self._said(scene, votes).but(**spent)

    def _said(self, scene: Scene, votes: Sequence[Answer]) -> Advice:
        if len(votes) == 1:
            only = votes[0]
            ranking = {entry.action: entry.p for entry in only.ranking or []}
            reason = clean(only.reasoning)
            return advice_for(scene, only.action, only.confidence, self.name, ranking, reason)
        named = [vote.action for vote in votes]
        shares = {name: named.count(name) / len(named) for name in scene.available}
        best = max(shares, key=lambda name: shares[name])
        reason = clean(next(vote.reasoning for vote in votes if vote.action == best))
        return advice_for(scene, best, shares[best], self.name, shares, reason)

    def _text(self, scene: Scene, key: str, cases: Sequence[Case], spent: dict[str, Any]) -> str:
        """The raw answer of cache or endpoint; adds what it cost to ``spent``."""
        known = self.cache.get(key)
        if known is not None:
            self.ledger.hit()
            return known[0]
        if self.cache.mode == "read-only":
            raise TeacherError("not in the cache that is replayed")
        if not self.ledger.reserve():
            self._say_once()
            raise TeacherError("the budget is used up")
        messages, schema = build_prompt(scene, cases, self.asking.reasoning)
        try:
            done = self.client.complete(
                messages, schema, self.asking.max_tokens, self.asking.temperature
            )
        except TeacherError:
            self.ledger.paid(self.client.model, 0, 0, 0.0, ok=False)
            if self.client.breaker.state == "closed":  # else the endpoint is ill, not the question
                self.cache.put(key, "", self.client.model)
            raise
        used = (done.prompt_tokens, done.completion_tokens)
        spent["cost"] += self.ledger.paid(self.client.model, *used, done.latency_s, ok=True)
        spent["tokens"] += sum(used)
        spent["latency_s"] += done.latency_s
        self.cache.put(key, done.text, done.model, done.fingerprint, sum(used))
        return done.text

    def _say_once(self) -> None:
        if not self._told:
            self._told = True
            warnings.warn(
                "the teacher's budget is used up; others take over, or none", stacklevel=4
            )
