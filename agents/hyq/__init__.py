"""Hy-Q: Q-learning on offline and online data at once."""

from hybridrl.agents.hyq.hyq import HyQ

__all__ = ["HyQ"]
