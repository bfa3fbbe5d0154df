"""H2O: dynamics-aware hybrid learning from real data and an imperfect simulator."""

from hybridrl.agents.h2o.h2o import H2O

__all__ = ["H2O"]
