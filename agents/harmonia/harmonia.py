"""Harmonia: placement and migration agents that share what they see."""

from __future__ import annotations

from hybridrl.agents.harmonia.agent import StorageAgent


class Harmonia(StorageAgent):
    """Two small Q-networks: one places data, one moves it in the background.

    After Nadig et al., *Harmonia* (arXiv 2503.20507); :class:`StorageAgent` has the arguments.
    Profile ``harmonia`` has the published design as far as it is known, ``default`` is ours.
    """

    default_profile = "harmonia"
