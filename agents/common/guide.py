"""A guide that begins every episode (JSRL, Uchendu et al. 2022, arXiv 2204.02372)."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError, UnknownNameError

GuideMode = Literal["curriculum", "random"]
MODES = ("curriculum", "random")
WINDOW = 10  # episodes whose mean return is compared with the best so far


class Guide:
    """Which environments a guide acts in now, and for how many steps of an episode.

    Args:
        source: Anything with ``predict(observations, deterministic=True)``, or the name of a
            shipped behaviour policy, as in ``halfcheetah/medium``.
        horizon: Steps that it acts at the beginning of an episode, at most.
        mode: ``curriculum``: fewer stage by stage, once the mean return of some episodes is
            within ``tolerance`` of the best one; ``random``: uniform from 0 to ``horizon``.
        stages: Of the curriculum; the guide is gone after the last.
        tolerance: Share of the best mean return that may be missing.
        seed: Of the random mode.

    Raises:
        ScenarioError: If a number is out of range, or the source cannot act.
        UnknownNameError: If there is no such mode.
    """

    def __init__(
        self,
        source: Any,
        horizon: int = 100,
        mode: GuideMode = "curriculum",
        stages: int = 10,
        tolerance: float = 0.05,
        seed: int | None = None,
    ) -> None:
        if mode not in MODES:
            raise UnknownNameError("guide mode", mode, MODES)
        for name, value in (("guide horizon", horizon), ("guide stages", stages)):
            if value < 1:
                raise ScenarioError(name, value, "a whole number from 1")
        self.predict = predictor(source)
        self.horizon, self.mode, self.stages, self.tolerance = horizon, mode, stages, tolerance
        self.stage = 0
        self.best = -np.inf
        self.returns: deque[float] = deque(maxlen=WINDOW)
        self.rng = np.random.default_rng(seed)
        self.steps = np.zeros(0, np.int64)  # of the episode under way, each environment
        self.limits = np.zeros(0, np.int64)
        self.sums = np.zeros(0)

    @property
    def reach(self) -> int:
        """Steps at the beginning of an episode that the guide acts at most, now."""
        return round(self.horizon * (1.0 - min(1.0, self.stage / self.stages)))

    def begin(self, n_envs: int) -> None:
        """All environments begin an episode."""
        self.steps, self.sums = np.zeros(n_envs, np.int64), np.zeros(n_envs)
        self.limits = np.array([self._limit() for _ in range(n_envs)])

    def acting(self) -> NDArray[np.bool_]:
        """Where the guide acts now, ``(n_envs,)``."""
        return np.asarray(self.steps < self.limits)

    def observe(self, rewards: NDArray[Any], dones: NDArray[Any]) -> None:
        """Count a step of every environment; ended episodes move the curriculum."""
        self.steps += 1
        self.sums += rewards
        for i in np.flatnonzero(dones):
            self._ended(float(self.sums[i]))
            self.steps[i], self.sums[i], self.limits[i] = 0, 0.0, self._limit()

    def export_state(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        arrays = {"steps": self.steps, "limits": self.limits, "sums": self.sums}
        numbers = {"stage": self.stage, "best": self.best, "returns": list(self.returns)}
        return {**arrays, **numbers, "rng": self.rng.bit_generator.state}

    def import_state(self, state: dict[str, Any]) -> None:
        """Take what :meth:`export_state` gave."""
        for name in ("steps", "limits", "sums"):
            setattr(self, name, np.array(state[name]))
        self.stage, self.best = int(state["stage"]), float(state["best"])
        self.returns = deque(state["returns"], maxlen=WINDOW)
        self.rng.bit_generator.state = state["rng"]

    def _limit(self) -> int:
        if self.mode == "random":
            return int(self.rng.integers(self.horizon + 1))
        return self.reach

    def _ended(self, value: float) -> None:
        self.returns.append(value)
        if self.mode == "random" or len(self.returns) < WINDOW:
            return
        mean = float(np.mean(self.returns))
        self.best = max(self.best, mean)
        if mean >= self.best - self.tolerance * abs(self.best):
            self.stage = min(self.stages, self.stage + 1)
            self.returns.clear()


def predictor(source: Any) -> Any:
    """``observations -> actions``, in the units of the action space.

    Raises:
        ScenarioError: If the source cannot act, or there is no such behaviour policy.
    """
    if callable(getattr(source, "predict", None)):
        return lambda observations: source.predict(observations, deterministic=True)[0]
    if not isinstance(source, str):
        raise ScenarioError("guide", type(source).__name__, "a name or something with predict()")
    from hybridrl.datasets.behaviour import SHIPPED, BehaviourPolicy, level_tensors, read_facts

    robot, _, level = source.partition("/")
    facts = read_facts(robot)
    if facts is None or level not in facts["levels"]:
        raise ScenarioError("guide", source, "a shipped policy, as in halfcheetah/medium")
    policy = BehaviourPolicy(level_tensors(facts, SHIPPED, level), deterministic=True)
    unused = np.random.default_rng(0)
    return lambda observations: np.stack([policy(row, unused) for row in observations])
