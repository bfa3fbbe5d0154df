"""LSVI-UCB: optimistic least-squares value iteration, the baseline of linear MDPs."""

from hybridrl.agents.lsvi_ucb.lsvi_ucb import LSVIUCB

__all__ = ["LSVIUCB"]
