"""Simple readings of published learning baselines, compiled; what differs stands at each policy.

All three learn once in a period of 10,000 requests from what the period showed. None is a
reproduction: the papers' features, sizes and schedules are not followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.storage.baselines.heuristics import MOVE_INTERVAL, place_cde
from hybridrl.envs.storage.baselines.mover import (
    PERIOD,
    Mover,
    carry_out,
    make_mover,
    new_period,
    period_is_over,
)
from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.features import log_bin
from hybridrl.envs.storage.kernels.random import first_state, uniform
from hybridrl.envs.storage.kernels.records import Engine, i64, record
from hybridrl.envs.storage.kernels.requests import size_bin
from hybridrl.envs.storage.policy import Policy

if TYPE_CHECKING:
    from hybridrl.envs.storage.engine import HSSEngine

ARCHIVIST, K_SVM, RNN_FAST, RNN_CDE = range(4)
INPUTS, HIDDEN, SAMPLES = 5, 8, 1024
EPOCHS = 4
RATE = 0.05
RULE = record(
    [
        ("kind", np.int64),
        ("rng", np.uint64),
        ("next", np.int64),
        ("seen", np.int64),
        ("trained", np.int64),
    ]
)


class Learned(NamedTuple):
    """State of a learning baseline.

    Args:
        rule: One ``RULE`` record.
        inputs: Features of sampled requests, shape ``(SAMPLES, INPUTS)``.
        page: Their pages, shape ``(SAMPLES,)``.
        before: Accesses of the page at that time, shape ``(SAMPLES,)``.
        label: 1 hot, -1 cold, shape ``(SAMPLES,)``.
        first: Weights to the hidden layer, shape ``(HIDDEN, INPUTS)``.
        second: Weights of the output, shape ``(HIDDEN + 1,)``; the linear ones of ``k_svm_like``.
        slow: Slowly forgetting count of each page, shape ``(N,)``.
        now: Accesses of each page in this period, shape ``(N,)``.
        forecast: Weights of the forecast, shape ``(3,)``.
        mover: The periodic migration.
    """

    rule: NDArray[np.void]
    inputs: NDArray[np.float64]
    page: NDArray[np.int64]
    before: NDArray[np.int64]
    label: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    slow: NDArray[np.float32]
    now: NDArray[np.float32]
    forecast: NDArray[np.float64]
    mover: Mover


def _state(kind: int) -> Callable[[HSSEngine], Learned]:
    def make(engine: HSSEngine) -> Learned:
        rng = np.random.default_rng([engine.seed, 31])
        rule = np.zeros(1, RULE)
        rule["kind"], rule["next"] = kind, PERIOD
        rule["rng"] = first_state(engine.seed + 104_729)
        forecasts = kind in (RNN_FAST, RNN_CDE)
        pages = engine.pages if forecasts else 1
        return Learned(
            rule,
            np.zeros((SAMPLES, INPUTS)),
            np.zeros(SAMPLES, np.int64),
            np.zeros(SAMPLES, np.int64),
            np.zeros(SAMPLES),
            rng.normal(0, 0.5, (HIDDEN, INPUTS)),
            rng.normal(0, 0.3, HIDDEN + 1),
            np.zeros(pages, np.float32),
            np.zeros(pages, np.float32),
            np.array([0.5, 0.3, 0.0]),
            make_mover(engine, on=forecasts),
        )

    return make


@inner
def _read(e: Engine, out: NDArray[np.float64]) -> None:
    """Features of the current request: type, size, accesses, interval, 1."""
    s = e.sys[0]
    r = e.page[s.page]
    out[0] = s.write
    out[1] = size_bin(s.npages) / 7.0
    out[2] = log_bin(i64(r.count) + 1) / 63.0
    out[3] = log_bin(s.i + 1 - i64(r.last)) / 63.0 if r.last > 0 else 1.0
    out[4] = 1.0


@inner
def _output(p: Learned, x: NDArray[np.float64]) -> float:
    if p.rule[0].kind == K_SVM:
        total = 0.0
        for k in range(INPUTS):
            total += p.second[k] * x[k]
        return float(total)
    total = p.second[HIDDEN]
    for j in range(HIDDEN):
        z = 0.0
        for k in range(INPUTS):
            z += p.first[j, k] * x[k]
        total += p.second[j] * math.tanh(z)
    return float(total)


@inner
def _place(e: Engine, p: Learned) -> int:
    rule = p.rule[0]
    slowest = int(e.sys[0].devices - 1)
    if rule.kind == RNN_FAST:
        return 0
    if rule.kind == RNN_CDE:
        return place_cde(e)
    slot = rule.seen % SAMPLES
    _read(e, p.inputs[slot])
    p.page[slot], p.before[slot] = e.sys[0].page, e.page[e.sys[0].page].count
    rule.seen += 1
    if not rule.trained:
        return place_cde(e)
    return 0 if _output(p, p.inputs[slot]) > 0.0 else slowest


@inner
def _label_by_reuse(e: Engine, p: Learned, n: int) -> None:
    """Hot is what was accessed more often after the sample than the mean."""
    mean = 0.0
    for k in range(n):
        p.label[k] = float(e.page[p.page[k]].count) - p.before[k]
        mean += p.label[k] / n
    for k in range(n):
        p.label[k] = 1.0 if p.label[k] > mean else -1.0


@inner
def _label_by_clusters(p: Learned, n: int) -> None:
    """Two clusters of accesses and interval (k-means); the one with more accesses is hot."""
    low_count, low_gap, high_count, high_gap = 0.0, 1.0, 0.6, 0.2
    for _ in range(8):
        sums = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        for k in range(n):
            a, b = p.inputs[k, 2], p.inputs[k, 3]
            low = (a - low_count) ** 2 + (b - low_gap) ** 2
            high = (a - high_count) ** 2 + (b - high_gap) ** 2
            p.label[k] = 1.0 if high < low else -1.0
            h = 1.0 if high < low else 0.0
            sums = (
                sums[0] + h,
                sums[1] + h * a,
                sums[2] + h * b,
                sums[3] + 1 - h,
                sums[4] + (1 - h) * a,
                sums[5] + (1 - h) * b,
            )
        if sums[0] == 0.0 or sums[3] == 0.0:
            return
        high_count, high_gap = sums[1] / sums[0], sums[2] / sums[0]
        low_count, low_gap = sums[4] / sums[3], sums[5] / sums[3]


@inner
def _step(p: Learned, k: int) -> None:
    """One stochastic gradient step: hinge loss if linear, logistic loss otherwise."""
    x, y = p.inputs[k], p.label[k]
    out = _output(p, x)
    if p.rule[0].kind == K_SVM:
        for i in range(INPUTS):
            p.second[i] *= 1.0 - RATE * 1e-3
            if y * out < 1.0:
                p.second[i] += RATE * y * x[i]
        return
    slope = RATE * y / (1.0 + math.exp(min(30.0, y * out)))
    p.second[HIDDEN] += slope
    for j in range(HIDDEN):
        z = 0.0
        for i in range(INPUTS):
            z += p.first[j, i] * x[i]
        h = math.tanh(z)
        back = slope * p.second[j] * (1.0 - h * h)
        p.second[j] += slope * h
        for i in range(INPUTS):
            p.first[j, i] += back * x[i]


@inner
def _train(e: Engine, p: Learned) -> None:
    rule = p.rule[0]
    n = min(rule.seen, SAMPLES)
    rule.next += PERIOD
    if n < 16:
        return
    if rule.kind == K_SVM:
        _label_by_clusters(p, n)
    else:
        _label_by_reuse(e, p, n)
    for _ in range(EPOCHS * n):
        _step(p, i64(uniform(rule) * n))
    rule.trained += 1


@inner
def _forecast(p: Learned) -> None:
    """Learn from the period what the last one should have forecast, and score every page anew."""
    w = p.forecast
    for k in range(len(p.now)):
        fresh = p.now[k]
        last, slow = p.mover.score[k], p.slow[k]
        if fresh > 0.0 or last > 0.0:
            error = fresh - last
            norm = 1.0 + fresh * fresh + slow * slow
            w[0] += 0.01 * error * min(fresh, 16.0) / norm
            w[1] += 0.01 * error * min(slow, 16.0) / norm
        p.slow[k] = np.float32(0.8 * slow + 0.2 * fresh)
        p.mover.score[k] = np.float32(max(0.0, w[0] * fresh + w[1] * p.slow[k]))
        p.now[k] = np.float32(0.0)
    w[0], w[1] = min(max(w[0], 0.05), 2.0), min(max(w[1], 0.05), 2.0)


@inner
def _served(e: Engine, p: Learned) -> None:
    s = e.sys[0]
    if p.rule[0].kind >= RNN_FAST:
        for page in range(s.page, s.page + s.npages):
            p.now[page] += np.float32(1.0)
    elif s.i >= p.rule[0].next:
        _train(e, p)


@inner
def _migrate(e: Engine, p: Learned) -> None:
    if period_is_over(e, p.mover):
        _forecast(p)
        new_period(e, p.mover)
    carry_out(e, p.mover)


HOOKS = Hooks(place=_place, served=_served, migrate=_migrate)


def archivist_like() -> Policy:
    """Archivist's idea: a small neural classifier of hot and cold places writes.

    Differs: 5 inputs and 8 hidden units; hot means accessed more often than the mean after a
    sampled request; trained once a period on the last 1,024 decisions; ``cde`` until then.
    """
    return Policy("archivist_like", HOOKS, _state(ARCHIVIST), act_on="writes")


def k_svm_like() -> Policy:
    """K-means labels a support vector machine that places writes.

    Differs: two clusters over access count and interval, a linear machine trained by stochastic
    gradients on the last 1,024 decisions; ``cde`` until then.
    """
    return Policy("k_svm_like", HOOKS, _state(K_SVM), act_on="writes")


def rnn_hss_like(name: str = "rnn_hss_like", cde: bool = False) -> Policy:
    """RNN-HSS's idea: forecast each page's accesses, keep the pages with the highest fast.

    Differs: the recurrent unit has one leaky state a page and a read-out of two weights learned
    on line, not a gated network; moves are throttled as for ``hps``.

    Args:
        name: What to call it.
        cde: Writes are placed by ``cde``; otherwise they go fast.
    """
    made: Any = _state(RNN_CDE if cde else RNN_FAST)
    return Policy(name, HOOKS, made, act_on="writes", interval=MOVE_INTERVAL)
