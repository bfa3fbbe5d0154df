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
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.replay import HybridSamples, unpack
from hybridrl.agents.common.rows import RowLayout
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update
from hybridrl.agents.common.stacked import StackedReplay, StackedSAC, pack
from hybridrl.agents.h2o.discriminators import Discriminators, NextInput
from hybridrl.agents.h2o.estimator import GapOptions, gap_terms, jitter_spread
from hybridrl.agents.h2o.losses import critic_loss, log_gap_share, uniform_share
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError, UnknownNameError


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


class StackedH2O:
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
        self.names = sorted(table, key=lambda name: not table[name].discriminates)
        self.n_seeds, self.batch_size = n_seeds, batch_size
        self.disc_batch_size = disc_batch_size
        self.simulator, self.learning_starts = simulator, learning_starts
        self.correction_starts = correction_starts
        self.rules = SACRules(backup_entropy=backup_entropy, stale_critic=True)
        each = [table[name] for name in self.names for _ in range(n_seeds)]
        self.n_problems = len(each)
        self._switches(each)
        sets = [datasets] if isinstance(datasets, OfflineDataset) else list(datasets)
        _check(simulator, self.n_problems, len(sets), n_seeds)
        self._seed, self._obs, self._steps = seed, None, 0
        torch.manual_seed(seed)
        observation, action = simulator.single_observation_space, simulator.single_action_space
        assert isinstance(observation, spaces.Box) and isinstance(action, spaces.Box)
        self._space = action
        obs_dim, action_dim = int(observation.shape[0]), int(action.shape[0])
        self.sac = StackedSAC(
            self.n_problems, obs_dim, action_dim, net_arch, learning_rate, gamma, tau
        )
        layout = RowLayout(observation, action_dim)
        owner = [s % len(sets) for _ in self.names for s in range(n_seeds)]
        rows = [pack(data, layout, action) for data in sets]
        self.replay = StackedReplay(capacity, layout, rows, owner, seed)
        self.gap_options = GapOptions(samples=u_samples)
        self._discriminators(obs_dim, action_dim, net_arch, disc_noise, disc_next, learning_rate)
        real = self._real_rows()
        self._spread = jitter_spread(real.observations, u_jitter)
        if self.n_disc:
            self.discriminators.set_scale(real.observations, real.actions, real.next_observations)
        self.rng = np.random.default_rng(seed + 1)
        self.updates = 0

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
        if self._obs is None:
            self._obs = self.simulator.reset(seed=self._seed)[0]
        for _ in range(steps):
            self._act()
            self._steps += 1
            if self._steps > self.learning_starts:
                self.update()
            if every and self._steps % every == 0:
                callback(self._steps)
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
        seeds = [seed + k for _ in range(self.n_problems) for k in range(episodes)]
        obs, _ = env.reset(seed=seeds)  # type: ignore[arg-type]
        total = np.zeros(len(seeds))
        running = np.ones(len(seeds), bool)
        while running.any():
            shaped = torch.as_tensor(obs.reshape(self.n_problems, episodes, -1))
            actions = self.sac.actor.act(shaped.float(), deterministic=True).numpy()
            obs, rewards, terminated, truncated, _ = env.step(
                self._unscaled(actions.reshape(len(seeds), -1))
            )
            total += running * rewards
            running &= ~(terminated | truncated)
        env.close()
        grid = total.reshape(len(self.names), self.n_seeds, episodes)
        return dict(zip(self.names, grid, strict=True))

    def _act(self) -> None:
        if self._steps < self.learning_starts:
            scaled = self.rng.uniform(-1.0, 1.0, (self.n_problems, *self._space.shape))
        else:
            obs = torch.as_tensor(np.asarray(self._obs, np.float32)).unsqueeze(1)
            scaled = self.sac.actor.act(obs).squeeze(1).numpy()
        later, rewards, terminated, truncated, info = self.simulator.step(self._unscaled(scaled))
        last = later
        if (terminated | truncated).any():
            last = later.copy()
            for i in np.flatnonzero(terminated | truncated):
                last[i] = info["final_obs"][i]
        self.replay.add(self._obs, scaled, rewards, last, terminated)
        self._obs = later

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
        obs_dim: int,
        action_dim: int,
        net_arch: Sequence[int],
        noise: float,
        next_input: NextInput,
        learning_rate: float,
    ) -> None:
        if self.n_disc:
            self.discriminators = Discriminators(
                obs_dim, action_dim, net_arch, self.n_disc, noise, next_input
            )
            self.disc_optimizer = LeanAdam(self.discriminators.parameters(), lr=learning_rate)

    def _real_rows(self) -> HybridSamples:
        """Datasets of the problems that discriminate, cut to the shortest."""
        parts = [self.replay.offline(i) for i in range(max(1, self.n_disc))]
        shortest = min(len(part) for part in parts)
        rows = torch.stack([part[:shortest] for part in parts])
        return unpack(self.replay.layout, rows, shortest)

    def _unscaled(self, scaled: NDArray[Any]) -> NDArray[Any]:
        low, high = self._space.low, self._space.high
        actions: NDArray[Any] = (low + 0.5 * (scaled + 1.0) * (high - low)).astype(np.float32)
        return actions


def _table(methods: Sequence[str] | Mapping[str, Method]) -> dict[str, Method]:
    if isinstance(methods, Mapping):
        return dict(methods)
    for name in methods:
        if name not in METHODS:
            raise UnknownNameError("method", name, METHODS)
    return {name: METHODS[name] for name in methods}


def _check(simulator: VectorEnv[Any, Any, Any], problems: int, sets: int, seeds: int) -> None:
    if simulator.num_envs != problems:
        raise ScenarioError(
            "simulator", simulator.num_envs, f"{problems} rows: methods times seeds"
        )
    if sets not in (1, seeds):
        raise ScenarioError("datasets", sets, f"one, or one for each of {seeds} seeds")
