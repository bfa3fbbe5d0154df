"""NORA: provable optimistic actor-critic in tabular and linear form."""

from hybridrl.agents.nora.nora import NORA

__all__ = ["NORA"]
