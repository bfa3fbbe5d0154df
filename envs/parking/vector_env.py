"""The native vector environment: N parking scenes in one call of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.parking.config import ParkingOptions
from hybridrl.envs.parking.kernels.records import OUTCOMES, RUNNING, SUCCESS, TIMEOUT
from hybridrl.envs.parking.task import ParkingTask
from hybridrl.envs.rows_vector import RowsVectorEnv
from hybridrl.planners.errors import ScenarioError

Observation = dict[str, NDArray[Any]]
# Facts of ``info`` that are plain columns of the rows.
COLUMNS = (
    "bump",
    "bumps",
    "decisions",
    "rs_decisions",
    "path_length",
    "gear_changes",
    "mask_empty",
    "label",
    "leaving",
)


class ParkingVectorEnv(RowsVectorEnv):
    """N parking scenes stepped together; finished ones begin anew within the step.

    The last observation and the facts of a finished episode stand in ``info["final_obs"]`` and
    ``info["final_info"]``, as Gymnasium's ``SAME_STEP`` mode has it. ``info["label"]`` is the index
    of each scene's class in :data:`~hybridrl.envs.parking.task.CLASS_NAMES`.

    Args:
        num_envs: Number of scenes N.
        render_mode: Only ``None``: draw one scene with :class:`ParkingEnv`.
        **options: The fields of :class:`~hybridrl.envs.parking.config.ParkingOptions`.
    """

    def __init__(
        self, num_envs: int = 1, *, render_mode: str | None = None, **options: Any
    ) -> None:
        self.task = ParkingTask(num_envs, ParkingOptions.from_keywords(options))
        spaces = self.task.observation_space(), self.task.action_space()
        super().__init__(num_envs, *spaces, render_mode)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin N new scenes.

        Args:
            seed: Of the first scene; the others count up from it (as in Gymnasium), or one each.
            options: ``{"scenarios": [...]}`` begins exactly these N scenes.

        Raises:
            ScenarioError: If a scenario cannot be used, or there are not N seeds or scenarios.
        """
        self._seed_rows(seed)
        given = (options or {}).get("scenarios")
        if given is not None and len(given) != self.num_envs:
            raise ScenarioError("scenarios", given, f"{self.num_envs} scenes, one a row")
        for i in range(self.num_envs):
            if given is None:
                self.task.draw(i, self._rngs[i])
            else:
                self.task.load(i, given[i])
        self.task.begin(np.arange(self.num_envs), self._rngs)
        return self.task.observations(), self._info()

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One decision in every scene; ``actions`` is ``(N,)`` or ``(N, 2)``."""
        self.task.act(actions)
        rows = self.task.rows
        outcome = rows["outcome"].copy()
        rewards = rows["reward"].copy()
        truncated = outcome == TIMEOUT
        terminated = (outcome != RUNNING) & ~truncated
        observations = self.task.observations()
        done = np.flatnonzero(outcome)
        ended: dict[str, Any] = {}
        if len(done):
            ended = self._finish(done, observations)
            observations = self.task.observations()
        return observations, rewards, terminated, truncated, self._info() | ended

    def action_masks(self) -> NDArray[np.bool_]:
        """Which of the 42 motions may be chosen in each scene, shape ``(N, 42)``."""
        return np.asarray(self.task.rows["allowed"], np.bool_)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The scene classes that are drawn from."""
        return self.task.level.classes

    def set_class_weights(self, weights: Mapping[str, float]) -> None:
        """Draw new scenes with these class probabilities from now on.

        Args:
            weights: Class name to probability; they are divided by their sum.

        Raises:
            UnknownNameError: If a name is not one of the level's classes.
            ScenarioError: If a weight is negative or all are 0.
        """
        self.task.set_class_weights(weights)

    def set_reward_weights(self, changes: Mapping[str, float]) -> None:
        """Weigh these reward terms anew from the next decision on; the others are as constructed.

        Args:
            changes: Term to weight, as in ``{"gear_change": 0.2}``.

        Raises:
            UnknownNameError: If a name is not one of the reward terms.
            ScenarioError: If a weight is not a finite number.
        """
        self.task.set_reward_weights(changes)

    def _info(self) -> dict[str, Any]:
        return {name: self.task.rows[name].copy() for name in COLUMNS}

    def _finish(self, done: NDArray[np.int64], observations: Observation) -> dict[str, Any]:
        """Set aside the ends of the finished episodes and begin new ones."""
        rows = self.task.rows
        facts = self._info() | {
            "is_success": rows["outcome"] == SUCCESS,
            "outcome": np.array(OUTCOMES, object)[rows["outcome"]],
        }
        info = self._endings(rows["outcome"] != RUNNING, observations, facts)
        for i in done:
            self.task.draw(i, self._rngs[i])
        self.task.begin(done, self._rngs)
        return info
