"""Many small soft actor-critics trained at once: every tensor has a leading axis of P problems.

A problem is a seed of a method. Small networks leave a core idle between operations; side by side
they share each operation, through the same losses and the same update as a single agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import Tensor, nn

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.ensemble import EnsembleLinear, EnsembleMLP
from hybridrl.agents.common.policies import squashed_gaussian
from hybridrl.agents.common.rows import RowLayout


class StackedActor(nn.Module):
    """P actors as in :class:`LeanActor`.

    Args:
        n_problems: P.
        obs_dim: Numbers an observation.
        action_dim: Numbers an action.
        net_arch: Widths of the hidden layers.
        affine_log_std: Two learned numbers scale and shift the log deviation.
    """

    def __init__(
        self,
        n_problems: int,
        obs_dim: int,
        action_dim: int,
        net_arch: Sequence[int] = (64, 64),
        affine_log_std: bool = True,
    ) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.net = EnsembleMLP(n_problems, obs_dim, 2 * action_dim, net_arch)
        start = torch.tensor([1.0, -1.0]).repeat(n_problems, 1)
        self.affine = nn.Parameter(start) if affine_log_std else None

    def gaussian(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log deviation before the squashing of ``(P, B, O)``, both ``(P, B, A)``."""
        both = self.net(obs)
        mean, log_std = both[..., : self.action_dim], both[..., self.action_dim :]
        if self.affine is not None:
            log_std = log_std * self.affine[:, 0, None, None] + self.affine[:, 1, None, None]
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def action_log_prob(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Reparameterised actions ``(P, B, A)`` and their log-probabilities ``(P, B)``."""
        mean, log_std = self.gaussian(obs)
        return squashed_gaussian(mean, log_std, torch.randn_like(mean))

    @torch.no_grad()
    def act(self, obs: Tensor, deterministic: bool = False) -> Tensor:
        """Actions in [-1, 1] for ``(P, B, O)``, ``(P, B, A)``."""
        mean, log_std = self.gaussian(obs)
        if deterministic:
            return torch.tanh(mean)
        return torch.tanh(torch.addcmul(mean, log_std.exp(), torch.randn_like(mean)))


class StackedCritic(nn.Module):
    """E critics of each of P problems.

    Args:
        n_problems: P.
        obs_dim: Numbers an observation.
        action_dim: Numbers an action.
        net_arch: Widths of the hidden layers.
        n_critics: E.
        layer_norm: Normalise before each activation.
    """

    def __init__(
        self,
        n_problems: int,
        obs_dim: int,
        action_dim: int,
        net_arch: Sequence[int] = (64, 64),
        n_critics: int = 2,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.n_problems, self.n_critics = n_problems, n_critics
        inputs = obs_dim + action_dim
        self.net = EnsembleMLP(n_problems * n_critics, inputs, 1, net_arch, layer_norm=layer_norm)

    def values(self, obs: Tensor, actions: Tensor, members: Tensor | None = None) -> Tensor:
        """Q of ``(P, B, O)`` and ``(P, B, A)``, ``(P, E, B)``; or of some members, the same of all.

        Args:
            obs: ``(P, B, O)``.
            actions: ``(P, B, A)``.
            members: Indices ``(Z,)`` below E; the answer is then ``(P, Z, B)``.
        """
        count, index = self.n_critics, None
        if members is not None:
            first = self.n_critics * torch.arange(self.n_problems, device=members.device)
            count, index = len(members), (first[:, None] + members).flatten()
        pairs = torch.cat([obs, actions], dim=-1).repeat_interleave(count, dim=0)
        values: Tensor = self.net(pairs, index).squeeze(-1)
        return values.reshape(self.n_problems, count, -1)


class StackedSAC:
    """Networks, temperatures and optimisers of P problems, as ``sac_core`` wants them.

    Args:
        n_problems: P.
        obs_dim: Numbers an observation.
        action_dim: Numbers an action.
        net_arch: Widths of the hidden layers.
        learning_rate: Of everything.
        gamma: Discount.
        tau: Share by which targets move.
        output_gain: Xavier gain of the output layers, whose biases are then 0.
        affine_log_std: See :class:`StackedActor`.
        device: As torch names it.
        n_critics: E of each problem.
        layer_norm: Normalise in the critics.
    """

    use_sde = False
    batch_norm_stats: tuple[Tensor, ...] = ()
    batch_norm_stats_target: tuple[Tensor, ...] = ()

    def __init__(
        self,
        n_problems: int,
        obs_dim: int,
        action_dim: int,
        net_arch: Sequence[int] = (64, 64),
        learning_rate: float = 3e-4,
        gamma: float = 0.99,
        tau: float = 0.005,
        output_gain: float | None = 0.01,
        affine_log_std: bool = True,
        device: torch.device | str = "cpu",
        n_critics: int = 2,
        layer_norm: bool = False,
    ) -> None:
        self.gamma, self.tau = gamma, tau
        self.target_entropy = -float(action_dim)
        self.device = torch.device(device)
        sizes = (n_problems, obs_dim, action_dim, net_arch)
        self.actor = StackedActor(*sizes, affine_log_std=affine_log_std)
        self.critic = StackedCritic(*sizes, n_critics=n_critics, layer_norm=layer_norm)
        if output_gain is not None:
            for head in (self.actor.net.head, self.critic.net.head):
                _small_output(head, output_gain)
        self.critic_target = StackedCritic(*sizes, n_critics=n_critics, layer_norm=layer_norm)
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.critic_target.requires_grad_(False)
        for network in (self.actor, self.critic, self.critic_target):
            network.to(self.device)
        self.log_ent_coef = torch.zeros(n_problems, 1, device=self.device, requires_grad=True)
        self.ent_coef_optimizer = LeanAdam([self.log_ent_coef], lr=learning_rate)
        self.actor.optimizer = LeanAdam(self.actor.parameters(), lr=learning_rate)  # type: ignore[assignment]
        self.critic.optimizer = LeanAdam(self.critic.parameters(), lr=learning_rate)  # type: ignore[assignment]


class StackedReplay:
    """Rings of P problems and their datasets in one float32 matrix: one gather a batch.

    Args:
        capacity: Online rows of each problem.
        observation_space: A flat ``Box``.
        action_space: A ``Box``; dataset actions are rescaled with its bounds.
        datasets: Packed rows ``(n, width)`` of :meth:`pack`, several problems may share one.
        owner: Index into ``datasets`` of each problem, ``(P,)``.
        seed: Of the generator that draws rows.
    """

    def __init__(
        self,
        capacity: int,
        layout: RowLayout,
        datasets: Sequence[NDArray[np.float32]],
        owner: Sequence[int],
        seed: int | None = None,
    ) -> None:
        self.layout, self.capacity = layout, capacity
        self.n_problems = len(owner)
        lengths = np.array([len(rows) for rows in datasets])
        starts = np.cumsum([0, *lengths[:-1]])
        self._offline_start = starts[list(owner)][:, None]
        self._offline_length = lengths[list(owner)][:, None]
        total = int(lengths.sum())
        self._online_start = (total + capacity * np.arange(self.n_problems))[:, None]
        matrix = np.zeros((total + capacity * self.n_problems, layout.width), np.float32)
        np.concatenate(datasets, out=matrix[:total])
        self._rows = torch.from_numpy(matrix)
        self.added = 0
        self.rng = np.random.default_rng(seed)

    @property
    def size(self) -> int:
        """Online rows of each problem."""
        return min(self.added, self.capacity)

    def offline(self, problem: int) -> Tensor:
        """Packed rows of a problem's dataset, ``(n, width)``."""
        start = int(self._offline_start[problem, 0])
        return self._rows[start : start + int(self._offline_length[problem, 0])]

    def add(self, obs: Any, actions: Any, rewards: Any, next_obs: Any, terminated: Any) -> None:
        """Append one transition of every problem: ``(P, O)``, ``(P, A)``, ``(P,)``, ..."""
        layout = self.layout
        rows = np.zeros((self.n_problems, layout.width), np.float32)
        layout.write_observations(rows, obs, follows=False)
        layout.write_observations(rows, next_obs, follows=True)
        rows[:, layout.actions] = actions
        rows[:, layout.reward] = rewards
        rows[:, layout.terminal] = terminated
        places = self._online_start[:, 0] + self.added % self.capacity
        self._rows[torch.from_numpy(places)] = torch.from_numpy(rows)
        self.added += 1

    def export_state(self) -> dict[str, Any]:
        """Online rows of every problem, their number and the generator, for a state on disk."""
        rows = self._online()[:, : self.size]
        return {"rows": rows, "added": self.added, "generator": self.rng.bit_generator.state}

    def import_state(self, state: dict[str, Any]) -> None:
        """Take what :meth:`export_state` gave for equal datasets."""
        self.added = state["added"]
        self._online()[:, : self.size] = torch.as_tensor(state["rows"])
        self.rng.bit_generator.state = state["generator"]

    def _online(self) -> Tensor:
        """The rings, ``(P, capacity, width)``, a view."""
        first = int(self._online_start[0, 0])
        return self._rows[first:].reshape(self.n_problems, self.capacity, -1)

    def sample_rows(self, n_offline: NDArray[np.bool_], count: int) -> Tensor:
        """``count`` rows a problem from its dataset where the flag is set, else from its ring.

        Args:
            n_offline: ``(P,)`` flags.
            count: Rows of each problem.

        Returns:
            ``(P, count, width)``.
        """
        return self.sample_mixed(count * np.asarray(n_offline, np.int64), count)

    def sample_mixed(self, n_offline: NDArray[np.int64], count: int) -> Tensor:
        """``count`` rows a problem, the first ``n_offline`` (``(P,)``) of them from its dataset.

        Returns:
            ``(P, count, width)``.
        """
        offline = np.arange(count) < np.asarray(n_offline)[:, None]
        start = np.where(offline, self._offline_start, self._online_start)
        length = np.where(offline, self._offline_length, self.size)
        index = start + self.rng.integers(length)
        flat = self._rows.index_select(0, torch.from_numpy(index.reshape(-1)))
        return flat.reshape(self.n_problems, count, self.layout.width)


def pack(dataset: Any, layout: RowLayout, action_space: spaces.Box) -> NDArray[np.float32]:
    """Packed rows of an ``OfflineDataset``, actions rescaled to [-1, 1]."""
    from hybridrl.agents.common.replay import HybridReplayBuffer

    space = dataset.observation_space
    if space is None:
        space = spaces.Box(-np.inf, np.inf, dataset.observations.shape[1:])
    buffer = HybridReplayBuffer(1, space, action_space, "cpu", offline_dataset=dataset)
    packed: NDArray[np.float32] = buffer.offline_rows.numpy().copy()
    return packed


def _small_output(head: EnsembleLinear, gain: float) -> None:
    for weight in head.weight.data:
        nn.init.xavier_uniform_(weight, gain)
    nn.init.zeros_(head.bias)
