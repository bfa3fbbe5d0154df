"""TeLL-Drive's student: PPO with ego-attention that a teacher guides while it learns."""

from typing import Any

__all__ = ["AttentionPPO", "GuidanceConfig", "TellDrive", "TellDriveDQN"]

_HOMES = {
    "AttentionPPO": "tell_drive",
    "GuidanceConfig": "guidance",
    "TellDrive": "tell_drive",
    "TellDriveDQN": "tell_drive_dqn",
}


def __getattr__(name: str) -> Any:
    """The public classes, loaded on first use: teachers need no torch."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
