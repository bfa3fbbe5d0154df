"""Settings of the storage agents, and the named profiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError

PLACEMENTS = ("agent", "cde", "fast", "room")
MIGRATIONS = ("agent", "none")
REWARDS = ("inverse", "sibyl", "sibyl_code", "log")
LEARNERS = ("rewards", "worth")
FEATURES = ("seven", "six")
WARMUPS = ("none", "cde", "fast", "room")


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """Everything that can be set of a storage agent.

    Args:
        learner: ``rewards``: Q-learning from the latencies that followed a decision, as published;
            ``worth`` (ours): values of pages at the device table's costs, and prices of room. It
            has its own warm-up, exploration and rewards: the settings of those do not count.
        placement: ``agent`` learns; ``cde``, ``fast`` (always the fastest device) and ``room`` (the
            fastest device with room) do not.
        migration: ``agent`` learns; ``none`` never moves a page proactively.
        act_on: ``writes`` or ``all``: requests the placement agent decides on.
        extent_pages: Most pages of one migration candidate.
        features: ``seven`` of Harmonia, or ``six`` of Sibyl.
        coordination: Whether the features that show the other agent's doing are seen.
        head: ``q`` or ``c51``.
        hidden: Widths of the hidden layers.
        atoms: Of ``c51``.
        v_max: Highest return of ``c51`` (the lowest is 0).
        reward: Of placement: ``inverse`` latency, ``sibyl``, ``sibyl_code`` or ``log`` latency.
        evict_weight: Share of forced evictions' service time in ``log`` (over the channels of the
            slowest device) and ``worth`` (of the device that takes the pages): one of nine
            channels is hardly missed.
        place_gamma: Discount of placement.
        move_gamma: Discount of migration.
        place_rate: Learning rate of placement.
        move_rate: Learning rate of migration.
        place_batch: Batch of placement, a multiple of 32.
        move_batch: Batch of migration.
        place_batches: Batches a training.
        move_batches: Batches a training.
        train_every: Requests between trainings.
        capacity: Transitions in each replay memory.
        optimiser: ``adam``, ``rmsprop`` or ``sgd``.
        exploration: Probability of a uniform action, at last.
        first_exploration: The same at first.
        exploration_fall: Factor on it at every training.
        double: Double Q-learning.
        window: Requests of a migration reward.
        warmup: The heuristic that acts while the memories fill: one of those of ``placement``, or
            ``none``.
        warmup_requests: How long.
        reach: Of ``worth``: requests that count, over the objects that fit on the fast device.
        prior: Of ``worth``: values begin at what access counts promise, networks learn the ratio.
        sample: Of ``worth``: extents that are compared for a victim.
        caution: Of ``worth``: factor on the price of room in front of a disk. The cheapest of
            several guesses is too cheap, and a wrong move costs two disk accesses.
        write_bonus: Of ``worth``: what a write that comes up in front of flash is credited with,
            over the next device's time for it.
        dispersion: Of ``worth``: size of the negative binomial that values are fitted with.
    """

    learner: str = "rewards"
    placement: str = "agent"
    migration: str = "agent"
    act_on: str = "writes"
    extent_pages: int = 1
    features: str = "seven"
    coordination: bool = True
    head: str = "q"
    hidden: tuple[int, ...] = (10,)
    atoms: int = 51
    v_max: float = 10.0
    reward: str = "inverse"
    evict_weight: float = 1.0
    place_gamma: float = 0.9
    move_gamma: float = 0.1
    place_rate: float = 1e-3
    move_rate: float = 1e-2
    place_batch: int = 128
    move_batch: int = 256
    place_batches: int = 8
    move_batches: int = 8
    train_every: int = 1000
    capacity: int = 1000
    optimiser: str = "adam"
    exploration: float = 1e-3
    first_exploration: float = 1e-3
    exploration_fall: float = 1.0
    double: bool = False
    window: int = 50
    warmup: str = "cde"
    warmup_requests: int = 1000
    reach: float = 2.0
    prior: bool = True
    sample: int = 8
    caution: float = 1.25
    write_bonus: float = 1.0
    dispersion: float = 0.3

    def __post_init__(self) -> None:
        """Refuse unknown words and numbers out of range (the networks check their own)."""
        words = {
            "learner": LEARNERS,
            "placement": PLACEMENTS,
            "migration": MIGRATIONS,
            "act_on": ("writes", "all"),
            "features": FEATURES,
            "reward": REWARDS,
            "warmup": WARMUPS,
        }
        for name, known in words.items():
            if getattr(self, name) not in known:
                raise UnknownNameError(name, str(getattr(self, name)), known)
        self._check_numbers()
        if self.learner == "worth" and self.features != "seven":
            raise ScenarioError("features", self.features, "seven, with learner='worth'")

    def _check_numbers(self) -> None:
        counts = ("train_every", "window", "extent_pages", "sample", "place_batches")
        shares = ("place_gamma", "move_gamma", "first_exploration", "exploration_fall")
        ranges = (
            ((*counts, "move_batches"), 1.0, math.inf, "1 or more"),
            (shares, 0.0, 1.0, "0 to 1"),
            (("warmup_requests", "evict_weight", "write_bonus"), 0.0, math.inf, "0 or more"),
            (("reach", "caution", "dispersion"), 1e-9, math.inf, "above 0"),
        )
        for names, low, high, expected in ranges:
            for name in names:
                if not low <= getattr(self, name) <= high:
                    raise ScenarioError(name, getattr(self, name), expected)


# "harmonia" has the numbers reported for the paper (storage.md 5 and 6), "sibyl" those of Sibyl
# (6.5); "default" is ours.
PROFILES: dict[str, StorageSettings] = {
    "harmonia": StorageSettings(),
    "sibyl": StorageSettings(
        migration="none",
        act_on="all",
        features="six",
        head="c51",
        hidden=(20, 30),
        reward="sibyl",
        place_rate=1e-4,
        optimiser="adam",
    ),
    "default": StorageSettings(
        learner="worth",
        act_on="all",
        head="count",
        place_rate=1e-2,
        move_batch=128,
        place_batches=4,
        move_batches=4,
        train_every=250,
    ),
}


def make_settings(profile: str, changes: dict[str, Any]) -> StorageSettings:
    """A profile with single changes.

    Raises:
        UnknownNameError: If profile or setting is unknown; the nearest are given.
        ScenarioError: If a value is out of range.
    """
    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    for name in changes:
        if name not in StorageSettings.__dataclass_fields__:
            raise UnknownNameError("setting", name, StorageSettings.__dataclass_fields__)
    if "hidden" in changes:
        changes = {**changes, "hidden": tuple(changes["hidden"])}
    return replace(PROFILES[profile], **changes)
