"""H2O, its ablations and its baselines for many seeds at once, on a vector of small environments.

All methods are one update with different switches (:class:`Method`), so they differ in nothing
else: the same networks, the same noise of the discriminators, the same order of steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.replay import HybridSamples, unpack
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update
from hybridrl.agents.common.stacked import StackedSAC
from hybridrl.agents.common.stacked_agent import StackedAgent
from hybridrl.agents.h2o.discriminators import Discriminators, NextInput
from hybridrl.agents.h2o.estimator import GapOptions, gap_terms, jitter_spread
from hybridrl.agents.h2o.losses import critic_loss, log_gap_share, uniform_share
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import UnknownNameError


@dataclass(frozen=True)
class Method:
    """What a problem does with real and simulated rows.

    Args:
        real: The real half of a batch is real; otherwise simulated too.
        sim: The simulated half is simulated; otherwise real too.
        use_ratio: Weigh Bellman errors of simulated rows by the dynamics ratio.
        use_gap: Weigh the penalty by the gap.
        beta: Weight of the penalty.
        correction: Scale of DARC's correction of simulated rewards.
    """

    real: bool = True
    sim: bool = True
    use_ratio: bool = False
    use_gap: bool = False
    beta: float = 0.0
    correction: float = 0.0

    @property
    def discriminates(self) -> bool:
        """Whether it needs discriminators."""
        return self.use_ratio or self.use_gap or bool(self.correction)


METHODS: dict[str, Method] = {
    "h2o": Method(use_ratio=True, use_gap=True, beta=0.01),
    "h2o-no-ratio": Method(use_gap=True, beta=0.01),
    "h2o-no-gap": Method(use_ratio=True, beta=0.01),
    "h2o-no-penalty": Method(use_ratio=True),
    "darc": Method(real=False, correction=1.0),
    "mixture": Method(),
    "sac-sim": Method(real=False),
    "sac-offline": Method(sim=False),
}


class StackedH2O(StackedAgent):
    """S seeds of several methods in one simulator each, trained in step.

    Row ``i`` of the simulator belongs to problem ``i``: all seeds of the first method, then all of
    the second. Every seed has its own networks, data order and simulator row; ``datasets`` may
    give each seed its own data.

    Args:
        methods: Names of :data:`METHODS`, or a table of methods.
        simulator: A vector environment with ``SAME_STEP`` autoreset and one row a problem.
        datasets: Real data: one for all seeds, or one a seed.
        n_seeds: S.
        seed: Of everything.
        net_arch: Hidden layers of all networks.
        batch_size: Rows of a batch, one half real and one half simulated.
        disc_batch_size: Real rows, and as many simulated ones, of a discriminator step.
        learning_rate: Of everything.
        gamma: Discount.
        tau: Share by which target critics move.
        learning_starts: Random steps of the simulator before the first update.
        capacity: Simulated rows that are kept; all of them by default.
        u_samples: Jittered next states of the gap estimate.
        u_jitter: Their deviation, as a share of that of the states.
        disc_noise: Deviation of the noise on the discriminators' inputs while they train.
        disc_next: ``state`` or ``delta``.
        backup_entropy: Entropy belongs to the target value.
        correction_starts: Updates before DARC corrects rewards.

    Raises:
        ScenarioError: If the simulator has not one row a problem, or datasets do not match seeds.
        UnknownNameError: If there is no such method.
    """

    env_keyword = "simulator"

    def __init__(
        self,
        methods: Sequence[str] | Mapping[str, Method],
        simulator: VectorEnv[Any, Any, Any],
        datasets: OfflineDataset | Sequence[OfflineDataset],
        n_seeds: int = 5,
        seed: int = 0,
        net_arch: Sequence[int] = (64, 64),
        batch_size: int = 128,
        disc_batch_size: int = 64,
        learning_rate: float = 1e-3,
        gamma: float = 0.98,
        tau: float = 0.005,
        learning_starts: int = 300,
        capacity: int = 20_000,
        u_samples: int = 10,
        u_jitter: float = 0.1,
        disc_noise: float = 0.1,
        disc_next: NextInput = "state",
        backup_entropy: bool = False,
        correction_starts: int = 1000,
    ) -> None:
        table = _table(methods)
        # Those that need discriminators come first, so that these stand for the first rows alone.
        names = sorted(table, key=lambda name: not table[name].discriminates)
        super().__init__(simulator, names, n_seeds, datasets, seed, capacity)
        self.batch_size, self.disc_batch_size = batch_size, disc_batch_size
        self.learning_starts, self.correction_starts = learning_starts, correction_starts
        self.rules = SACRules(backup_entropy=backup_entropy, stale_critic=True)
        self._switches([table[name] for name in names for _ in range(n_seeds)])
        self.sac = StackedSAC(
            self.n_problems, self.obs_dim, self.action_dim, net_arch, learning_rate, gamma, tau
        )
        self.gap_options = GapOptions(samples=u_samples)
        self._discriminators(net_arch, disc_noise, disc_next, learning_rate)
        real = self._real_rows()
        self._spread = jitter_spread(real.observations, u_jitter)
        if self.n_disc:
            self.discriminators.set_scale(real.observations, real.actions, real.next_observations)

    def learn(
        self,
        steps: int,
        every: int = 0,
        callback: Callable[[int], None] = lambda step: None,
    ) -> StackedH2O:
        """Step every simulator and update every problem once a step.

        Args:
            steps: Simulated steps of each problem, the random ones included.
            every: Steps between two calls of ``callback`` with the number of steps done; 0 never.
            callback: Evaluates or logs.
        """
        self._begin()
        for _ in range(steps):
            self._take(self._uniform() if self.steps < self.learning_starts else self._drawn())
            if self.steps > self.learning_starts:
                self.update()
            if every and self.steps % every == 0:
                callback(self.steps)
        return self

    def update(self) -> Metrics:
        """One update of every problem on fresh rows."""
        half = self.batch_size // 2
        metrics: Metrics = {}
        if self.n_disc:
            real = self.replay.sample_rows(self._all_real, self.disc_batch_size)
            sim = self.replay.sample_rows(~self._all_real, self.disc_batch_size)
            metrics = self.discriminator_step(torch.cat([real, sim], dim=1)[: self.n_disc])
        halves = [self.replay.sample_rows(flags, half) for flags in (self._real, ~self._sim)]
        metrics |= self.sac_step(torch.cat(halves, dim=1))
        self.updates += 1
        return metrics

    def discriminator_step(self, rows: Tensor) -> Metrics:
        """One step on ``(P_d, N + N, width)`` rows, real ones first (2.1)."""
        batch = unpack(self.replay.layout, rows)
        inputs = self.discriminators.inputs(
            batch.observations, batch.actions, batch.next_observations
        )
        loss = self.discriminators.loss(inputs, rows.shape[1] // 2)
        self.disc_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.disc_optimizer.step()
        return {"disc_loss": loss.detach()}

    def sac_step(self, rows: Tensor) -> Metrics:
        """Temperature, actor, critics and targets on ``(P, N + M, width)`` rows."""
        half = rows.shape[1] // 2
        batch = unpack(self.replay.layout, rows, half)
        weight, log_omega = self._terms(batch, half)
        if self._corrects and self.updates >= self.correction_starts:
            batch = batch._replace(rewards=batch.rewards + self._correction(batch))
        objective = functools.partial(
            critic_loss, n_real=half, weight=weight, log_omega=log_omega, beta=self._beta
        )
        return sac_update(self.sac, batch, self.rules, objective)

    def _terms(self, batch: HybridSamples, half: int) -> tuple[Tensor, Tensor]:
        """Weights and ``log omega`` of the second halves, ``(P, M)``; neutral where not asked."""
        shape = batch.rewards[:, half:, 0].shape
        weight, share = torch.ones(shape), uniform_share(torch.zeros(shape))
        n = self.n_disc
        if n:
            part = (slice(None, n), slice(half, None))
            terms = gap_terms(
                self.discriminators,
                batch.observations[part],
                batch.actions[part],
                batch.next_observations[part],
                self._spread[:n],
                self.gap_options,
            )
            weight[:n] = torch.where(self._use_ratio[:n], terms.weight, weight[:n])
            share[:n] = torch.where(self._use_gap[:n], log_gap_share(terms.u), share[:n])
        return weight, share

    def _correction(self, batch: HybridSamples) -> Tensor:
        """DARC's ``scale * log P_real / P_sim``, ``(P, N + M, 1)``; 0 for other methods."""
        n = self.n_disc
        added = torch.zeros_like(batch.rewards)
        g = self.discriminators.log_ratio(
            batch.observations[:n], batch.actions[:n], batch.next_observations[:n]
        )
        added[:n, :, 0] = -self._scale_of_correction[:n] * g
        return added

    def _switches(self, each: Sequence[Method]) -> None:
        def column(name: str) -> Tensor:
            return torch.tensor([[getattr(method, name)] for method in each])

        self.n_disc = sum(method.discriminates for method in each)
        self._real = np.array([method.real for method in each])
        self._sim = np.array([method.sim for method in each])
        self._all_real = np.ones(len(each), bool)
        self._use_ratio, self._use_gap = column("use_ratio"), column("use_gap")
        self._beta = column("beta")
        self._scale_of_correction = column("correction")
        self._corrects = any(method.correction for method in each)

    def _discriminators(
        self,
        net_arch: Sequence[int],
        noise: float,
        next_input: NextInput,
        learning_rate: float,
    ) -> None:
        if self.n_disc:
            self.discriminators = Discriminators(
                self.obs_dim, self.action_dim, net_arch, self.n_disc, noise, next_input
            )
            self.disc_optimizer = LeanAdam(self.discriminators.parameters(), lr=learning_rate)

    def _parts(self) -> dict[str, Any]:
        own = ("discriminators", "disc_optimizer") if self.n_disc else ()
        return {**super()._parts(), **{name: getattr(self, name) for name in own}}

    def _real_rows(self) -> HybridSamples:
        """Datasets of the problems that discriminate, cut to the shortest."""
        parts = [self.replay.offline(i) for i in range(max(1, self.n_disc))]
        shortest = min(len(part) for part in parts)
        rows = torch.stack([part[:shortest] for part in parts])
        return unpack(self.replay.layout, rows, shortest)


def _table(methods: Sequence[str] | Mapping[str, Method]) -> dict[str, Method]:
    if isinstance(methods, Mapping):
        return dict(methods)
    for name in methods:
        if name not in METHODS:
            raise UnknownNameError("method", name, METHODS)
    return {name: METHODS[name] for name in methods}
