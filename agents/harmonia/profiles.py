"""Settings of the storage agents, and the named profiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hybridrl.planners.errors import ScenarioError, UnknownNameError

PLACEMENTS = ("agent", "cde", "fast", "room")
MIGRATIONS = ("agent", "none")
REWARDS = ("inverse", "sibyl", "sibyl_code", "log", "page")
FEATURES = ("seven", "six")
WARMUPS = ("none", "cde", "fast", "room", "auto")


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """Everything that can be set of a storage agent.

    Args:
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
        reward: Of placement: ``inverse`` latency, ``sibyl``, ``sibyl_code``, ``log`` latency, or
            ``page``: what the placement cost until the page's next access.
        evict_weight: Share of forced evictions' service time in ``log`` and ``page``, over the
            channels of the slowest device: one of nine is hardly missed.
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
            ``auto`` (``room`` in front of a disk, else ``fast``), or ``none``.
        warmup_requests: How long.
        guided: After that, the heuristic acts on until a network's action is worth more by a
            margin; the networks begin with equal values for all actions. Small networks only.
        margin: Of placement, in the reward's unit.
        horizon: Accesses later than so many requests do not count for ``page``; 0 chooses four
            times the fast device's pages, 1,000 to 50,000.
    """

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
    guided: bool = False
    margin: float = 0.05
    horizon: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown words and numbers out of range (the networks check their own)."""
        words = {
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
        for name in ("train_every", "window", "extent_pages", "place_batches", "move_batches"):
            if getattr(self, name) < 1:
                raise ScenarioError(name, getattr(self, name), "1 or more")
        for name in ("place_gamma", "move_gamma", "first_exploration", "exploration_fall"):
            if not 0 <= getattr(self, name) <= 1:
                raise ScenarioError(name, getattr(self, name), "0 to 1")
        for name in ("warmup_requests", "horizon", "evict_weight", "margin"):
            if getattr(self, name) < 0:
                raise ScenarioError(name, getattr(self, name), "0 or more")
        if self.guided and (self.head != "q" or len(self.hidden) != 1 or self.hidden[0] > 12):
            raise ScenarioError("guided", True, "head='q' and one hidden layer of at most 12")


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
        act_on="all",
        reward="page",
        evict_weight=2.0,
        place_gamma=0.9,
        place_rate=3e-3,
        exploration=0.005,
        first_exploration=0.02,
        exploration_fall=0.99,
        train_every=500,
        warmup="auto",
        warmup_requests=0,
        guided=True,
        margin=1.0,
        extent_pages=64,
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
