"""Arrays of B driving scenes and what both back ends make of them: spaces, info, observations."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.config import DrivingOptions
from hybridrl.envs.driving.kernels.assess import assess, show, tell
from hybridrl.envs.driving.kernels.records import CAR, FEATURES, ROW, SIGNALS
from hybridrl.envs.driving.names import ACTIONS, NATIVE_ACTIONS, OUTCOMES, REWARD_TERMS
from hybridrl.envs.driving.roads import road_table
from hybridrl.envs.driving.scene import SCENE_SIZE

ONLY = np.zeros(1, np.int64)  # the row of a single scene
ADVICE_SIZE = 8  # probabilities of the five canonical actions, confidence, age, valid


class DrivingArrays:
    """State of B scenes as arrays.

    Args:
        count: Number of scenes B.
        options: What scene and traffic.
    """

    def __init__(self, count: int, options: DrivingOptions) -> None:
        self.count, self.options = count, options
        self.told = options.expose_scene or options.risk_shaping
        self.table = road_table(options.scenario, options.lanes)
        self.config = options.record(self.table)
        names = NATIVE_ACTIONS[options.scenario]
        self.canonical = np.array([ACTIONS.index(name) for name in names])
        cars = int(self.config[0]["max_cars"])
        self.cars = np.zeros((count, cars), CAR)
        self.rows = np.zeros(count, ROW)
        lanes = len(self.table.lanes)
        self.s, self.r = np.zeros((count, cars, lanes)), np.zeros((count, cars, lanes))
        columns = FEATURES + SIGNALS * options.signals
        self.seen = np.zeros((count, int(self.config[0]["rows"]), columns), np.float32)
        self.scenes = np.zeros((count, SCENE_SIZE), np.float32)

    def score(self, which: NDArray[np.int64], *, fresh: bool) -> None:
        """Measure and score some scenes whose cars have moved.

        Args:
            which: Rows.
            fresh: Their episodes have just begun: nothing is scored.
        """
        state = (self.cars, self.rows, self.s, self.r)
        assess(self.config, self.table.lanes, self.table.goal, *state, which, fresh)

    def look(self, which: NDArray[np.int64], *, fresh: bool) -> None:
        """Write observations and, where wanted, scenes of some rows.

        Args:
            which: Rows.
            fresh: Their episodes have just begun.
        """
        if self.told:
            state = (self.cars, self.rows, self.s, self.r)
            tell(self.config, self.table.lanes, *state, which, fresh, self.scenes)
        show(self.config, self.table.lanes, self.cars, self.rows, which, self.seen)

    def expose(self, wanted: bool) -> None:
        """Make scenes, or save their time while nobody reads them; off, ``info`` has none.

        Does nothing where scenes were not asked for at construction or shape the reward.

        Args:
            wanted: Whether scenes are made from now on; the present ones are made at once.
        """
        if wanted == self.told or self.options.risk_shaping or not self.options.expose_scene:
            return
        self.told = wanted
        if wanted:
            state = (self.cars, self.rows, self.s, self.r)
            every = np.arange(self.count)
            tell(self.config, self.table.lanes, *state, every, True, self.scenes)

    def observation_space(self) -> gym.Space[Any]:
        """Of one scene; bounds are true."""
        shape = self.seen.shape[1:]
        if self.options.observation == "flat":
            return gym.spaces.Box(-1.0, 1.0, (shape[0] * shape[1],), np.float32)
        rows = gym.spaces.Box(-1.0, 1.0, shape, np.float32)
        if self.options.observation == "rows":
            return rows
        parts = {
            "rows": rows,
            "action_mask": gym.spaces.MultiBinary(len(self.canonical)),
            "advice": gym.spaces.Box(0.0, 1.0, (ADVICE_SIZE,), np.float32),
        }
        if self.options.clock:
            parts["clock"] = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        return gym.spaces.Dict(parts)

    def action_space(self) -> gym.spaces.Discrete:
        """Of one scene."""
        return gym.spaces.Discrete(len(self.canonical))

    def observations(self) -> Any:
        """Of all scenes, batched first."""
        if self.options.observation == "rows":
            return self.seen.copy()
        if self.options.observation == "flat":
            return self.seen.reshape(self.count, -1).copy()
        seen = {
            "rows": self.seen.copy(),
            "action_mask": self.masks().astype(np.int8),
            "advice": np.zeros((self.count, ADVICE_SIZE), np.float32),
        }
        if self.options.clock:
            left = 1.0 - self.rows["time"] / self.options.time_limit
            seen["clock"] = left.clip(0.0, 1.0).astype(np.float32)[:, None]
        return seen

    def masks(self) -> NDArray[np.bool_]:
        """Open actions in the environment's own numbers, shape ``(B, actions)``."""
        return np.asarray(self.rows["mask"][:, self.canonical], np.bool_)

    def info(self) -> dict[str, Any]:
        """Facts of all scenes, one array each."""
        rows = self.rows
        decisions = np.maximum(1, rows["decisions"])
        facts: dict[str, Any] = {
            "action_mask": self.masks(),
            "crashed": rows["outcome"] == OUTCOMES.index("crash"),
            "off_road": rows["off_road"].copy(),
            "timed_out": rows["outcome"] == OUTCOMES.index("timeout"),
            "mean_speed": rows["speed_sum"] / decisions,
            "min_ttc": rows["min_ttc"].copy(),
            "time": rows["time"].copy(),
            "progress": np.where(np.isfinite(rows["goal"]), rows["progress"] / rows["goal"], 0.0),
            "survived": rows["truncated"].copy(),
        }
        if self.options.expose_scene and self.told:
            facts["scene"] = self.scenes.copy()
        return facts

    def endings(self) -> dict[str, Any]:
        """Facts that stand in the last info of an episode."""
        outcome = self.rows["outcome"]
        return {
            "is_success": outcome == OUTCOMES.index("success"),
            "outcome": np.array(OUTCOMES, object)[outcome],
        }

    def reward_terms(self) -> dict[str, NDArray[np.float64]]:
        """Each term of the last reward, all scenes."""
        terms = self.rows["terms"]
        return {name: terms[:, i].copy() for i, name in enumerate(REWARD_TERMS)}
