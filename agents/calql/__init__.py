"""Cal-QL (Nakamoto et al. 2023) and CQL (Kumar et al. 2020): conservative critics."""

from hybridrl.agents.calql.calql import CalQL

__all__ = ["CalQL"]
