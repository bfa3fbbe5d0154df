"""Rows sorted by the step of the episode, online and offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.agents.hnpg.policy import HNPGPolicy
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.steps import step_indices

CHUNK = 4096  # rows whose features are computed at once


@dataclass(frozen=True, kw_only=True)
class OnlineRows:
    """A rollout as it came, time first.

    Args:
        features: ``(T, N, F)``.
        actions: ``(T, N[, A])``.
        log_prob: ``(T, N)``.
        rewards: ``(T, N)``, with the value after a time limit in them.
        dones: ``(T, N)``, 1 where the episode ended with the row.
        members: ``(T, N)``, which network acted.
        last_values: ``(N,)``, value after the last row.
    """

    features: Tensor
    actions: Tensor
    log_prob: Tensor
    rewards: Tensor
    dones: Tensor
    members: Tensor
    last_values: Tensor


@dataclass(frozen=True, kw_only=True)
class OfflineRows:
    """A batch of the dataset, as many rows for every network.

    Args:
        features: ``(E, M, F)``.
        actions: ``(E, M[, A])``.
        rewards: ``(E, M)``.
        next_features: ``(E, M, F)``.
        terminations: ``(E, M)``, 1 where nothing follows.
        mask: 0 for networks without data, ``(E, M)``.
    """

    features: Tensor
    actions: Tensor
    rewards: Tensor
    next_features: Tensor
    terminations: Tensor
    mask: Tensor


def grouped(members: Tensor, n_members: int) -> tuple[Tensor, Tensor]:
    """Where the rows of every network are, padded to the longest.

    Args:
        members: ``(M,)``, from 0 to E - 1.
        n_members: E.

    Returns:
        Row numbers ``(E, B)`` and a mask that is 0 for padding ``(E, B)``.
    """
    counts = torch.bincount(members, minlength=n_members)
    order = torch.argsort(members, stable=True)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(members), device=members.device) - first[members[order]]
    shape = (n_members, int(counts.max()))
    index = torch.zeros(shape, dtype=torch.int64, device=members.device)
    mask = torch.zeros(shape, device=members.device)
    index[members[order], place] = order
    mask[members[order], place] = 1.0
    return index, mask


class OfflineSteps:
    """A dataset whose rows can be drawn by the step of the episode.

    Args:
        dataset: Offline data.
        policy: Makes features of the observations, once.
        horizon: Steps of an episode where each has a network; ``None`` for one network.

    Raises:
        DatasetError: If an episode is longer than the horizon.
    """

    def __init__(self, dataset: OfflineDataset, policy: HNPGPolicy, horizon: int | None) -> None:
        self.dataset = dataset
        device = policy.device
        self._features = _features(dataset.observations, policy)
        self._next = _features(dataset.next_observations, policy)
        actions = _checked_actions(dataset, policy)
        self._actions = torch.as_tensor(actions, device=device)
        self._rewards = torch.as_tensor(np.array(dataset.rewards), device=device)
        self._ends = torch.as_tensor(np.array(dataset.terminations), device=device).float()
        steps = step_indices(dataset, horizon)
        members = steps if horizon is not None else np.zeros_like(steps)
        order = torch.as_tensor(np.argsort(members, kind="stable"), device=device)
        self._order = order
        counts = np.bincount(members, minlength=horizon or 1)
        self._counts = torch.as_tensor(counts, device=device)
        self._first = torch.as_tensor(np.cumsum(counts) - counts, device=device)

    def sample(self, rows: int) -> OfflineRows:
        """Rows of every step, drawn with replacement by torch's generator.

        Args:
            rows: M.
        """
        counts = self._counts.unsqueeze(1)
        drawn = torch.rand(len(self._counts), rows, device=counts.device, dtype=torch.float64)
        place = (drawn * counts).long().clamp_max(counts.clamp_min(1) - 1)
        chosen = self._order[(self._first.unsqueeze(1) + place).clamp_max(len(self._order) - 1)]
        return OfflineRows(
            features=self._features[chosen],
            actions=self._actions[chosen],
            rewards=self._rewards[chosen],
            next_features=self._next[chosen],
            terminations=self._ends[chosen],
            mask=(counts > 0).float().expand(-1, rows),
        )


def _checked_actions(dataset: OfflineDataset, policy: HNPGPolicy) -> NDArray[Any]:
    """Actions ``(n,)`` or ``(n, A)``; a Gaussian's may lie outside the space's bounds."""
    actions = np.array(dataset.actions).reshape(len(dataset), -1)
    if not policy.head.discrete:
        if actions.shape[1] != policy.action_size or actions.dtype.kind != "f":
            found = f"{actions.dtype} {actions.shape}"
            raise DatasetError("actions", found, f"{policy.action_size} numbers in each row")
        return actions
    if actions.shape[1] != 1 or actions.dtype.kind not in "iu":
        raise DatasetError("actions", f"{actions.dtype} {actions.shape}", "one whole number a row")
    if actions.min() < 0 or actions.max() >= policy.action_size:
        found = f"{actions.min()} to {actions.max()}"
        raise DatasetError("actions", found, f"0 to {policy.action_size - 1}")
    return actions[:, 0].astype(np.int64)


def _features(observations: Any, policy: HNPGPolicy) -> Tensor:
    data = np.asarray(observations)
    policy.fit_features(data[:CHUNK].copy())
    parts = [policy.features(data[k : k + CHUNK].copy()) for k in range(0, len(data), CHUNK)]
    return torch.cat(parts)
