"""What was learnt in scenes before: nearest neighbours by numbers, not by words.

Brute force over scaled scene vectors within one scenario; ties go to the older entry, so runs
repeat (``driving.md`` 3.3).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.tell_drive.teachers.advice import Advice, advice_for, invalid
from hybridrl.agents.tell_drive.teachers.prompt import Case
from hybridrl.envs.driving.scene import COLUMNS, PREVIOUS_AT, SCENE_SIZE, Scene
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

FORMAT = 1
ORIGINS = ("llm", "planner", "reflection", "demo")
VECTORS, ENTRIES = "memory.npz", "memory.jsonl"


def _weights() -> NDArray[np.float32]:
    """Weight of each column: what makes two scenes alike."""
    weights = np.ones(SCENE_SIZE, np.float32)
    for i, (name, _) in enumerate(COLUMNS):
        if name in ("scenario", "time_s", "available", "lanes") or i == PREVIOUS_AT:
            weights[i] = 0.0
        elif name.startswith("risk") or name.endswith((".free", "arrival_s", "gap_s")):
            weights[i] = 2.0
    return weights


WEIGHTS = _weights()


@dataclass
class Entry:
    """One remembered decision; its scene vector stands beside it.

    Args:
        id: Counts up.
        scenario: That it happened in.
        action: What was right.
        outcome: Discounted return over the next five decisions.
        crashed: Whether a crash came within them.
        origin: One of :data:`ORIGINS`.
        note: A few words for people; cleaned before it enters a prompt.
        hits: How often it was retrieved.
        step: Of training, when it was written.
    """

    id: int
    scenario: str
    action: str
    outcome: float = 0.0
    crashed: bool = False
    origin: str = "planner"
    note: str = ""
    hits: int = 0
    step: int = 0


class Found(NamedTuple):
    """A retrieved entry, its distance and its scene."""

    entry: Entry
    distance: float
    vector: NDArray[np.float32]


class Memory:
    """Scenes with the actions that were right in them.

    Args:
        capacity: Entries a scenario.
        radius: An entry nearer than this to one with the same action is not new.
        floor: Retrieved entries are at most this far away.
    """

    def __init__(self, capacity: int = 2000, radius: float = 0.1, floor: float = 1.5) -> None:
        self.capacity = capacity
        self.radius = radius
        self.floor = floor
        self.entries: list[Entry] = []
        self._vectors = np.zeros((0, SCENE_SIZE), np.float32)
        self._next = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.entries)

    def add(self, scene: Scene, action: str, **facts: Any) -> bool:
        """Remember a decision, if it is new.

        Args:
            scene: In which it was taken.
            action: That was right.
            **facts: Other fields of :class:`Entry`.

        Returns:
            Whether it was kept.

        Raises:
            ScenarioError: If the action was not available, or the origin is unknown.
        """
        if action not in scene.available:
            raise ScenarioError("action", action, f"one of {', '.join(scene.available)}")
        if facts.get("origin", "planner") not in ORIGINS:
            raise ScenarioError("origin", facts["origin"], f"one of {', '.join(ORIGINS)}")
        vector = scene.vector()
        if self._near(vector, scene.scenario, action):
            return False
        self.entries.append(Entry(self._next, scene.scenario, action, **facts))
        self._vectors = np.concatenate([self._vectors, vector[None]])
        self._next += 1
        self._evict(scene.scenario)
        return True

    def retrieve(self, scene: Scene, k: int = 3) -> list[Found]:
        """The nearest entries of the same scenario, at most ``k`` and none beyond the floor."""
        rows = self._rows_of(scene.scenario)
        if not len(rows):
            return []
        far = self._distances(scene.vector(), rows)
        order = np.lexsort((rows, far))[:k]
        found = [
            Found(self.entries[rows[i]], float(far[i]), self._vectors[rows[i]])
            for i in order
            if far[i] <= self.floor
        ]
        for one in found:
            one.entry.hits += 1
        return found

    def cases(self, scene: Scene, k: int = 3) -> list[Case]:
        """Retrieved entries as turns of a prompt."""
        return [
            Case(
                one.entry.id, Scene.from_vector(one.vector).text(), one.entry.action, one.entry.note
            )
            for one in self.retrieve(scene, k)
        ]

    def save(self, folder: str | Path) -> None:
        """Write ``memory.npz`` and ``memory.jsonl``."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(place / VECTORS, vectors=self._vectors, format=FORMAT)
        lines = [json.dumps(asdict(entry)) + "\n" for entry in self.entries]
        (place / ENTRIES).write_text("".join(lines), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, **settings: Any) -> Memory:
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            ScenarioError: If a file is missing, damaged or of another version.
        """
        place = Path(folder)
        made = cls(**settings)
        try:
            with np.load(place / VECTORS, allow_pickle=False) as data:
                made._vectors = data["vectors"].astype(np.float32)
                version = int(data["format"])
            lines = (place / ENTRIES).read_text("utf-8").splitlines()
            made.entries = [Entry(**parse_json(line)) for line in lines]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ScenarioError(
                str(place), str(error), "a folder that Memory.save wrote"
            ) from error
        if version != FORMAT or made._vectors.shape != (len(made.entries), SCENE_SIZE):
            raise ScenarioError(str(place), version, f"a whole memory of format {FORMAT}")
        made._next = max((entry.id for entry in made.entries), default=-1) + 1
        return made

    def _rows_of(self, scenario: str) -> NDArray[np.int64]:
        return np.array([i for i, e in enumerate(self.entries) if e.scenario == scenario], np.int64)

    def _distances(
        self, vector: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        apart = (self._vectors[rows] - vector) * WEIGHTS
        far: NDArray[np.float64] = np.sqrt(np.square(apart, dtype=np.float64).sum(axis=1))
        return far

    def _near(self, vector: NDArray[np.float32], scenario: str, action: str) -> bool:
        rows = self._rows_of(scenario)
        same = [i for i in rows if self.entries[i].action == action]
        kept = np.array(same, np.int64)
        return bool(len(kept)) and bool(self._distances(vector, kept).min() < self.radius)

    def _evict(self, scenario: str) -> None:
        """Forget the least useful entry of a full scenario, never the last of an action."""
        rows = self._rows_of(scenario)
        if len(rows) <= self.capacity:
            return
        actions = [self.entries[i].action for i in rows]
        worth = [
            self.entries[i].outcome + 0.1 * np.log1p(self.entries[i].hits)
            if actions.count(self.entries[i].action) > 1
            else np.inf
            for i in rows
        ]
        worst = int(rows[int(np.argmin(worth))])
        del self.entries[worst]
        self._vectors = np.delete(self._vectors, worst, axis=0)


class MemoryTeacher:
    """A vote of the nearest remembered scenes, weighted by nearness.

    Args:
        memory: To look into.
        k: Neighbours.
    """

    name = "memory"
    quality = "rules"

    def __init__(self, memory: Memory, k: int = 3) -> None:
        self.memory = memory
        self.k = k

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One vote for each scene; not valid where nothing near is remembered."""
        return [self._one(scene) for scene in scenes]

    def _one(self, scene: Scene) -> Advice:
        shares: dict[str, float] = {}
        for found in self.memory.retrieve(scene, self.k):
            if found.entry.action in scene.available:
                near = 1.0 / (found.distance + 0.05)
                shares[found.entry.action] = shares.get(found.entry.action, 0.0) + near
        if not shares:
            return invalid(scene, self.name, "nothing near is remembered")
        best = max(sorted(shares), key=lambda name: shares[name])
        confidence = shares[best] / sum(shares.values())
        return advice_for(scene, best, confidence, self.name)
