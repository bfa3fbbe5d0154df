"""Many engines as one set of arrays, for vector environments that step in one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.storage.kernels.records import Engine


def stack(engines: Sequence[Engine]) -> Engine:
    """Copies of equal systems as rows of arrays with a leading axis; requests are concatenated.

    Args:
        engines: At least one, with the same number of devices, jobs and candidates. Traces may
            differ; rows of shorter ones are padded.

    Returns:
        Arrays of shape ``(B, ...)``, except ``req``, which all rows share.
    """
    requests: dict[int, int] = {}
    parts: list[NDArray[Any]] = []
    total = 0
    for engine in engines:
        if id(engine.req) not in requests:
            requests[id(engine.req)] = total
            parts.append(engine.req)
            total += len(engine.req)
    columns = {
        name: _rows([getattr(engine, name) for engine in engines])
        for name in Engine._fields
        if name != "req"
    }
    columns["sys"]["first"][:, 0] = [requests[id(engine.req)] for engine in engines]
    return Engine(req=np.concatenate(parts), **columns)


def _rows(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    rows = np.zeros((len(arrays), max(len(array) for array in arrays)), arrays[0].dtype)
    for row, array in zip(rows, arrays, strict=True):
        row[: len(array)] = array
    return rows


@njit(cache=True)
def row(batch: Engine, b: int) -> Engine:
    """Engine ``b`` of a batch; what it changes changes in the batch."""
    return Engine(
        batch.sys[b],
        batch.dev[b],
        batch.page[b],
        batch.moved[b],
        batch.job[b],
        batch.cand[b],
        batch.req,
        batch.log[b],
    )
