"""Sibyl: one placement agent that decides on every request."""

from __future__ import annotations

from hybridrl.agents.harmonia.agent import StorageAgent


class Sibyl(StorageAgent):
    """A distributional Q-network (C51) that places data on reads and writes.

    After Singh et al., *Sibyl* (ISCA 2022, arXiv 2205.07394); its arguments are those of
    :class:`~hybridrl.agents.harmonia.agent.StorageAgent`. ``reward="sibyl_code"`` takes the reward
    of the published code instead of the paper's.
    """

    default_profile = "sibyl"
