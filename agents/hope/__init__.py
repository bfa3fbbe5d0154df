"""HOPE: a parking policy that chooses among collision-free motions, and a planner made of it."""

from __future__ import annotations

import importlib
from typing import Any

# name -> module, loaded on first use: the planner needs no torch.
_NAMES = {
    "HopePPO": "hope_ppo",
    "HopeSAC": "hope_sac",
    "HopePlanner": "planner",
    "HybridDriver": "hybrid",
    "ParkingFeatures": "extractors",
    "ParkingTokens": "extractors",
    "ScenarioCurriculum": "curriculum",
}
__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
