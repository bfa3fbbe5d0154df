"""EVERY environment id, one table.

Entry points are strings, so no environment module is loaded until one is made. A time limit is a
keyword of the environment itself: no ``max_episode_steps`` stands here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gymnasium.envs.registration import register, registry

from hybridrl.envs.gap.variants import gap_ids


class EnvRow(NamedTuple):
    """One registered id.

    Args:
        id: As ``gymnasium.make`` takes it.
        entry_point: ``"module:Class"`` of the environment.
        vector_entry_point: The same for ``gymnasium.make_vec``, or ``None``.
        kwargs: JSON-able keyword arguments that make this id what it is.
        summary: Half a line for ``hybridrl list envs``.
    """

    id: str
    entry_point: str
    vector_entry_point: str | None
    kwargs: dict[str, Any]
    summary: str


PARKING_LEVELS = {
    "Normal": "bays and parallel slots with room to spare",
    "Complex": "tight bays and parallel slots",
    "Extreme": "parallel slots barely longer than the car",
    "Lot": "a whole car park between parked cars",
    "Mixed": "equal parts Normal, Complex, Extreme and Lot",
    "Hard": "equal parts Complex bay, Complex parallel and Extreme parallel: the headline",
    "ExtremeBay": "the narrowest bays, beyond HOPE",
    "Ultra": "parallel slots with 0.3 to 0.6 m to spare, beyond HOPE",
    "All": "equal parts of every class: what one policy for all of them trains on",
}

DRIVING_SCENARIOS = {
    "intersection": "unprotected left turn through cross traffic that has priority",
    "merge": "from the ramp into two busy lanes before the ramp ends",
    "highway": "four lanes, adaptive cruise and overtaking",
    "roundabout": "enter, pass, leave at the second exit",
}

GAP_PENDULUMS = "hybridrl.envs.gap.pendulum:GapPendulumVectorEnv"

ENVS: tuple[EnvRow, ...] = tuple(
    EnvRow(
        f"hybridrl/Parking-{level}-v0",
        "hybridrl.envs.parking.env:ParkingEnv",
        "hybridrl.envs.parking.vector_env:ParkingVectorEnv",
        {"level": level.lower()},
        summary,
    )
    for level, summary in PARKING_LEVELS.items()
)
ENVS += (
    EnvRow(
        "hybridrl/Parking-PullOut-v0",
        "hybridrl.envs.parking.env:ParkingEnv",
        "hybridrl.envs.parking.vector_env:ParkingVectorEnv",
        {"level": "hard", "task": "out"},
        "out of the slots of Hard into a pose in the lane",
    ),
)
ENVS += tuple(
    EnvRow(id, "hybridrl.envs.gap.pendulum:GapPendulumEnv", GAP_PENDULUMS, kwargs, summary)
    if robot == "Pendulum"
    else EnvRow(id, "hybridrl.envs.gap.env:GapEnv", None, kwargs, summary)
    for id, robot, kwargs, summary in gap_ids()
)
ENVS += (
    EnvRow(
        "hybridrl/HybridStorage-v0",
        "hybridrl.envs.storage.env:StoragePlacementEnv",
        "hybridrl.envs.storage.vector_env:StorageVectorEnv",
        {},
        "place written data on the devices of a hybrid storage system",
    ),
    EnvRow(
        "hybridrl/HybridStorageMigration-v0",
        "hybridrl.envs.storage.env:StorageMigrationEnv",
        None,
        {},
        "move data between the devices in the background",
    ),
    EnvRow(
        "hybridrl/HybridStorageJoint-v0",
        "hybridrl.envs.storage.env:StorageJointEnv",
        None,
        {},
        "placement and migration by one controller",
    ),
)
ENVS += (
    EnvRow(
        "hybridrl/CombLock-v0",
        "hybridrl.envs.comblock.env:CombLockEnv",
        "hybridrl.envs.comblock.env:CombLockVectorEnv",
        {},
        "a combination lock that plain policy gradient cannot open",
    ),
)
ENVS += tuple(
    EnvRow(
        f"hybridrl/Driving-{scenario.capitalize()}-v0",
        "hybridrl.envs.driving.env:DrivingEnv",
        "hybridrl.envs.driving.vector_env:DrivingVectorEnv",
        {"scenario": scenario},
        summary,
    )
    for scenario, summary in DRIVING_SCENARIOS.items()
)
ENVS += (
    EnvRow(
        "hybridrl/SparsePoint-v0",
        "hybridrl.envs.sparse.point:SparsePointEnv",
        "hybridrl.envs.sparse.point:SparsePointVectorEnv",
        {},
        "a point that must cross a room to its only reward",
    ),
    EnvRow(
        "hybridrl/SparsePoint-Pixels-v0",
        "hybridrl.envs.pixels:sparse_point",
        None,
        {},
        "the same, seen from above: 24 x 24 pictures",
    ),
)


def register_envs() -> None:
    """Register every row with Gymnasium; doing it twice changes nothing."""
    for row in ENVS:
        if row.id not in registry:
            register(
                id=row.id,
                entry_point=row.entry_point,
                vector_entry_point=row.vector_entry_point,
                kwargs=dict(row.kwargs),
            )
