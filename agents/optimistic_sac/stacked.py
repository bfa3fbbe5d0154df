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
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.agents.common.replay import unpack
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update
from hybridrl.agents.common.stacked import StackedCritic, StackedSAC
from hybridrl.agents.common.stacked_agent import StackedAgent
from hybridrl.agents.optimistic_sac.formulas import critic_slopes, ramp, tilt
from hybridrl.agents.optimistic_sac.switching import DataGrowth, EveryStep
from hybridrl.planners.errors import UnknownNameError


@dataclass(frozen=True)
class Method:
    """What tells the rows of a comparison apart; the names are those of ``OptimisticSAC``.

    Args:
        delta: 0 explores as plain soft actor-critic does.
        beta_ub: Deviations above the mean.
        scale_by_doubt: Shift by the share of the bonus.
        every_step: The exploration critic is the critic itself.
        switch_growth: Of the data between two switches, where it is not.
        warm_steps: Of the tilt after a switch.
        n_critics: E.
        n_target_critics: Subset for the targets.
        layer_norm: Normalise in the critics.
    """

    delta: float = 0.0
    beta_ub: float = 4.66
    scale_by_doubt: bool = True
    every_step: bool = False
    switch_growth: float = 1.5
    warm_steps: int = 100
    n_critics: int = 2
    n_target_critics: int | None = None
    layer_norm: bool = False


METHODS: dict[str, Method] = {
    "sac": Method(),
    "oac": Method(delta=23.53, scale_by_doubt=False, every_step=True, warm_steps=0),
    "sac-norm": Method(layer_norm=True),
    "optimistic-sac": Method(delta=4.0, layer_norm=True),
    "optimistic-sac-whole": Method(delta=4.0, scale_by_doubt=False, layer_norm=True),
}


class StackedOptimisticSAC(StackedAgent):
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
        name = method if isinstance(method, str) else "method"
        super().__init__(simulator, [name], simulator.num_envs, None, seed, capacity)
        self.batch_size, self.learning_starts = batch_size, learning_starts
        options = {"n_critics": self.method.n_critics, "layer_norm": self.method.layer_norm}
        self.sac = StackedSAC(
            self.n_problems,
            self.obs_dim,
            self.action_dim,
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
            sizes = (self.n_problems, self.obs_dim, self.action_dim, net_arch)
            self.explorer = StackedCritic(*sizes, **options)  # type: ignore[arg-type]
            self.explorer.requires_grad_(False)
        self.test = EveryStep() if self.method.every_step else DataGrowth(self.method.switch_growth)
        self._online = np.zeros(self.n_problems, bool)
        self.rules = SACRules(backup_entropy, self.method.n_target_critics)
        self.switches = 0

    def learn(
        self, steps: int, callback: Callable[[NDArray[Any], dict[str, Any]], None] | None = None
    ) -> StackedOptimisticSAC:
        """Step every environment and update every seed once a step.

        Args:
            steps: Of each seed, the random ones included.
            callback: Gets rewards ``(P,)`` and the simulator's info after every step.
        """
        self._begin()
        for _ in range(steps):
            rewards, info = self._take(self._actions())
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
            method, critic = self.method, self.explorer
            q, slopes = critic_slopes(critic.values, critic.n_critics, obs, mean)
            mean = mean + tilt(q, slopes, log_std, method.beta_ub, delta, method.scale_by_doubt)
        return torch.tanh(torch.addcmul(mean, log_std.exp(), torch.randn_like(mean)))

    def _actions(self) -> NDArray[Any]:
        if self.steps < self.learning_starts:
            return self._uniform()
        if self.method.delta and self.test.due(float(self.steps)):
            self._renew()
        scaled: NDArray[Any] = self.explore(self._seen()).squeeze(1).numpy()
        self.test.since += 1
        return scaled

    def _renew(self) -> None:
        if self.explorer is not self.sac.critic:
            self.explorer.load_state_dict(self.sac.critic.state_dict())
            self.switches += 1
        self.test.done(float(self.steps))


def _method(method: str | Method) -> Method:
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    return METHODS[method]
