"""OptimisticSAC, its ablations and plain SAC for many seeds at once, on a vector environment.

Every seed has its own networks, replay and environment row; one update serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.agents.common.replay import unpack
from hybridrl.agents.common.rows import RowLayout
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update
from hybridrl.agents.common.stacked import StackedCritic, StackedReplay, StackedSAC
from hybridrl.agents.optimistic_sac.formulas import ramp, shift, upper_bound
from hybridrl.agents.optimistic_sac.switching import DataGrowth, EveryStep
from hybridrl.planners.errors import UnknownNameError


@dataclass(frozen=True)
class Method:
    """What tells the rows of a comparison apart; the names are those of ``OptimisticSAC``.

    Args:
        delta: 0 explores as plain soft actor-critic does.
        beta_ub: Deviations above the mean.
        every_step: The exploration critic is the critic itself.
        switch_growth: Of the data between two switches, where it is not.
        warm_steps: Of the tilt after a switch.
        n_critics: E.
        n_target_critics: Subset for the targets.
        layer_norm: Normalise in the critics.
    """

    delta: float = 0.0
    beta_ub: float = 4.66
    every_step: bool = False
    switch_growth: float = 1.5
    warm_steps: int = 100
    n_critics: int = 2
    n_target_critics: int | None = None
    layer_norm: bool = False


METHODS: dict[str, Method] = {
    "sac": Method(),
    "oac": Method(delta=23.53, every_step=True, warm_steps=0),
    "sac-norm": Method(layer_norm=True),
    "optimistic-sac": Method(delta=4.0, layer_norm=True),
}


class StackedOptimisticSAC:
    """P seeds of one method; row ``i`` of the simulator belongs to seed ``i``.

    Args:
        method: A name of :data:`METHODS`, or a method.
        simulator: A vector environment with ``SAME_STEP`` autoreset and one row a seed.
        seed: Of everything.
        net_arch: Hidden layers of all networks.
        batch_size: Rows of a batch.
        learning_rate: Of everything.
        gamma: Discount.
        tau: Share by which target critics move.
        learning_starts: Random steps before the first update.
        capacity: Transitions of each seed that are kept.
        backup_entropy: Entropy belongs to the target value.
        first_ent_coef: Temperature at the beginning.
    """

    def __init__(
        self,
        method: str | Method,
        simulator: VectorEnv[Any, Any, Any],
        *,
        seed: int = 0,
        net_arch: Sequence[int] = (64, 64),
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        gamma: float = 0.99,
        tau: float = 0.005,
        learning_starts: int = 500,
        capacity: int = 100_000,
        backup_entropy: bool = True,
        first_ent_coef: float = 1.0,
    ) -> None:
        self.method = _method(method)
        self.simulator, self.seed = simulator, seed
        self.batch_size, self.learning_starts = batch_size, learning_starts
        observation, action = simulator.single_observation_space, simulator.single_action_space
        assert isinstance(observation, spaces.Box) and isinstance(action, spaces.Box)
        self._space, self.n_problems = action, simulator.num_envs
        obs_dim, action_dim = int(observation.shape[0]), int(action.shape[0])
        torch.manual_seed(seed)
        options = {"n_critics": self.method.n_critics, "layer_norm": self.method.layer_norm}
        self.sac = StackedSAC(
            self.n_problems,
            obs_dim,
            action_dim,
            net_arch,
            learning_rate,
            gamma,
            tau,
            output_gain=None,
            affine_log_std=False,
            **options,  # type: ignore[arg-type]
        )
        self.sac.log_ent_coef.data.fill_(math.log(first_ent_coef))
        self.explorer = self.sac.critic
        if not self.method.every_step:
            sizes = (self.n_problems, obs_dim, action_dim, net_arch)
            self.explorer = StackedCritic(*sizes, **options)  # type: ignore[arg-type]
            self.explorer.requires_grad_(False)
        self.test = EveryStep() if self.method.every_step else DataGrowth(self.method.switch_growth)
        layout = RowLayout(observation, action_dim)
        empty = [np.zeros((0, layout.width), np.float32)]
        self.replay = StackedReplay(capacity, layout, empty, [0] * self.n_problems, seed)
        self._online = np.zeros(self.n_problems, bool)
        self.rules = SACRules(backup_entropy, self.method.n_target_critics)
        self.rng = np.random.default_rng(seed + 1)
        self.steps, self.switches = 0, 0
        self._obs: Any = None

    def learn(
        self, steps: int, callback: Callable[[NDArray[Any], dict[str, Any]], None] | None = None
    ) -> StackedOptimisticSAC:
        """Step every environment and update every seed once a step.

        Args:
            steps: Of each seed, the random ones included.
            callback: Gets rewards ``(P,)`` and the simulator's info after every step.
        """
        if self._obs is None:
            self._obs = self.simulator.reset(seed=self.seed)[0]
        for _ in range(steps):
            rewards, info = self._act()
            self.steps += 1
            if self.steps > self.learning_starts:
                self.update()
            if callback is not None:
                callback(rewards, info)
        return self

    def update(self) -> Metrics:
        """One update of every seed on fresh rows."""
        rows = self.replay.sample_rows(self._online, self.batch_size)
        return sac_update(self.sac, unpack(self.replay.layout, rows), self.rules, observe=False)

    @torch.no_grad()
    def explore(self, obs: Tensor) -> Tensor:
        """Actions in [-1, 1] of the shifted policies for ``(P, B, O)``, ``(P, B, A)``."""
        mean, log_std = self.sac.actor.gaussian(obs)
        delta = self.method.delta * ramp(int(self.test.since), self.method.warm_steps)
        if delta > 0.0:
            with torch.enable_grad():
                at = mean.detach().requires_grad_()
                q = self.explorer.values(obs, torch.tanh(at))
                value = upper_bound(q, self.method.beta_ub).sum()
                (gradient,) = torch.autograd.grad(value, at)
            mean = mean + shift(log_std, gradient, delta)
        return torch.tanh(torch.addcmul(mean, log_std.exp(), torch.randn_like(mean)))

    def act(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Deterministic actions of the target policies for ``(P, B, O)``, in the space's units."""
        shaped = torch.as_tensor(np.asarray(obs, np.float32))
        return self._unscaled(self.sac.actor.act(shaped, deterministic=True).numpy())

    def _act(self) -> tuple[NDArray[Any], dict[str, Any]]:
        if self.steps < self.learning_starts:
            scaled = self.rng.uniform(-1.0, 1.0, (self.n_problems, *self._space.shape))
        else:
            if self.method.delta and self.test.due(float(self.steps)):
                self._renew()
            obs = torch.as_tensor(np.asarray(self._obs, np.float32)).unsqueeze(1)
            scaled = self.explore(obs).squeeze(1).numpy()
            self.test.since += 1
        later, rewards, terminated, truncated, info = self.simulator.step(self._unscaled(scaled))
        last = later
        if (terminated | truncated).any():
            last = np.array(later)
            for i in np.flatnonzero(terminated | truncated):
                last[i] = info["final_obs"][i]
        self.replay.add(self._obs, scaled, rewards, last, terminated)
        self._obs = later
        return rewards, info

    def _renew(self) -> None:
        if self.explorer is not self.sac.critic:
            self.explorer.load_state_dict(self.sac.critic.state_dict())
            self.switches += 1
        self.test.done(float(self.steps))

    def _unscaled(self, scaled: NDArray[Any]) -> NDArray[Any]:
        low, high = self._space.low, self._space.high
        actions: NDArray[Any] = (low + 0.5 * (scaled + 1.0) * (high - low)).astype(np.float32)
        return actions


def _method(method: str | Method) -> Method:
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    return METHODS[method]
