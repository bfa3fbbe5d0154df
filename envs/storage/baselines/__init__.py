"""Policies to compare with: heuristics, clairvoyant oracles and readings of published ideas."""
