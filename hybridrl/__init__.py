"""Gymnasium environments and control agents for hybrid reinforcement learning.

Importing the package registers every environment id; it imports no torch.
"""

__version__ = "0.1.0"
