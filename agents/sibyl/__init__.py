"""Sibyl: an agent that places the data of a hybrid storage system."""

from hybridrl.agents.sibyl.sibyl import Sibyl

__all__ = ["Sibyl"]
