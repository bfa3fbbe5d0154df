"""Optimistic soft actor-critic: exploration by a bounded shift towards optimistic values."""

from hybridrl.agents.optimistic_sac.optimistic_sac import OptimisticSAC

__all__ = ["OptimisticSAC"]
