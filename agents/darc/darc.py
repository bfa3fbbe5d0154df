"""DARC: learn in the simulator alone, with a reward that makes its errors cost something."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from hybridrl.agents.common.hybrid_sac import OBSERVED
from hybridrl.agents.common.replay import HybridSamples
from hybridrl.agents.common.sac_core import Metrics, sac_update
from hybridrl.agents.h2o.discriminating import DiscriminatingSAC


class DARC(DiscriminatingSAC):
    """Off-dynamics reward correction (Eysenbach et al., 2021), with a dataset as the real system.

    SAC on simulated rows only; their reward is ``r + scale * log P_real/P_sim``, the ratio being
    that of H2O's discriminators. Real rows train the discriminators and nothing else.

    Args:
        policy: ``MlpPolicy`` or a class; see :class:`HybridSAC`.
        env: The simulator.
        correction: Scale of the correction.
        correction_starts: Updates before it is applied; the discriminators learn meanwhile.
        **kwargs: Of :class:`DiscriminatingSAC` and SAC; ``offline_dataset`` is the real data.
    """

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        correction: float = 1.0,
        correction_starts: int = 1000,
        **kwargs: Any,
    ) -> None:
        self.correction = correction
        self.correction_starts = correction_starts
        super().__init__(policy, env, **kwargs)

    def update(self, batch_size: int, follow: bool) -> Metrics:
        """Discriminators, then SAC on simulated rows with the corrected reward."""
        metrics = self.discriminator_step() if self.due(self.disc_every) else {}
        rows, _ = self.replay_buffer.sample_rows(batch_size, "online")
        batch = self.replay_buffer.unpacked(rows, 0, self._vec_normalize_env)
        if self._n_updates + self._step_of_train >= self.correction_starts:
            raw = self.replay_buffer.unpacked(rows)
            added = self.correction * self._log_real(raw)
            batch = batch._replace(rewards=batch.rewards + added.unsqueeze(-1))
            metrics["reward_correction"] = added.mean()
        observe = self.due(OBSERVED)
        return metrics | sac_update(self, batch, self.rules, follow=follow, observe=observe)

    def _log_real(self, batch: HybridSamples) -> Tensor:
        """``log P_real / P_sim`` of rows, ``(B,)``."""
        return -self.log_ratios(batch.observations, batch.actions, batch.next_observations)
