"""DARC: the simulator's reward corrected by the dynamics ratio."""

from hybridrl.agents.darc.darc import DARC

__all__ = ["DARC"]
