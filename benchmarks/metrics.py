"""Statistics of results: intervals for success rates, robust means for returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Z95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval
ROWS = 250  # repetitions of a bootstrap at once


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a success rate (Wilson, 1927, JASA 22:209).

    Args:
        successes: How many of them succeeded.
        n: How many independent trials.
        z: Normal quantile; the default gives 95 %.

    Returns:
        Lower and upper bound in [0, 1]; ``(0, 1)`` without trials.

    Raises:
        ValueError: If ``successes`` is outside ``0..n``.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes is {successes}; expected 0..{n}")
    if n == 0:
        return 0.0, 1.0
    rate = successes / n
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    middle, scale = rate + z * z / (2 * n), 1 + z * z / n
    low = 0.0 if successes == 0 else (middle - spread) / scale
    high = 1.0 if successes == n else (middle + spread) / scale
    return low, high


def iqm(values: ArrayLike) -> float:
    """Interquartile mean: the mean of what is left without the lowest and highest quarter.

    Args:
        values: Any shape, pooled; a quarter is rounded down to whole values.

    Raises:
        ValueError: If there is no value.
    """
    flat = np.sort(np.asarray(values, np.float64), axis=None)
    if not flat.size:
        raise ValueError("iqm of no values")
    cut = flat.size // 4
    return float(flat[cut : flat.size - cut].mean())


def _mean(values: Array) -> float:
    return float(np.mean(values))


def stratified_bootstrap(
    strata: Sequence[ArrayLike],
    statistic: Callable[[Array], float] = _mean,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic of pooled values, resampled within each stratum.

    Tasks are the strata and runs the values, as in Agarwal et al., 2021 (arXiv:2108.13264).

    Args:
        strata: One row of values a stratum; rows may differ in length.
        statistic: Of the pooled values, shape ``(sum of lengths,)``.
        samples: Bootstrap repetitions.
        level: Of the interval, in (0, 1).
        seed: Equal seeds give equal intervals.

    Raises:
        ValueError: If a stratum is empty or there is none.
    """
    rows = [np.asarray(row, np.float64).ravel() for row in strata]
    if not rows or any(not row.size for row in rows):
        raise ValueError("every stratum needs a value")
    rng = np.random.default_rng(seed)
    if len(rows) == 1 and statistic is _mean:  # the same draws, all at once
        return _interval(rng.choice(rows[0], (samples, rows[0].size)).mean(axis=1), level)
    draws = [
        statistic(np.concatenate([rng.choice(row, row.size) for row in rows]))
        for _ in range(samples)
    ]
    return _interval(draws, level)


def seed_bootstrap(
    runs: Sequence[ArrayLike], samples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a mean over training seeds: seeds are drawn, then their episodes.

    Args:
        runs: One row of episode values a training seed.
        samples: Bootstrap repetitions.
        level: Of the interval, in (0, 1).
        seed: Equal seeds give equal intervals.

    Raises:
        ValueError: If a run has no episode or there is no run.
    """
    rows = [np.asarray(row, np.float64).ravel() for row in runs]
    if not rows or any(not row.size for row in rows):
        raise ValueError("every run needs an episode")
    rng = np.random.default_rng(seed)
    count, longest = len(rows), max(row.size for row in rows)
    values = np.stack([np.resize(row, longest) for row in rows])
    sizes = np.array([row.size for row in rows])
    draws = []
    for first in range(0, samples, ROWS):
        chosen = rng.integers(count, size=(min(ROWS, samples - first), count, 1))
        kept = sizes[chosen]
        episodes = rng.integers(kept, size=(*chosen.shape[:2], longest))
        drawn = np.where(np.arange(longest) < kept, values[chosen, episodes], 0.0)
        draws.append((drawn.sum(axis=2) / kept[..., 0]).mean(axis=1))
    return _interval(np.concatenate(draws), level)


def _interval(draws: Sequence[float] | Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
