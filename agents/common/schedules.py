"""Schedules that can be saved with a model."""

from __future__ import annotations


class LinearDecay:
    """A learning rate that falls linearly to a share of itself.

    Args:
        start: At the beginning.
        share: Of it that is left at the end.
    """

    def __init__(self, start: float, share: float) -> None:
        self.start = start
        self.share = share

    def __call__(self, progress_remaining: float) -> float:
        """The rate when ``progress_remaining`` has fallen from 1 towards 0."""
        return self.start * (self.share + (1.0 - self.share) * progress_remaining)
