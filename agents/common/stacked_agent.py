"""What stacked agents share: rows of a vector environment, their replay, acting and evaluation.

A stacked agent trains every seed of some methods in step. Row ``i`` of its environment belongs to
problem ``i``: all seeds of the first method, then all of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hybridrl.agents.common.rows import RowLayout
from hybridrl.agents.common.stacked import StackedReplay, StackedSAC, pack
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError


class StackedAgent:
    """S seeds of some methods, each in an environment row of its own.

    Seeds torch, so that networks made afterwards are the same again; a subclass makes ``sac``.

    Args:
        env: A vector environment with ``SAME_STEP`` autoreset and one row a problem.
        names: Of the methods.
        n_seeds: S.
        datasets: Offline data: ``None``, one for all seeds, or one a seed.
        seed: Of everything.
        capacity: Online rows of each problem that are kept.

    Raises:
        ScenarioError: If the environment has not one row a problem, or datasets do not match seeds.
    """

    env_keyword: ClassVar[str] = "env"  # what the constructor calls its environment
    sac: StackedSAC

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        names: Sequence[str],
        n_seeds: int,
        datasets: OfflineDataset | Sequence[OfflineDataset] | None,
        seed: int,
        capacity: int,
    ) -> None:
        self.env, self.names, self.n_seeds, self.seed = env, list(names), n_seeds, seed
        self.n_problems = len(self.names) * n_seeds
        sets = [datasets] if isinstance(datasets, OfflineDataset) else list(datasets or ())
        if env.num_envs != self.n_problems:
            expected = f"{self.n_problems} rows: methods times seeds"
            raise ScenarioError(self.env_keyword, env.num_envs, expected)
        if datasets is not None and len(sets) not in (1, n_seeds):
            raise ScenarioError("datasets", len(sets), f"one, or one for each of {n_seeds} seeds")
        torch.manual_seed(seed)
        observation, action = env.single_observation_space, env.single_action_space
        assert isinstance(observation, spaces.Box) and isinstance(action, spaces.Box)
        self.obs_dim, self.action_dim = int(observation.shape[0]), int(action.shape[0])
        self._space = action
        layout = RowLayout(observation, self.action_dim)
        packed = [pack(data, layout, action) for data in sets]
        packed = packed or [np.zeros((0, layout.width), np.float32)]
        owner = [s % len(packed) for _ in self.names for s in range(n_seeds)]
        self.replay = StackedReplay(capacity, layout, packed, owner, seed)
        self.rng = np.random.default_rng(seed + 1)
        self.steps = self.updates = 0
        self.last_obs: Any = None

    def trained(self) -> dict[str, Any]:
        """Everything that training changes, as state dicts and tensors by name."""
        sac = self.sac
        parts: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        return {**parts, "log_ent_coef": sac.log_ent_coef.detach()}

    def restore_trained(self, state: dict[str, Any]) -> None:
        """Take what :meth:`trained` gave for an equal stack."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.sac.log_ent_coef.data.copy_(state["log_ent_coef"])

    def act(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Deterministic actions for ``(P, B, O)``, ``(P, B, A)`` in the space's units."""
        shaped = torch.as_tensor(np.asarray(obs, np.float32))
        return self._unscaled(self.sac.actor.act(shaped, deterministic=True).numpy())

    def returns(
        self, env: VectorEnv[Any, Any, Any], episodes: int, seed: int
    ) -> NDArray[np.float64]:
        """Undiscounted returns of the deterministic policies, ``(P, episodes)``.

        Args:
            env: A row for each problem and episode.
            episodes: Of each problem.
            seed: Of its first row; every problem meets the same starts.
        """
        seeds = [seed + k for _ in range(self.n_problems) for k in range(episodes)]
        obs, _ = env.reset(seed=seeds)  # type: ignore[arg-type]
        total, running = np.zeros(len(seeds)), np.ones(len(seeds), bool)
        while running.any():
            actions = self.act(obs.reshape(self.n_problems, episodes, -1))
            obs, rewards, terminated, truncated, _ = env.step(actions.reshape(len(seeds), -1))
            total += running * rewards
            running &= ~(terminated | truncated)
        return total.reshape(self.n_problems, episodes)

    def evaluate(
        self, make: Callable[[int], VectorEnv[Any, Any, Any]], episodes: int = 10, seed: int = 0
    ) -> dict[str, NDArray[np.float64]]:
        """Undiscounted returns of the deterministic policies.

        Args:
            make: Makes a vector environment of so many rows.
            episodes: Of each problem.
            seed: Of its first row; every problem meets the same starts.

        Returns:
            ``(n_seeds, episodes)`` for each method.
        """
        env = make(self.n_problems * episodes)
        grid = self.returns(env, episodes, seed)
        env.close()
        per_method = grid.reshape(len(self.names), self.n_seeds, episodes)
        return dict(zip(self.names, per_method, strict=True))

    def _parts(self) -> dict[str, Any]:
        """Networks and optimisers."""
        sac = self.sac
        return {
            "actor": sac.actor,
            "critic": sac.critic,
            "critic_target": sac.critic_target,
            "actor.optimizer": sac.actor.optimizer,
            "critic.optimizer": sac.critic.optimizer,
            "ent_coef_optimizer": sac.ent_coef_optimizer,
        }

    def _begin(self) -> None:
        """Reset the environment before the first step."""
        if self.last_obs is None:
            self.last_obs = self.env.reset(seed=self.seed)[0]

    def _seen(self) -> torch.Tensor:
        """Present observations, ``(P, 1, O)``."""
        return torch.as_tensor(np.asarray(self.last_obs, np.float32)).unsqueeze(1)

    def _drawn(self) -> NDArray[Any]:
        """Actions of the policies as they explore, ``(P, A)`` in [-1, 1]."""
        scaled: NDArray[Any] = self.sac.actor.act(self._seen()).squeeze(1).numpy()
        return scaled

    def _uniform(self) -> NDArray[np.float64]:
        """Uniform actions, ``(P, A)`` in [-1, 1]."""
        return self.rng.uniform(-1.0, 1.0, (self.n_problems, self.action_dim))

    def _take(self, scaled: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Step every environment and keep the transitions: rewards ``(P,)`` and info."""
        later, rewards, terminated, truncated, info = self.env.step(self._unscaled(scaled))
        last, ended = later, terminated | truncated
        if ended.any():
            last = later.copy()
            for i in np.flatnonzero(ended):
                last[i] = info["final_obs"][i]
        self.replay.add(self.last_obs, scaled, rewards, last, terminated)
        self.last_obs = later
        self.steps += 1
        return rewards, info

    def _unscaled(self, scaled: NDArray[Any]) -> NDArray[Any]:
        low, high = self._space.low, self._space.high
        actions: NDArray[Any] = (low + 0.5 * (scaled + 1.0) * (high - low)).astype(np.float32)
        return actions
