"""The storage environments: placement, migration, or both by one controller."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.epoch import Epochs
from hybridrl.envs.storage.kernels.records import ASK_PLACE, PLACE
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.rewards import inverse_latency
from hybridrl.envs.storage.stepping import EVICT_US, EVICTED, INDEX, LATENCY, compile_place_step
from hybridrl.envs.storage.task import N_FEATURES, StorageTask, feature_space, injected

Array = NDArray[np.float32]
Result = tuple[Array, float, bool, bool, dict[str, Any]]


class StoragePlacementEnv(gym.Env[Array, Any]):
    """Choose the device of each written request (with ``act_on="all"`` of each request).

    The observation is the seven features of the request's first page in [0, 1], the reward
    ``1 / latency`` in units of the fast device's 4 KiB read. See ``docs/storage.md``.

    Args:
        migration: Who migrates: ``none``, the name of a baseline, a policy or a storage agent.
        render_mode: Only ``None``.
        **options: Of :class:`~hybridrl.envs.storage.task.StorageTask`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, *, migration: Any = "none", render_mode: str | None = None, **options: Any
    ) -> None:
        self.render_mode = render_mode
        self.task = StorageTask(injected=injected(migration, "migration"), **options)
        self.observation_space: gym.Space[Any] = feature_space()
        self.action_space = gym.spaces.Discrete(self.task.devices)
        self._step = compile_place_step(self.task.policy.hooks)[0]
        self._bins = np.zeros(N_FEATURES, np.int64)
        self._facts = np.zeros(6)

    def make_engine(self, policy: Policy, seed: int = 0) -> Any:
        """A fresh engine of this environment's system and workload under another policy."""
        return self.task.engine(seed, policy)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin the trace anew; ``seed`` draws the service times."""
        super().reset(seed=seed)
        self.engine = self.task.engine(int(self.np_random.integers(2**31)))
        self._stop = self.task.stop
        self._facts[:] = 0
        self._kind = self._run(-1)
        return self.task.features(self._bins), self._info()

    def step(self, action: Any) -> Result:
        """Place the pending request; runs to the next one that is to be placed."""
        self._kind = self._run(int(action))
        ended = self._kind != PLACE
        reward = inverse_latency(self._facts[LATENCY] / self.task.unit_us)
        terminated, truncated, outcome = self.task.ended() if ended else (False, False, "")
        info = self._info()
        if ended:
            info["outcome"] = outcome
            self._bins[:] = 0
        return self.task.features(self._bins), float(reward), terminated, truncated, info

    def _run(self, action: int) -> int:
        e, state = self.engine.e, self.engine.state
        return self._step(e, state, action, self._stop, ASK_PLACE, self._bins, self._facts)

    def _info(self) -> dict[str, Any]:
        s = self.engine.e.sys[0]
        return {
            "latency_us": float(self._facts[LATENCY]),
            "evict_us": float(self._facts[EVICT_US]),
            "evicted": int(self._facts[EVICTED]),
            "request": int(self._facts[INDEX]),
            "requests": int(s["i"]),
            "mean_latency_us": float(s["latency_sum"]) / max(1, int(s["i"])),
        }


class _EpochEnv(gym.Env[Array, Any]):
    """An environment whose step is one decision point of the engine."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, epochs: Epochs, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self.epochs = epochs
        self.task = epochs.task

    def make_engine(self, policy: Policy, seed: int = 0) -> Any:
        """A fresh engine of this environment's system and workload under another policy."""
        return self.task.engine(seed, policy)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin the trace anew; ``seed`` draws the service times."""
        super().reset(seed=seed)
        self.epochs.begin(int(self.np_random.integers(2**31)))
        return self._observe(), self._info()

    def _observe(self) -> Array:
        raise TypeError("an environment of its own must observe")

    def _ends(self) -> tuple[bool, bool, dict[str, Any]]:
        terminated, truncated, outcome = (
            self.task.ended() if self.epochs.ended else (False, False, "")
        )
        info = self._info()
        if outcome:
            info["outcome"] = outcome
        return terminated, truncated, info

    def _info(self) -> dict[str, Any]:
        return self.epochs.info()


class StorageMigrationEnv(_EpochEnv):
    """Choose a device for each of up to x candidate pages, every ``migration_interval`` requests.

    The observation is the candidates' features, ``x * 7`` (zeros where there are fewer), the
    reward that of ``storage.md`` 5.4 over the requests up to the next decision.

    Args:
        placement: Who places: ``cde``, another baseline, a policy or a storage agent.
        render_mode: Only ``None``.
        **options: Of :class:`~hybridrl.envs.storage.task.StorageTask`.
    """

    def __init__(
        self, *, placement: Any = "cde", render_mode: str | None = None, **options: Any
    ) -> None:
        task = StorageTask(injected=injected(placement, "placement"), migrates=True, **options)
        super().__init__(Epochs(task, place=False), render_mode)
        self.observation_space: gym.Space[Any] = feature_space(task.slots)
        self.action_space = gym.spaces.MultiDiscrete([task.devices] * task.slots)

    def step(self, action: Any) -> Result:
        """Decide about the candidates; runs to the next migration decision."""
        self.epochs.migrate(np.asarray(action, np.int64))
        terminated, truncated, info = self._ends()
        return self._observe(), self.epochs.matured, terminated, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Allowed devices of every slot, flat ``(x * D,)``: an empty slot can only stay."""
        return self.epochs.slot_masks().ravel()

    def _observe(self) -> Array:
        return self.task.features(self.epochs.bins).ravel()


class StorageJointEnv(_EpochEnv):
    """One controller for both kinds of decisions.

    A step is one decision point: a request to place or, every ``migration_interval`` requests, the
    candidates. Only the part of the action that is due counts. The observation is the pending
    request's seven features, a flag for "migration is due", and the candidates' features.

    Args:
        render_mode: Only ``None``.
        **options: Of :class:`~hybridrl.envs.storage.task.StorageTask`.
    """

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        task = StorageTask(injected=Policy("none"), migrates=True, **options)
        super().__init__(Epochs(task), render_mode)
        width = N_FEATURES * (1 + task.slots) + 1
        self.observation_space = gym.spaces.Box(0.0, 1.0, (width,), np.float32)
        self.action_space = gym.spaces.MultiDiscrete([task.devices] * (1 + task.slots))

    def step(self, action: Any) -> Result:
        """Take the decision that is due; the reward adds what placement and migration earned."""
        chosen = np.asarray(action, np.int64)
        if self.epochs.migration_due:
            self.epochs.migrate(chosen[1:])
            reward = 0.0
        else:
            self.epochs.place(int(chosen[0]))
            reward = self.epochs.placed
        terminated, truncated, info = self._ends()
        return self._observe(), reward + self.epochs.matured, terminated, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Allowed values of every part of the action, flat ``((1 + x) * D,)``."""
        first = np.ones((1, self.task.devices), np.bool_)
        return np.concatenate((first, self.epochs.slot_masks())).ravel()

    def _observe(self) -> Array:
        flag = np.array([self.epochs.migration_due], np.float32)
        request = self.task.features(self.epochs.request)
        return np.concatenate((request, flag, self.task.features(self.epochs.bins).ravel()))
