"""Offline data as arrays: validated, with episodes, and the same wherever it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.datasets import checks
from hybridrl.datasets.arrays import (
    Array,
    Observations,
    coerced,
    flags,
    frozen,
    mapped,
    named,
    stacked,
)
from hybridrl.datasets.errors import DatasetError

_COLUMNS = ("observations", "actions", "rewards", "next_observations")


@dataclass(frozen=True, kw_only=True, eq=False)
class OfflineDataset:
    """Transitions in the order in which they happened, validated when made and read-only.

    Floating-point arrays become contiguous float32, integers int64; ``uint8`` stays as it is.
    The end of an episode is a row that terminates or truncates, and the last row. Where a stream
    of data stops or breaks without either, ``ends`` says so.

    Args:
        observations: ``(n, ...)``, or one such array for each key.
        actions: ``(n, ...)``; ``(n,)`` whole numbers where they are discrete. In the units of the
            action space.
        rewards: ``(n,)``.
        next_observations: As ``observations``, after the step: at an episode's end the true last
            observation, not the first of the next.
        terminations: ``(n,)``, whether the task ended the episode (no bootstrapping).
        truncations: ``(n,)``, whether time ended it (bootstraps).
        mc_returns: ``(n,)``, discounted Monte-Carlo return from each row on, or ``None``.
        ends: Row after the last of each episode, rising; found from the flags by default.
        observation_space: Gymnasium space that the observations are checked against.
        action_space: The same for actions, and their bounds.
        metadata: JSON-able facts: environment, provenance, reference scores.

    Raises:
        DatasetError: If lengths, shapes, types, bounds or ends are wrong, or a number is not
            finite; the message names the field.
    """

    observations: Observations
    actions: Array
    rewards: Array
    next_observations: Observations
    terminations: Array
    truncations: Array
    mc_returns: Array | None = None
    ends: Any = None
    observation_space: Any = None
    action_space: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Coerce, then check."""
        for name in _COLUMNS:
            self._set(name, coerced(name, getattr(self, name)))
        if isinstance(self.actions, dict):
            raise DatasetError("actions", sorted(self.actions), "one array")
        self._set("rewards", frozen(np.asarray(self.rewards, np.float32)))
        for name in ("terminations", "truncations"):
            self._set(name, flags(name, getattr(self, name)))
        if self.mc_returns is not None:
            self._set("mc_returns", frozen(np.asarray(self.mc_returns, np.float32)))
        self._check()

    def _check(self) -> None:
        columns = {name: getattr(self, name) for name in (*_COLUMNS, "terminations", "truncations")}
        if self.mc_returns is not None:
            columns["mc_returns"] = self.mc_returns
        rows = checks.check_lengths(columns)
        for name in columns.keys() - {"observations", "next_observations", "actions"}:
            checks.check_column(name, columns[name])
        for name, data in columns.items():
            checks.check_finite(name, data)
        checks.check_same_shape(self.observations, self.next_observations)
        checks.check_spaces(
            self.observations, self.actions, self.observation_space, self.action_space
        )
        done = self.terminations | self.truncations
        ends = np.union1d(np.flatnonzero(done) + 1, [rows]) if self.ends is None else self.ends
        checks.check_ends(np.asarray(ends), rows, done)
        self._set("ends", frozen(np.asarray(ends, np.int64)))

    def __len__(self) -> int:
        """Number of transitions."""
        return len(self.rewards)

    @property
    def starts(self) -> NDArray[np.int64]:
        """First row of each episode, ``(n_episodes,)``."""
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Rows of each episode, ``(n_episodes,)``."""
        return np.asarray(np.diff(self.ends, prepend=0), np.int64)

    @property
    def n_episodes(self) -> int:
        """Number of episodes, an unfinished last one included."""
        return len(self.ends)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of a row of each observation (dotted keys) and of an action."""
        pairs = [*named("observations", self.observations), ("actions", self.actions)]
        return {name: array.shape[1:] for name, array in pairs}

    def returns(self) -> NDArray[np.float64]:
        """Undiscounted return of each episode, ``(n_episodes,)``."""
        return np.add.reduceat(self.rewards.astype(np.float64), self.starts)

    def monte_carlo_returns(
        self, gamma: float, failure_reward: float | None = None
    ) -> NDArray[np.float32]:
        """Discounted return from each row to the end of its episode, ``(n,)``.

        ``R_t = r_t + gamma R_(t+1)``; nothing is added after the last row, so the returns of an
        episode that time ended are lower bounds where rewards are not negative.

        Args:
            gamma: Discount, 0 to 1.
            failure_reward: For sparse tasks: an episode in which every reward is this one counts
                as if it went on for ever, ``failure_reward / (1 - gamma)`` (Cal-QL).

        Raises:
            DatasetError: If ``gamma`` is outside.
        """
        if not 0.0 <= gamma <= 1.0 or (gamma == 1.0 and failure_reward is not None):
            raise DatasetError("gamma", gamma, "a number from 0 to 1 (below 1 with failures)")
        result = self.rewards.astype(np.float64)
        longest = int(self.lengths.max())
        for back in range(1, longest):  # all episodes at once, one row further from their end
            rows = self.ends[self.lengths > back] - 1 - back
            result[rows] += gamma * result[rows + 1]
        if failure_reward is not None:
            rewards, starts = self.rewards, self.starts
            failed = np.maximum.reduceat(rewards, starts) <= failure_reward
            result[np.repeat(failed, self.lengths)] = failure_reward / (1.0 - gamma)
        return result.astype(np.float32)

    def with_mc_returns(self, gamma: float, failure_reward: float | None = None) -> OfflineDataset:
        """The same data with ``mc_returns`` filled by :meth:`monte_carlo_returns`."""
        values = self.monte_carlo_returns(gamma, failure_reward)
        return replace(self, mc_returns=values, metadata={**self.metadata, "mc_gamma": gamma})

    def episodes(self, indices: Any) -> OfflineDataset:
        """Some whole episodes, in the order given.

        Args:
            indices: Numbers of episodes.

        Raises:
            DatasetError: If none is given or one does not exist.
        """
        chosen = np.asarray(indices, np.int64).reshape(-1)
        if not len(chosen) or (chosen < 0).any() or (chosen >= self.n_episodes).any():
            raise DatasetError("episodes", chosen.tolist(), f"numbers below {self.n_episodes}")
        spans = [np.arange(self.starts[i], self.ends[i]) for i in chosen]
        return self._rows(np.concatenate(spans), np.cumsum(self.lengths[chosen]))

    def head(self, rows: int) -> OfflineDataset:
        """The first rows (all of them where there are fewer); the last episode may be cut."""
        if rows < 1:
            raise DatasetError("rows", rows, "a whole number above 0")
        rows = min(rows, len(self))
        ends = np.union1d(self.ends[self.ends < rows], [rows])
        return self._rows(np.arange(rows), ends)

    def subset(self, fraction: float, by: str = "episode", seed: int = 0) -> OfflineDataset:
        """A random share, in the order of the original.

        Args:
            fraction: Above 0, up to 1; at least one episode or row remains.
            by: ``episode`` keeps whole episodes; ``row`` draws single rows, each of which becomes
                an episode of its own.
            seed: Of the draw.

        Raises:
            DatasetError: If an argument is outside.
        """
        if not 0.0 < fraction <= 1.0:
            raise DatasetError("fraction", fraction, "above 0 and at most 1")
        if by not in ("episode", "row"):
            raise DatasetError("by", by, "'episode' or 'row'")
        total = self.n_episodes if by == "episode" else len(self)
        count = max(1, round(fraction * total))
        chosen = np.sort(np.random.default_rng(seed).permutation(total)[:count])
        return self.episodes(chosen) if by == "episode" else self._rows(chosen, None)

    def reward_transform(self, scale: float = 1.0, bias: float = 0.0) -> OfflineDataset:
        """``scale * reward + bias``; online rewards need the same. Monte-Carlo returns are dropped.

        Raises:
            DatasetError: If a transformed reward is not finite.
        """
        rewards = self.rewards * np.float32(scale) + np.float32(bias)
        facts = {**self.metadata, "reward_scale": scale, "reward_bias": bias}
        return replace(self, rewards=rewards, mc_returns=None, metadata=facts)

    def fingerprint(self) -> str:
        """sha256 of names, types, shapes and bytes of all columns and of the episode ends."""
        return self._fingerprint

    def summary(self) -> dict[str, Any]:
        """JSON-able facts: sizes, returns, rewards, shapes, fingerprint."""
        returns = self.returns()
        return {
            "rows": len(self),
            "episodes": self.n_episodes,
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "return_min": float(returns.min()),
            "return_max": float(returns.max()),
            "length_mean": float(self.lengths.mean()),
            "reward_min": float(self.rewards.min()),
            "reward_max": float(self.rewards.max()),
            "terminations": int(self.terminations.sum()),
            "truncations": int(self.truncations.sum()),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "fingerprint": self.fingerprint(),
        }

    @classmethod
    def concatenate(cls, *datasets: OfflineDataset, **facts: Any) -> OfflineDataset:
        """One dataset after the other; metadata is that of the first, with ``facts`` over it.

        Raises:
            DatasetError: If there is none, or shapes or keys differ.
        """
        if not datasets:
            raise DatasetError("datasets", (), "at least one dataset")
        first = datasets[0]
        for other in datasets[1:]:
            if other.shapes != first.shapes:
                raise DatasetError("datasets", other.shapes, f"equal shapes: {first.shapes}")
        columns: dict[str, Any] = {
            name: stacked([getattr(data, name) for data in datasets])
            for name in (*_COLUMNS, "terminations", "truncations")
        }
        returns = [data.mc_returns for data in datasets if data.mc_returns is not None]
        columns["mc_returns"] = np.concatenate(returns) if len(returns) == len(datasets) else None
        offsets = np.cumsum([0, *(len(data) for data in datasets[:-1])])
        pairs = zip(datasets, offsets, strict=True)
        columns["ends"] = np.concatenate([data.ends + offset for data, offset in pairs])
        return replace(first, **columns, metadata={**first.metadata, **facts})

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, array in [*self._named(), ("ends", self.ends)]:
            digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
            digest.update(array.data)
        return digest.hexdigest()

    def _named(self) -> list[tuple[str, Array]]:
        names = (*_COLUMNS, "terminations", "truncations")
        pairs = [pair for name in names for pair in named(name, getattr(self, name))]
        return pairs if self.mc_returns is None else [*pairs, ("mc_returns", self.mc_returns)]

    def _rows(self, rows: Array, ends: Array | None) -> OfflineDataset:
        """These rows; ``ends=None`` makes each an episode of its own."""
        columns: dict[str, Any] = {
            name: mapped(lambda array: array[rows], getattr(self, name))
            for name in (*_COLUMNS, "terminations", "truncations")
        }
        columns["mc_returns"] = None if self.mc_returns is None else self.mc_returns[rows]
        columns["ends"] = np.arange(1, len(rows) + 1) if ends is None else ends
        return replace(self, **columns)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
