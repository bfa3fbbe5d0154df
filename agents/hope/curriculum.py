"""Draw scenes where there is most to learn (``parking.md`` 14.2, 18)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from hybridrl.planners.errors import ScenarioError, UnknownNameError

WINDOW = 400  # episodes of a class that count
_UNSEEN = -1


class ScenarioCurriculum:
    """Class probabilities proportional to (target - success over the last episodes), with a floor.

    All it knows stands in one tensor, so that it travels with a model's weights.

    Args:
        names: Every class there is, in the order of the labels.
        active: The classes to draw from.
        targets: Success aimed at, by class; ``target`` for the others.
        target: Success aimed at, in (0, 1].
        window: Episodes of a class that count.
        floor: Smallest probability of an active class.

    Attributes:
        record: The last outcomes, newest last (1 success, 0 failure, -1 none yet), dtype int8,
            shape ``(len(names), window)``.

    Raises:
        UnknownNameError: If an active class or a target's class is unknown.
        ScenarioError: If a target or the floor cannot be met.
    """

    def __init__(
        self,
        names: Iterable[str],
        active: Iterable[str],
        *,
        targets: Mapping[str, float] | None = None,
        target: float = 1.0,
        window: int = WINDOW,
        floor: float = 0.04,
    ) -> None:
        self.names = tuple(names)
        self.floor = floor
        self.targets = dict.fromkeys(self.names, target) | dict(targets or {})
        for name, value in self.targets.items():
            self._known(name)
            if not 0.0 < value <= 1.0:
                raise ScenarioError(f"target of {name}", value, "a success rate in (0, 1]")
        self.record = torch.full((len(self.names), window), _UNSEEN, dtype=torch.int8)
        self.activate(active)

    def activate(self, active: Iterable[str]) -> None:
        """Draw from these classes from now on; what is known of the others is kept.

        Raises:
            UnknownNameError: If a class is unknown.
            ScenarioError: If there are too many of them for the floor.
        """
        self.active = tuple(active)
        for name in self.active:
            self._known(name)
        if not 0.0 <= self.floor * len(self.active) <= 1.0:
            raise ScenarioError("floor", self.floor, f"0 to {1 / len(self.active):.3g}")

    def add(self, label: int, success: bool) -> None:
        """Count one finished episode of class number ``label`` (others than known are ignored)."""
        if 0 <= label < len(self.names):
            row = self.record[label]
            row[:-1] = row[1:].clone()
            row[-1] = int(success)

    def add_counts(self, counts: Iterable[Iterable[int]]) -> None:
        """Count finished episodes of each class in turn, as ``(failures, successes)`` pairs."""
        for label, pair in enumerate(counts):
            for success, count in enumerate(pair):
                for _ in range(count):
                    self.add(label, bool(success))

    def success(self, name: str) -> float:
        """Share of successes over the last episodes of a class; 0 before the first one."""
        row = self.record[self.names.index(name)]
        seen = int((row != _UNSEEN).sum())
        return int((row == 1).sum()) / seen if seen else 0.0

    def probabilities(self) -> dict[str, float]:
        """Probability of each active class; they sum to 1."""
        gaps = {name: max(self.targets[name] - self.success(name), 0.0) for name in self.active}
        total = sum(gaps.values())
        free = 1.0 - self.floor * len(self.active)
        equal = 1.0 / max(len(self.active), 1)
        return {
            name: self.floor + free * (gap / total if total > 0.0 else equal)
            for name, gap in gaps.items()
        }

    def _known(self, name: str) -> None:
        if name not in self.names:
            raise UnknownNameError("scene class", name, self.names)
