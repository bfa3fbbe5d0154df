"""The two discriminators that tell real from simulated transitions, and what is read off them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hybridrl.agents.common.ensemble import EnsembleMLP
from hybridrl.agents.h2o.losses import bounded, discriminator_loss, log_ratio

NextInput = Literal["state", "delta"]


class Discriminators(nn.Module):
    """D_sa and D_sas of ``h2o.md`` 2.1, for one problem or several side by side.

    Inputs are standardised with the mean and deviation given to :meth:`set_scale`. All batches are
    ``(S, B, ...)``, with S problems.

    Args:
        obs_dim: Numbers an observation.
        action_dim: Numbers an action.
        net_arch: Widths of the hidden layers.
        n_problems: S.
        noise: Deviation of the noise on every input while training, in standardised units.
        next_input: ``state`` shows D_sas the next state, ``delta`` the change of state.
    """

    obs_mean: Tensor
    obs_scale: Tensor
    action_mean: Tensor
    action_scale: Tensor
    next_mean: Tensor
    next_scale: Tensor

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        net_arch: Sequence[int] = (256, 256),
        n_problems: int = 1,
        noise: float = 0.1,
        next_input: NextInput = "state",
    ) -> None:
        super().__init__()
        self.noise = noise
        self.next_input = next_input
        self.sa = EnsembleMLP(n_problems, obs_dim + action_dim, 2, net_arch)
        self.sas = EnsembleMLP(n_problems, 2 * obs_dim + action_dim, 2, net_arch)
        for name, size in (("obs", obs_dim), ("action", action_dim), ("next", obs_dim)):
            self.register_buffer(f"{name}_mean", torch.zeros(n_problems, 1, size))
            self.register_buffer(f"{name}_scale", torch.ones(n_problems, 1, size))

    @torch.no_grad()
    def set_scale(self, obs: Tensor, actions: Tensor, next_obs: Tensor) -> None:
        """Standardise by the mean and deviation of these rows, ``(S, n, ...)``."""
        later = next_obs - obs if self.next_input == "delta" else next_obs
        for name, rows in (("obs", obs), ("action", actions), ("next", later)):
            getattr(self, f"{name}_mean").copy_(rows.mean(dim=-2, keepdim=True))
            spread = rows.std(dim=-2, keepdim=True)
            # A constant column carries nothing; dividing by its zero deviation would blow it up.
            getattr(self, f"{name}_scale").copy_(torch.where(spread < 1e-6, 1.0, spread))

    def inputs(self, obs: Tensor, actions: Tensor, next_obs: Tensor) -> Tensor:
        """Standardised ``[s, a, s']`` (or ``[s, a, s' - s]``), ``(S, B, 2 O + A)``."""
        later = next_obs - obs if self.next_input == "delta" else next_obs
        parts = (
            (obs - self.obs_mean) / self.obs_scale,
            (actions - self.action_mean) / self.action_scale,
            (later - self.next_mean) / self.next_scale,
        )
        return torch.cat(parts, dim=-1)

    def loss(self, inputs: Tensor, n_real: int) -> Tensor:
        """``L_sa + L_sas`` of noisy rows (2.1); the residual form trains D_sa with both.

        Args:
            inputs: ``(S, N + M, 2 O + A)`` of :meth:`inputs`, real rows first.
            n_real: N.
        """
        if self.noise:
            inputs = inputs + self.noise * torch.randn_like(inputs)
        short = self.obs_mean.shape[-1] + self.action_mean.shape[-1]
        of_sa = bounded(self.sa(inputs[..., :short]))
        of_sas = bounded(self.sas(inputs)) + of_sa
        return discriminator_loss(of_sa[..., :n_real, :], of_sa[..., n_real:, :]) + (
            discriminator_loss(of_sas[..., :n_real, :], of_sas[..., n_real:, :])
        )

    @torch.no_grad()
    def log_ratio(self, obs: Tensor, actions: Tensor, next_obs: Tensor) -> Tensor:
        """``g = log P_sim(s'|s,a) / P_real(s'|s,a)`` (2.2) from D_sas alone, ``(S, B)``."""
        return log_ratio(bounded(self.sas(self.inputs(obs, actions, next_obs))))

    @torch.no_grad()
    def full_log_ratio(self, obs: Tensor, actions: Tensor, next_obs: Tensor) -> Tensor:
        """The same from all four probabilities (Bayes), for comparison, ``(S, B)``."""
        inputs = self.inputs(obs, actions, next_obs)
        short = self.obs_mean.shape[-1] + self.action_mean.shape[-1]
        of_sa = bounded(self.sa(inputs[..., :short]))
        p1 = torch.softmax(of_sa.double(), dim=-1)
        p2 = torch.softmax((bounded(self.sas(inputs)) + of_sa).double(), dim=-1)
        return torch.log(p2[..., 1] / p2[..., 0] * p1[..., 0] / p1[..., 1])

    @torch.no_grad()
    def around(
        self, obs: Tensor, actions: Tensor, next_obs: Tensor, spread: Tensor, count: int
    ) -> tuple[Tensor, Tensor]:
        """Log ratios at the next states and around them (2.4).

        Args:
            obs: ``(S, M, O)``.
            actions: ``(S, M, A)``.
            next_obs: ``(S, M, O)``.
            spread: Deviation of the jitter, ``(S, 1, O)``, in units of the observation.
            count: K; 0 takes the next state itself.

        Returns:
            ``(S, M)`` at the next state and ``(S, K, M)`` around it.
        """
        inputs = self.inputs(obs, actions, next_obs)
        copies = inputs.unsqueeze(-3).repeat_interleave(count + 1, dim=-3)
        size = obs.shape[-1]
        noise = torch.randn_like(copies[..., 1:, :, -size:])
        copies[..., 1:, :, -size:] += noise * (spread / self.next_scale).unsqueeze(-3)
        flat = copies.flatten(-3, -2)
        g = log_ratio(bounded(self.sas(flat))).reshape(*obs.shape[:-2], count + 1, -1)
        return g[..., 0, :], g[..., 1:, :] if count else g
