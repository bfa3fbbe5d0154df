"""H2O: soft actor-critic on real data and an imperfect simulator, with the gap accounted for."""

from __future__ import annotations

import functools
from typing import Any

from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy

from hybridrl.agents.common.hybrid_sac import OBSERVED
from hybridrl.agents.common.policies import HybridSACPolicy
from hybridrl.agents.common.replay import HybridSamples
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update
from hybridrl.agents.h2o.discriminating import DiscriminatingSAC, transition
from hybridrl.agents.h2o.estimator import (
    GapOptions,
    GapTerms,
    StdMode,
    gap_terms,
    jitter_spread,
)
from hybridrl.agents.h2o.losses import critic_loss

DIAGNOSTICS = 100  # updates between two looks at weights and gaps


class H2O(DiscriminatingSAC):
    """H2O (arXiv 2206.13464): learn in a simulator, with data of the real system, for the latter.

    Bellman errors of simulated rows are weighted by the estimated dynamics ratio, and a penalty
    pushes values down on simulated pairs, more where the dynamics differ, and up on real pairs.
    ``env`` is the simulator and ``offline_dataset`` the real data; the real system is never
    stepped.

    Args:
        policy: ``MlpPolicy`` or a class; see :class:`HybridSAC`.
        env: The simulator.
        beta: Weight of the penalty; 0 turns it off.
        penalty_temperature: T of its soft maximum.
        mean_penalty: The variant with a weighted mean instead of the soft maximum.
        use_ratio: Weigh Bellman errors of simulated rows.
        use_gap: Weigh the penalty by the gap; uniform without.
        u_samples: Jittered next states of the gap estimate.
        u_jitter: Their deviation, as a share of that of the states.
        std_mode: ``data``, or ``public`` for the deviation that the public code computes.
        soft_gap: ``softplus`` instead of a hard clip of negative gaps.
        w_clip: Bounds of the weights.
        normalise_w: Divide the weights by their mean.
        public: The public code's estimator: ``u_jitter=1``, ``std_mode="public"`` and inputs that
            are not standardised.
        backup_entropy: Entropy belongs to the target value.
        learning_starts: Random steps of the simulator before the first update.
        policy_kwargs: Of the policy; output gain 0.01 and a learned affine log deviation unless
            said otherwise.
        **kwargs: Of :class:`DiscriminatingSAC`: ``offline_dataset``, ``disc_batch_size``, ...,
            ``offline_fraction`` (real share of a batch) and the arguments of SAC.
    """

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        beta: float = 0.01,
        penalty_temperature: float = 1.0,
        mean_penalty: bool = False,
        use_ratio: bool = True,
        use_gap: bool = True,
        u_samples: int = 10,
        u_jitter: float = 0.1,
        std_mode: StdMode = "data",
        soft_gap: bool = False,
        w_clip: tuple[float, float] = (1e-5, 1.0),
        normalise_w: bool = False,
        public: bool = False,
        backup_entropy: bool = False,
        learning_starts: int = 300,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.beta = beta
        self.penalty_temperature = penalty_temperature
        self.mean_penalty = mean_penalty
        self.public = public
        self.u_jitter = 1.0 if public else u_jitter
        self.std_mode = "public" if public else std_mode
        self.gap_options = GapOptions(
            use_ratio, use_gap, u_samples, (w_clip[0], w_clip[1]), soft_gap, normalise_w
        )
        if public:
            kwargs["standardise"] = False
        if policy == "MlpPolicy" or policy is HybridSACPolicy:
            policy_kwargs = {"affine_log_std": True, "output_gain": 0.01, **(policy_kwargs or {})}
        super().__init__(
            policy,
            env,
            backup_entropy=backup_entropy,
            learning_starts=learning_starts,
            policy_kwargs=policy_kwargs,
            **kwargs,
        )

    @property
    def rules(self) -> SACRules:
        """Actor and critics step from the same parameters, as in the public code."""
        return SACRules(backup_entropy=self.backup_entropy, stale_critic=True)

    def update(self, batch_size: int, follow: bool) -> Metrics:
        """Discriminators, then temperature, actor and critics, then targets (2.7)."""
        metrics: Metrics = {}
        options = self.gap_options
        if (options.use_ratio or options.use_gap) and self.due(self.disc_every):
            metrics = self.discriminator_step()
        rows, n_real = self.replay_buffer.sample_rows(batch_size)
        batch = self.replay_buffer.unpacked(rows, n_real, self._vec_normalize_env)
        terms = self.gap_terms(self.replay_buffer.unpacked(rows, n_real))
        objective = functools.partial(
            critic_loss,
            n_real=n_real,
            weight=terms.weight[0],
            log_omega=terms.log_omega[0] if self.beta else None,
            beta=self.beta,
            temperature=self.penalty_temperature,
            mean_penalty=self.mean_penalty,
        )
        metrics |= sac_update(self, batch, self.rules, objective, follow, self.due(OBSERVED))
        if self.due(DIAGNOSTICS):
            metrics |= terms.metrics()
        return metrics

    def gap_terms(self, batch: HybridSamples) -> GapTerms:
        """Weights and gaps of the simulated rows of a batch that is not normalised."""
        sim = transition(batch, slice(batch.n_offline, None))
        return gap_terms(self.discriminators, *sim, self._spread, self.gap_options)

    def _use_statistics(self, real: HybridSamples) -> None:
        super()._use_statistics(real)
        states = real.observations.unsqueeze(0)
        self._spread = jitter_spread(states, self.u_jitter, self.std_mode)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_spread"]
