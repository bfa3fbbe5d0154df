"""What a policy is to the engine: compiled functions and a state of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridrl.envs.storage.kernels.drivers import Hooks

if TYPE_CHECKING:
    from hybridrl.envs.storage.engine import HSSEngine


def no_state(engine: HSSEngine) -> Any:
    """The state of a policy without one."""
    return np.zeros(1)


@dataclass(frozen=True)
class Policy:
    """A storage policy.

    Args:
        name: What to call it.
        hooks: Its compiled functions.
        make_state: Makes the state that the functions get, from an engine before its first
            request: an array, or a named tuple of arrays. It must own everything that changes, so
            that copying its arrays saves the policy.
        act_on: ``writes`` or ``all``: the requests that ``place`` is asked about; ``None`` leaves
            it to the engine's configuration.
        interval: Requests between calls of ``migrate``; 0 for never, ``None`` as configured.
        unlimited: Every device holds everything, as for the normaliser ``fast_only``.
        start_device: Where all pages are at first; the slowest device by default.
        clairvoyant: Looks ahead in the trace.
    """

    name: str
    hooks: Hooks = field(default_factory=Hooks)
    make_state: Callable[[HSSEngine], Any] = no_state
    act_on: str | None = None
    interval: int | None = 0
    unlimited: bool = False
    start_device: int | None = None
    clairvoyant: bool = False
