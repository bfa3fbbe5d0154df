"""SAC with discriminators of real and simulated transitions; the base of H2O and DARC."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.replay import HybridReplayBuffer, HybridSamples
from hybridrl.agents.common.sac_core import Metrics
from hybridrl.agents.h2o.discriminators import Discriminators, NextInput
from hybridrl.planners.errors import ScenarioError

SCALE_ROWS = 100_000  # of the dataset, that inputs are standardised by


class DiscriminatingSAC(HybridSAC):
    """SAC beside discriminators that learn to tell real from simulated transitions.

    Args:
        policy: See :class:`HybridSAC`.
        env: The simulator. The real system is never stepped.
        backup_entropy: Entropy belongs to the target value.
        disc_net_arch: Hidden layers of each discriminator.
        disc_batch_size: Real rows, and as many simulated ones, of a discriminator step.
        disc_noise: Deviation of the noise on the discriminators' inputs while they train.
        disc_every: Updates between two discriminator steps.
        disc_next: ``state`` shows them the next state, ``delta`` the change of state.
        standardise: Scale their inputs by the dataset's statistics.
        **kwargs: Of :class:`HybridSAC`; ``offline_dataset`` is the real data.
    """

    discriminators: Discriminators

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        backup_entropy: bool = True,
        disc_net_arch: tuple[int, ...] = (256, 256),
        disc_batch_size: int = 256,
        disc_noise: float = 0.1,
        disc_every: int = 1,
        disc_next: NextInput = "state",
        standardise: bool = True,
        **kwargs: Any,
    ) -> None:
        self.disc_net_arch = tuple(disc_net_arch)
        self.disc_batch_size = disc_batch_size
        self.disc_noise = disc_noise
        self.disc_every = disc_every
        self.disc_next = disc_next
        self.standardise = standardise
        super().__init__(policy, env, backup_entropy=backup_entropy, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        if not isinstance(self.observation_space, spaces.Box):
            raise ScenarioError("observation_space", self.observation_space, "a flat Box")
        self.discriminators = Discriminators(
            int(self.observation_space.shape[0]),
            int(self.action_space.shape[0]),  # type: ignore[index]
            self.disc_net_arch,
            noise=self.disc_noise,
            next_input=self.disc_next,
        ).to(self.device)
        self.disc_optimizer = LeanAdam(self.discriminators.parameters(), lr=self.lr_schedule(1))
        if self.offline_dataset is not None:
            self._use_statistics(self.real_rows(SCALE_ROWS))

    def real_rows(self, count: int) -> HybridSamples:
        """The first rows of the dataset as the buffer holds them: actions in [-1, 1]."""
        buffer: HybridReplayBuffer = self.replay_buffer
        return buffer.unpacked(buffer.offline_rows[:count], min(count, buffer.n_offline))

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Do updates; needs real and simulated rows.

        Raises:
            ScenarioError: If there is no dataset, or no simulated transition yet.
        """
        buffer = self.replay_buffer
        hybrid = isinstance(buffer, HybridReplayBuffer) and buffer.n_offline
        if not hybrid or not buffer.size():
            name = type(self).__name__
            raise ScenarioError(
                "offline_dataset",
                self.offline_dataset,
                f"a dataset of the real system and simulated steps: {name} learns from both",
            )
        super().train(gradient_steps, batch_size)

    def discriminator_step(self) -> Metrics:
        """One step of both discriminators on fresh rows (2.1)."""
        half = self.disc_batch_size
        rows, n_real = self.replay_buffer.sample_rows(2 * half, "mixed", 0.5)
        batch = self.replay_buffer.unpacked(rows, n_real)
        inputs = self.discriminators.inputs(*transition(batch, slice(None)))
        loss = self.discriminators.loss(inputs, n_real)
        self.disc_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.disc_optimizer.step()
        return {"disc_loss": loss.detach()}

    def log_ratios(self, obs: Any, actions: Any, next_obs: Any) -> Tensor:
        """``log P_sim / P_real`` of transitions with actions in [-1, 1], ``(B,)``."""
        parts = [
            torch.as_tensor(part, dtype=torch.float32, device=self.device)
            for part in (obs, actions, next_obs)
        ]
        return self.discriminators.log_ratio(*(part.unsqueeze(0) for part in parts))[0]

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """All whose learning rate follows the schedule."""
        return [*super().optimizers(), self.disc_optimizer]

    def _use_statistics(self, real: HybridSamples) -> None:
        if self.standardise:
            self.discriminators.set_scale(*transition(real, slice(None)))

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "discriminators", "disc_optimizer"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        states, tensors = super()._get_torch_save_params()
        return [*states, "discriminators", "disc_optimizer"], tensors


def transition(batch: HybridSamples, part: slice) -> tuple[Tensor, Tensor, Tensor]:
    """``s, a, s'`` of some rows with a leading dimension for one problem."""
    return (
        batch.observations[part].unsqueeze(0),
        batch.actions[part].unsqueeze(0),
        batch.next_observations[part].unsqueeze(0),
    )
