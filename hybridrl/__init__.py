"""Gymnasium environments and control agents for hybrid reinforcement learning.

Importing the package registers every environment id; it imports no torch.
"""

from hybridrl.envs.registration import register_envs

__version__ = "0.1.0"

register_envs()
