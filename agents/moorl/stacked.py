"""MOORL, its ablations and two-critic rivals for many seeds at once, on a vector of environments.

All methods are one soft actor-critic with different switches (:class:`Method`): the same networks,
the same number of gradient steps, the same noise; only where rows come from and how fast weights
become slow ones differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hybridrl.agents.common.replay import unpack
from hybridrl.agents.common.sac_core import SACRules, sac_update
from hybridrl.agents.common.stacked import StackedSAC
from hybridrl.agents.common.stacked_agent import StackedAgent
from hybridrl.agents.moorl.meta import annealed, chooses_offline
from hybridrl.datasets.offline import OfflineDataset


@dataclass(frozen=True)
class Method:
    """Where a problem's batches come from, and its meta-update.

    Args:
        data: ``none`` (online rows alone), ``half`` of each batch, ``uniform`` over all rows, or
            ``meta``: whole batches of one source, as MOORL.
        inner_steps: K; meta-updates come every so many gradient steps.
        meta_step: Share of the way to the adapted weights; 1 leaves the update out.
        meta_step_end: It falls linearly to this.
        offline_prob: Of a meta-iteration on the dataset, for ``meta``.
        alternate: Batches of a meta-iteration alternate between the sources, for ``meta``.
    """

    data: Literal["none", "half", "uniform", "meta"] = "meta"
    inner_steps: int = 4
    meta_step: float = 1.0
    meta_step_end: float | None = None
    offline_prob: float = 0.5
    alternate: bool = False


class StackedHybrid(StackedAgent):
    """S seeds of several methods, each in an environment of its own, trained in step.

    Row ``i`` of the environment belongs to problem ``i``: all seeds of the first method, then all
    of the second.

    Args:
        methods: Table of methods.
        env: A vector environment with ``SAME_STEP`` autoreset and one row a problem.
        datasets: Offline data: one for all seeds, or one a seed.
        n_seeds: S.
        seed: Of everything.
        net_arch: Hidden layers of all networks.
        batch_size: Rows of a batch.
        gradient_steps: After each environment step, for every method.
        learning_rate: Of everything.
        gamma: Discount.
        tau: Share by which target critics move.
        random_steps: Of methods without data; the others act with their policy from the start.
        steps: Environment steps that the training will have; annealing refers to them.
        n_critics: Of each problem.
        n_target_critics: A random subset of so many gives the target; all when ``None``.
        layer_norm: Normalise in the critics.
        mean_of_critics: The actor climbs the mean of all critics.
        backup_entropy: Entropy belongs to the target value.
        initial_ent_coef: Temperature at the beginning.

    Raises:
        ScenarioError: If the environment has not one row a problem, or datasets do not match seeds.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        env: VectorEnv[Any, Any, Any],
        datasets: OfflineDataset | Sequence[OfflineDataset],
        n_seeds: int = 5,
        seed: int = 0,
        net_arch: Sequence[int] = (64, 64),
        batch_size: int = 64,
        gradient_steps: int = 4,
        learning_rate: float = 1e-3,
        gamma: float = 0.98,
        tau: float = 0.005,
        random_steps: int = 100,
        steps: int = 1000,
        n_critics: int = 2,
        n_target_critics: int | None = None,
        layer_norm: bool = False,
        mean_of_critics: bool = False,
        backup_entropy: bool = True,
        initial_ent_coef: float = 1.0,
    ) -> None:
        self.methods = dict(methods)
        super().__init__(env, list(self.methods), n_seeds, datasets, seed, steps)
        self.batch_size, self.gradient_steps = batch_size, gradient_steps
        self.random_steps, self.total_steps = random_steps, steps
        self.rules = SACRules(backup_entropy, n_target_critics, mean_of_critics)
        self._each = [method for method in self.methods.values() for _ in range(n_seeds)]
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
            n_critics=n_critics,
            layer_norm=layer_norm,
        )
        self.sac.log_ent_coef.data.fill_(math.log(initial_ent_coef))
        self._offline_rows = [len(self.replay.offline(i)) for i in range(self.n_problems)]
        self._no_data = np.array([method.data == "none" for method in self._each])
        self._fast = [*self.sac.actor.parameters(), *self.sac.critic.parameters()]
        self._slow = [tensor.detach().clone() for tensor in self._fast]

    def trained(self) -> dict[str, Any]:
        """Everything that training changes, the slow weights too."""
        return {**super().trained(), "slow": self._slow}

    def restore_trained(self, state: dict[str, Any]) -> None:
        """Take what :meth:`trained` gave for an equal stack."""
        super().restore_trained(state)
        for slow, saved in zip(self._slow, state["slow"], strict=True):
            slow.copy_(saved)

    def learn(self, steps: int) -> StackedHybrid:
        """Step every environment so often and update every problem after each step."""
        self._begin()
        for _ in range(steps):
            self._take(self._actions())
            if self.replay.size >= min(self.batch_size, self.random_steps):
                for _ in range(self.gradient_steps):
                    self.update()
        return self

    def update(self) -> None:
        """One gradient step of every problem on fresh rows, and the meta-updates that are due."""
        rows = self.replay.sample_mixed(self.offline_counts(), self.batch_size)
        batch = unpack(self.replay.layout, rows)
        sac_update(self.sac, batch, self.rules, observe=False)
        self.updates += 1
        self._meta_steps()

    def offline_counts(self) -> NDArray[np.int64]:
        """Offline rows in the next batch of each problem, ``(P,)``."""
        held = self.replay.size
        counts = [
            self._offline_count(i, method, self._offline_rows[i], held)
            for i, method in enumerate(self._each)
        ]
        return np.array(counts, np.int64)

    def _offline_count(self, problem: int, method: Method, offline: int, held: int) -> int:
        size = self.batch_size
        if method.data == "none":
            return 0
        if method.data == "half":
            return size // 2
        if method.data == "uniform":
            return round(size * offline / (offline + held))
        iteration, k = divmod(self.updates, method.inner_steps)
        if method.alternate:
            return 0 if k % 2 else size
        chosen = chooses_offline(self.seed * 10_007 + problem, iteration, method.offline_prob)
        return size if chosen else 0

    def _meta_steps(self) -> None:
        """``slow <- slow + eps (fast - slow); fast <- slow`` where K steps are over."""
        left = 1.0 - self.steps / self.total_steps
        shares = [
            annealed(method.meta_step, method.meta_step_end, left)
            if self.updates % method.inner_steps == 0
            else 0.0
            for method in self._each
        ]
        if not any(shares):
            return
        share = torch.tensor(shares)
        with torch.no_grad():
            for slow, fast in zip(self._slow, self._fast, strict=True):
                own = share.repeat_interleave(len(fast) // self.n_problems)
                own = own.reshape(-1, *[1] * (fast.dim() - 1))
                slow.copy_(torch.where(own == 1.0, fast, torch.lerp(slow, fast, own)))
                fast.copy_(torch.where(own > 0.0, slow, fast))

    def _actions(self) -> NDArray[Any]:
        scaled = self._drawn()
        if self.steps < self.random_steps:
            scaled = np.where(self._no_data[:, None], self._uniform(), scaled)
        return scaled
