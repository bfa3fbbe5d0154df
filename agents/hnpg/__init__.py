"""HNPG: natural policy gradient with offline data in its critic."""

from hybridrl.agents.hnpg.hnpg import HNPG

__all__ = ["HNPG"]
