"""Harmonia: two agents that place and move the data of a hybrid storage system."""

from hybridrl.agents.harmonia.harmonia import Harmonia

__all__ = ["Harmonia"]
