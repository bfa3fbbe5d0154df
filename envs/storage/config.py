"""Configurations of the storage system: devices, their shares, the queue, the profile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from hybridrl.envs.storage.devices import DeviceSpec, find_device
from hybridrl.envs.storage.kernels.records import MAX_DEPTH, MAX_DEVICES
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SHARES = {2: (0.10,), 3: (0.05, 0.10), 4: (0.05, 0.10, 0.20)}
PROFILES = ("default", "harmonia", "sibyl")
REPLAYS = ("open", "closed")


@dataclass(frozen=True, kw_only=True)
class HSSConfig:
    """A hybrid storage system and how requests reach it.

    Args:
        devices: Names of :data:`~hybridrl.envs.storage.devices.DEVICES` or specs, fastest first.
        shares: Capacity of each device but the slowest over the workload's unique pages; the
            slowest holds everything. ``None``: 10 % (two devices), 5-10 %, or 5-10-20 %.
        replay: ``open`` (arrivals from the trace) or ``closed`` (outstanding requests).
        queue_depth: Outstanding requests of closed replay, 1 to 64.
        think_us: Pause between a completion and the next request of closed replay.
        time_scale: Factor on the trace's times in open replay.
        decision_ns: Time a placement decision takes, part of the request's latency.
        act_on: ``writes`` or ``all``: the requests on which the placement policy decides.
        migration_interval: Requests between migration decisions.
        migration_slots: Candidates of each.
        extent_pages: Most pages of one candidate: neighbours that were last accessed together
            move together. 1 moves single pages.
        max_bg: Background jobs that may be queued.
        stripe_pages: Longer requests are split over a device's channels.
        noise: Random service times.
        write_buffer: Flash devices with their write buffers.
        gc: Flash devices with garbage collection.
        backlog_us: Open replay is held back when a request would wait longer.
        page_bytes: Size of a page.
    """

    devices: tuple[str | DeviceSpec, ...] = ("optane", "sata_tlc")
    shares: tuple[float, ...] | None = None
    replay: str = "closed"
    queue_depth: int = 1
    think_us: float = 0.0
    time_scale: float = 1.0
    decision_ns: float = 240.0
    act_on: str = "writes"
    migration_interval: int = 50
    migration_slots: int = 10
    extent_pages: int = 1
    max_bg: int = 10
    stripe_pages: int = 32
    noise: bool = True
    write_buffer: bool = True
    gc: bool = False
    backlog_us: float = 1e7
    page_bytes: int = 4096

    def __post_init__(self) -> None:
        """Check every field."""
        for device in self.devices:
            find_device(device)
        if not 2 <= len(self.devices) <= MAX_DEVICES:
            raise ScenarioError("devices", self.devices, f"2 to {MAX_DEVICES} devices")
        if self.replay not in REPLAYS:
            raise UnknownNameError("replay", self.replay, REPLAYS)
        if self.act_on not in ("writes", "all"):
            raise UnknownNameError("act_on", self.act_on, ("writes", "all"))
        shares = self.capacity_shares()
        rising = all(a <= b for a, b in pairwise(shares))
        if len(shares) != len(self.devices) - 1 or not rising or not 0 < shares[0] <= 1:
            expected = f"{len(self.devices) - 1} rising shares in (0, 1]: all devices but the last"
            raise ScenarioError("shares", shares, expected)
        self._check_numbers()

    def _check_numbers(self) -> None:
        ranges = {
            "queue_depth": (1, MAX_DEPTH),
            "migration_interval": (0, 1 << 40),
            "migration_slots": (1, 1024),
            "extent_pages": (1, 4096),
            "max_bg": (0, 1024),
            "stripe_pages": (1, 1 << 20),
            "page_bytes": (512, 1 << 30),
            "think_us": (0.0, 1e12),
            "decision_ns": (0.0, 1e12),
            "backlog_us": (0.0, float("inf")),
            "time_scale": (1e-9, 1e9),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ScenarioError(name, value, f"{low} to {high}")

    def capacity_shares(self) -> tuple[float, ...]:
        """Capacity of each device but the slowest, over the workload's unique pages."""
        if self.shares is not None:
            return tuple(self.shares)
        return SHARES.get(len(self.devices)) or tuple(
            0.05 * 2**k for k in range(len(self.devices) - 1)
        )

    def capacities(self, pages: int) -> tuple[int, ...]:
        """Capacity of each device in pages, for a workload of ``pages`` unique pages."""
        small = tuple(max(1, round(share * pages)) for share in self.capacity_shares())
        return (*small, max(1, pages))

    def specs(self) -> tuple[DeviceSpec, ...]:
        """The devices, fastest first."""
        return tuple(find_device(device) for device in self.devices)


CONFIGS: dict[str, HSSConfig] = {
    "perf": HSSConfig(devices=("optane", "sata_tlc")),
    "cost": HSSConfig(devices=("optane", "hdd")),
    "tri": HSSConfig(devices=("optane", "sata_tlc", "hdd")),
    "quad": HSSConfig(devices=("optane", "sata_tlc", "sata_low", "hdd")),
}
# What a profile changes; every one of these is also a field of its own.
_PROFILE_FIELDS: dict[str, dict[str, object]] = {
    "default": {"extent_pages": 64},
    "harmonia": {},
    "sibyl": {"act_on": "all"},
}


def make_config(
    config: str | HSSConfig = "perf",
    *,
    fast_fraction: float | None = None,
    profile: str = "harmonia",
    **changes: object,
) -> HSSConfig:
    """A named configuration with a profile and single changes.

    Args:
        config: ``perf``, ``cost``, ``tri``, ``quad``, or a configuration to start from.
        fast_fraction: Capacity of the fastest device over the unique pages; the other shares
            keep their ratio to it, up to 1.
        profile: ``harmonia`` (the published protocol), ``sibyl`` (decides on reads as well) or
            ``default`` (ours: candidates are whole extents).
        changes: Fields of :class:`HSSConfig`.

    Raises:
        UnknownNameError: For an unknown name, profile or field.
        ScenarioError: For a value out of range.
    """
    if isinstance(config, str):
        if config not in CONFIGS:
            raise UnknownNameError("storage configuration", config, CONFIGS)
        config = CONFIGS[config]
    if profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    for name in changes:
        if name not in HSSConfig.__dataclass_fields__:
            raise UnknownNameError("storage option", name, HSSConfig.__dataclass_fields__)
    made = replace(config, **{**_PROFILE_FIELDS[profile], **changes})  # type: ignore[arg-type]
    if fast_fraction is None:
        return made
    if not 0 < fast_fraction <= 1:
        raise ScenarioError("fast_fraction", fast_fraction, "a share in (0, 1]")
    shares = made.capacity_shares()
    scaled = tuple(min(1.0, share * fast_fraction / shares[0]) for share in shares)
    return replace(made, shares=scaled)
