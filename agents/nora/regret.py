"""What a run of episodes is judged by: regret, its slope, and when the task was solved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.nora.formulas import Floats
from hybridrl.planners.errors import ScenarioError


@dataclass(frozen=True)
class RegretLog:
    """One entry an episode.

    Args:
        regrets: ``V* - V^pi`` of the episode's policy where the MDP is known, else ``V*`` minus
            what the episode paid; ``nan`` where no optimal value is known. ``(T,)``.
        returns: What each episode paid, ``(T,)``.
        switched: Whether the critic was rebuilt before it, ``(T,)``.
    """

    regrets: Floats
    returns: Floats
    switched: NDArray[np.bool_]

    @property
    def cumulative(self) -> Floats:
        """Regret up to and with each episode, ``(T,)``."""
        total: Floats = np.cumsum(self.regrets)
        return total

    @property
    def switches(self) -> int:
        """How often the critic was rebuilt."""
        return int(self.switched.sum())

    def slope(self, first: float = 0.1, points: int = 200) -> float:
        """(8) Least-squares slope of log regret over log episodes: 1 is linear, 0.5 a root.

        Args:
            first: Share of the episodes that is left out at the beginning.
            points: How many episodes are looked at, evenly in the logarithm.

        Raises:
            ScenarioError: If fewer than ten episodes are left.
        """
        count = len(self.regrets)
        start = max(1, int(first * count))
        if count - start < 10:
            raise ScenarioError("episodes", count, "enough that ten are left after the first")
        episodes = np.unique(np.geomspace(start, count, points).astype(np.int64))
        regret = np.maximum(self.cumulative[episodes - 1], 1e-12)
        return float(np.polyfit(np.log(episodes), np.log(regret), 1)[0])

    def solved_after(self, paid: float = 0.9, window: int = 50, share: float = 0.5) -> int | None:
        """Episodes until more than a share of the last ones paid so much; ``None`` if never.

        Args:
            paid: Return of a successful episode.
            window: How many episodes are looked at.
            share: Of them that must succeed, in [0, 1).
        """
        good = (self.returns >= paid).astype(np.float64)
        if len(good) < window:
            return None
        means = np.convolve(good, np.full(window, 1.0 / window), "valid")
        found = np.flatnonzero(means > share + 1e-9)
        return int(found[0]) + window if len(found) else None

    def joined(self, other: RegretLog) -> RegretLog:
        """This run and one that went on from it."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return RegretLog(*(np.concatenate(pair) for pair in pairs))


def no_log() -> RegretLog:
    """Of an agent that has not acted."""
    return RegretLog(np.zeros(0), np.zeros(0), np.zeros(0, np.bool_))
