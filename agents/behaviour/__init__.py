"""Behaviour policies: stock SAC trained in the real environment, the source of offline datasets."""
