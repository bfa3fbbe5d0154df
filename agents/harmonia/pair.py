"""The two networks in a compiled state, whichever profile it belongs to."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from hybridrl.agents.common.compiled_q import Brain
from hybridrl.envs.storage.kernels.compiled import inlined


@inlined
def placer(p: Any) -> Brain:
    """The placement network's arrays; ``p`` is a state whose fields are named alike."""
    return Brain(p.p_numbers, p.p_counts, p.p_memory)


@inlined
def mover(p: Any) -> Brain:
    """The migration network's arrays."""
    return Brain(p.m_numbers, p.m_counts, p.m_memory)


def copies(place: Brain, move: Brain) -> dict[str, NDArray[Any]]:
    """The arrays of both networks, by the names that both states give them."""
    return {
        f"{who}_{name}": array.copy()
        for who, brain in (("p", place), ("m", move))
        for name, array in brain._asdict().items()
    }
