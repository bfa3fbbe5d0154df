"""What native vector environments share: rows with a generator each, seeds and ended episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError


class RowsVectorEnv(VectorEnv[Any, Any, Any]):
    """N environments in one; each row draws from its own generator and begins anew when it ends.

    Args:
        num_envs: N.
        observation_space: Of one row.
        action_space: Of one row.
        render_mode: ``None``, or one of ``metadata["render_modes"]``.

    Raises:
        ScenarioError: If it cannot be drawn so.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ScenarioError("render_mode", render_mode, "None for a vector: use gym.make")
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        self._rngs = [np.random.default_rng() for _ in range(num_envs)]

    def _seed_rows(self, seed: int | list[int | None] | None) -> list[int | None]:
        """Give rows new generators.

        Args:
            seed: Of the first row; the others count up from it, or one each. Rows without one keep
                their generator.

        Returns:
            The seed of each row.

        Raises:
            ScenarioError: If there are not N seeds.
        """
        seeds: list[int | None]
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ScenarioError("seed", seed, f"{self.num_envs} seeds, one a row")
        for i, value in enumerate(seeds):
            if value is not None:
                self._rngs[i] = gym.utils.seeding.np_random(int(value))[0]
        return seeds

    def _generators_state(self) -> list[dict[str, Any]]:
        """The generator of every row, JSON-able."""
        return [dict(rng.bit_generator.state) for rng in self._rngs]

    def _restore_generators(self, states: list[dict[str, Any]]) -> None:
        """Draw on where :meth:`_generators_state` was called."""
        for rng, state in zip(self._rngs, states, strict=True):
            rng.bit_generator.state = state

    def _endings(
        self, ended: NDArray[np.bool_], observations: Any, facts: Mapping[str, NDArray[Any]]
    ) -> dict[str, Any]:
        """The info of Gymnasium's ``SAME_STEP`` mode about rows that ended.

        Args:
            ended: Which, ``(N,)``.
            observations: Their last ones (and of the others), with a leading axis of N or a
                dictionary of such; not written to afterwards.
            facts: Columns ``(N,)`` of the final info.
        """
        final = np.full(self.num_envs, None, object)
        for i in np.flatnonzero(ended):
            final[i] = (
                {key: value[i] for key, value in observations.items()}
                if isinstance(observations, dict)
                else observations[i]
            )
        return {
            "final_obs": final,
            "_final_obs": ended,
            "final_info": {**facts, **{f"_{name}": ended for name in facts}},
            "_final_info": ended,
        }
