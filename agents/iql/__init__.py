"""IQL: implicit Q-learning (Kostrikov, Nair and Levine, 2022), offline and fine-tuning."""

from hybridrl.agents.iql.iql import IQL

__all__ = ["IQL"]
