"""What is said about data that cannot be used."""

from __future__ import annotations

from hybridrl.planners.errors import ScenarioError


class DatasetError(ScenarioError):
    """A dataset, or a file of one, that cannot be used; the message names the field.

    Args:
        field: The array or entry, as in ``rewards`` or ``observations.lidar``.
        value: What is wrong with it (shortened in the message).
        expected: What is allowed there, and so the fix.
    """
