"""RLPD (Ball et al. 2023): soft actor-critic on half offline, half online batches, and kin."""

from hybridrl.agents.rlpd.rlpd import RLPD

__all__ = ["RLPD"]
