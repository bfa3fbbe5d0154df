"""The native vector environment: B storage systems advance in one compiled call."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.rows_vector import RowsVectorEnv
from hybridrl.envs.storage.kernels.batch import stack
from hybridrl.envs.storage.kernels.records import ASK_PLACE, PLACE, Engine
from hybridrl.envs.storage.rewards import inverse_latency
from hybridrl.envs.storage.stepping import EVICT_US, EVICTED, INDEX, LATENCY, compile_place_step
from hybridrl.envs.storage.task import N_FEATURES, StorageTask, feature_space, injected
from hybridrl.planners.errors import ScenarioError

Array = NDArray[np.float32]


class StorageVectorEnv(RowsVectorEnv):
    """B placement environments stepped together; a finished one begins anew within the step.

    Row ``i`` of a reset with seed ``s`` is :class:`~hybridrl.envs.storage.env.StoragePlacementEnv`
    reset with seed ``s + i``, number for number.

    Args:
        num_envs: Number of systems B.
        render_mode: Only ``None``.
        migration: Who migrates: ``none`` or a policy whose state is one array.
        **options: Of :class:`~hybridrl.envs.storage.task.StorageTask`.

    Raises:
        ScenarioError: If the injected policy keeps more than one array.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        render_mode: str | None = None,
        migration: Any = "none",
        **options: Any,
    ) -> None:
        self.task = StorageTask(injected=injected(migration, "migration"), **options)
        devices = gym.spaces.Discrete(self.task.devices)
        super().__init__(num_envs, feature_space(), devices, render_mode)
        self._step = compile_place_step(self.task.policy.hooks)[1]
        self._bins = np.zeros((num_envs, N_FEATURES), np.int64)
        self._facts = np.zeros((num_envs, 6))
        self._kinds = np.zeros(num_envs, np.int64)
        self._stops = np.zeros(num_envs, np.int64)
        self._batch: Engine | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin every trace anew.

        Args:
            seed: Of the first system; the others count up from it, or one each.
            options: Not used.

        Raises:
            ScenarioError: If there are not B seeds.
        """
        self._seed_rows(seed)
        self._engines = [self.task.engine(self._draw(i)) for i in range(self.num_envs)]
        states = [engine.state for engine in self._engines]
        if not all(isinstance(state, np.ndarray) for state in states):
            raise ScenarioError(
                "migration", self.task.policy.name, "a policy whose state is one array"
            )
        self._batch = stack([engine.e for engine in self._engines])
        self._states = np.stack(states)
        self._stops[:] = self.task.stop
        self._facts[:] = 0
        self._run(np.full(self.num_envs, -1))
        return self.task.features(self._bins), self._info()

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Array, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Place the pending request of every system; ``actions`` is ``(B,)``."""
        self._run(np.asarray(actions, np.int64))
        unit = self.task.unit_us
        rewards = np.array([inverse_latency(us / unit) for us in self._facts[:, LATENCY]])
        ended = self._kinds != PLACE
        terminates, truncates, outcome = self.task.ended()
        info = self._info()
        self._bins[ended] = 0
        if ended.any():
            info |= self._finish(ended, outcome, info)
        return (
            self.task.features(self._bins),
            rewards,
            ended & terminates,
            ended & truncates,
            info,
        )

    def _draw(self, i: int) -> int:
        return int(self._rngs[i].integers(2**31))

    def _run(self, actions: NDArray[np.int64]) -> None:
        self._step(
            self._batch,
            self._states,
            actions,
            self._stops,
            ASK_PLACE,
            self._bins,
            self._facts,
            self._kinds,
        )

    def _info(self) -> dict[str, Any]:
        assert self._batch is not None
        s = self._batch.sys[:, 0]
        return {
            "latency_us": self._facts[:, LATENCY].copy(),
            "evict_us": self._facts[:, EVICT_US].copy(),
            "evicted": self._facts[:, EVICTED].astype(np.int64),
            "request": self._facts[:, INDEX].astype(np.int64),
            "requests": s["i"].copy(),
            "mean_latency_us": s["latency_sum"] / np.maximum(1, s["i"]),
        }

    def _finish(
        self, ended: NDArray[np.bool_], outcome: str, info: dict[str, Any]
    ) -> dict[str, Any]:
        """Set aside the ends of finished episodes and begin new ones."""
        assert self._batch is not None
        facts = {**info, "outcome": np.full(self.num_envs, outcome, object)}
        endings = self._endings(ended.copy(), self.task.features(self._bins), facts)
        actions = np.full(self.num_envs, -1)
        for i in np.flatnonzero(ended):
            engine = self._engines[i]
            engine.reset(self._draw(int(i)))
            first = int(self._batch.sys["first"][i, 0])
            for name in Engine._fields:
                if name != "req":
                    new = getattr(engine.e, name)
                    getattr(self._batch, name)[i, : len(new)] = new
            self._batch.sys["first"][i, 0] = first
            self._states[i] = engine.state
            self._facts[i] = 0
        self._run(actions)  # systems that wait for an answer stay where they are
        return endings
