"""HOPE's rule against standing still: after a decision that moved nothing, a random motion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

State = tuple[NDArray[Any], ...]


def unstick(
    actions: NDArray[Any],
    targets: NDArray[Any],
    masks: NDArray[Any],
    state: State | None,
    episode_start: NDArray[Any] | None,
) -> tuple[NDArray[Any], State]:
    """Replace the motions of rows whose goal has not moved since the last decision.

    Args:
        actions: Chosen motions, shape ``()`` or ``(N,)``.
        targets: The goals as observed, shape ``(N, 5)``.
        masks: Free shares, shape ``(N, 42)``.
        state: What the last call returned; ``None`` on a first decision.
        episode_start: Which rows begin an episode, shape ``(N,)``.

    Returns:
        The motions (random ones of torch's generator), and the state for the next call.
    """
    chosen = np.atleast_1d(actions).copy()
    if state is not None:
        stalled = (targets == state[0]).all(axis=1)
        if episode_start is not None:
            stalled &= ~np.asarray(episode_start, np.bool_)
        for i in np.flatnonzero(stalled):
            allowed = torch.from_numpy((masks[i] > 0.0).astype(np.float32))
            chosen[i] = int(torch.multinomial(allowed, 1))
    return chosen.reshape(np.shape(actions)), (targets.copy(),)
