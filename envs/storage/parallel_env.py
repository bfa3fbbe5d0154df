"""The storage system as a PettingZoo ``ParallelEnv`` with a placement and a migration agent."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.envs.storage.epoch import Epochs
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.task import StorageTask, feature_space
from hybridrl.planners.errors import ScenarioError

AGENTS = ("placement", "migration")


class StorageParallel:
    """Placement and migration of one storage system; see :func:`parallel_env`."""

    metadata = {"name": "hybrid_storage_v0", "render_modes": []}  # noqa: RUF012
    possible_agents = list(AGENTS)  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        self.task = StorageTask(injected=Policy("none"), migrates=True, **options)
        self.epochs = Epochs(self.task)
        self.render_mode = None
        self.agents: list[str] = []
        slots, devices = self.task.slots, self.task.devices
        self.observation_spaces = {
            "placement": feature_space(),
            "migration": feature_space(slots),
        }
        self.action_spaces = {
            "placement": gym.spaces.Discrete(devices),
            "migration": gym.spaces.MultiDiscrete([devices] * slots),
        }
        self._rng = np.random.default_rng()

    def observation_space(self, agent: str) -> gym.Space[Any]:
        """Seven features, or those of every candidate slot."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space[Any]:
        """A device, or a device for every slot."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin the trace anew; ``seed`` draws the service times."""
        if seed is not None:
            self._rng = gym.utils.seeding.np_random(seed)[0]
        self.agents = list(AGENTS)
        self.epochs.begin(int(self._rng.integers(2**31)))
        return self._observations(), self._infos()

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], Any]:
        """Take the decision that is due."""
        epochs = self.epochs
        placed = 0.0
        if epochs.migration_due:
            epochs.migrate(np.asarray(actions["migration"], np.int64))
        else:
            epochs.place(int(actions["placement"]))
            placed = epochs.placed
        rewards = {"placement": placed, "migration": epochs.matured}
        ends = self.task.ended() if epochs.ended else (False, False, "")
        terminated, truncated, outcome = ends
        infos = self._infos()
        if outcome:
            self.agents = []
            for info in infos.values():
                info["outcome"] = outcome
        both = dict.fromkeys(AGENTS, terminated), dict.fromkeys(AGENTS, truncated)
        return self._observations(), rewards, *both, infos

    def render(self) -> None:
        """Nothing to draw."""

    def close(self) -> None:
        """Nothing to close."""

    def _observations(self) -> dict[str, Any]:
        epochs, task = self.epochs, self.task
        return {
            "placement": task.features(epochs.request),
            "migration": task.features(epochs.bins).ravel(),
        }

    def _infos(self) -> dict[str, dict[str, Any]]:
        facts = self.epochs.info()
        due = self.epochs.migration_due
        return {
            "placement": {**facts, "due": not due and not self.epochs.ended},
            "migration": {**facts, "due": due, "action_mask": self.epochs.slot_masks()},
        }


def parallel_env(*, render_mode: str | None = None, **options: Any) -> Any:
    """A PettingZoo ``ParallelEnv`` of both agents (extra ``marl``).

    A step is one decision point: a request to place or, every ``migration_interval`` requests, the
    candidates. ``info["due"]`` tells whose action counts; the other's is ignored, and its
    ``info["action_mask"]`` leaves the migration agent only to stay. The migration agent is paid
    when its window is over and gets 0 otherwise. ``pettingzoo.utils.parallel_to_aec`` gives the
    turn-based form.

    Args:
        render_mode: Only ``None``.
        **options: Of :class:`~hybridrl.envs.storage.task.StorageTask`.

    Raises:
        ModuleNotFoundError: Without PettingZoo; the message names the extra.
    """
    try:
        from pettingzoo import ParallelEnv
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('the parallel environment needs "hybridrl[marl]"') from error

    if render_mode is not None:
        raise ScenarioError("render_mode", render_mode, "None: there is nothing to draw")

    made = type("StorageParallelEnv", (StorageParallel, ParallelEnv), {})
    return made(**options)
