"""Learning algorithms in the shape of Stable-Baselines3."""

import importlib
from typing import Any

if __name__ != "hybridrl.agents":
    raise ImportError("import hybridrl.agents, not agents: the repository root is on sys.path")

# Class -> package. Loaded on first use, so that one algorithm does not load them all.
_HOMES = {
    "DARC": "hybridrl.agents.darc",
    "H2O": "hybridrl.agents.h2o",
    "Harmonia": "hybridrl.agents.harmonia",
    "HopePPO": "hybridrl.agents.hope",
    "HopeSAC": "hybridrl.agents.hope",
    "IQL": "hybridrl.agents.iql",
    "Sibyl": "hybridrl.agents.sibyl",
}


def __getattr__(name: str) -> Any:
    """The class of an algorithm, as in ``from hybridrl.agents import HopePPO``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
