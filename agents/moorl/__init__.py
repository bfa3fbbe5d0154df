"""MOORL (arXiv 2506.09574): soft actor-critic, meta-learned over offline and online data."""

from hybridrl.agents.moorl.moorl import MOORL

__all__ = ["MOORL"]
