"""Learning algorithms in the shape of Stable-Baselines3."""

import importlib
from typing import Any

if __name__ != "hybridrl.agents":
    raise ImportError("import hybridrl.agents, not agents: the repository root is on sys.path")

# Class -> package. Loaded on first use, so that one algorithm does not load them all.
_HOMES = {
    "CalQL": "hybridrl.agents.calql",
    "DARC": "hybridrl.agents.darc",
    "H2O": "hybridrl.agents.h2o",
    "HNPG": "hybridrl.agents.hnpg",
    "Harmonia": "hybridrl.agents.harmonia",
    "HopePPO": "hybridrl.agents.hope",
    "HopeSAC": "hybridrl.agents.hope",
    "HyQ": "hybridrl.agents.hyq",
    "IQL": "hybridrl.agents.iql",
    "LSVIUCB": "hybridrl.agents.lsvi_ucb",
    "MOORL": "hybridrl.agents.moorl",
    "NORA": "hybridrl.agents.nora",
    "OptimisticSAC": "hybridrl.agents.optimistic_sac",
    "RLPD": "hybridrl.agents.rlpd",
    "Sibyl": "hybridrl.agents.sibyl",
    "TellDrive": "hybridrl.agents.tell_drive",
    "TellDriveDQN": "hybridrl.agents.tell_drive",
}


def __getattr__(name: str) -> Any:
    """The class of an algorithm, as in ``from hybridrl.agents import HopePPO``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
