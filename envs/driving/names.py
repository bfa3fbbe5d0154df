"""Words of the driving family: scenarios, actions, outcomes, and their numbers."""

from __future__ import annotations

from hybridrl.planners.errors import UnknownNameError

SCENARIOS = ("highway", "merge", "intersection", "roundabout")
HIGHWAY, MERGE, INTERSECTION, ROUNDABOUT = range(4)
# The canonical names and order; scenes, advice and risk use these numbers everywhere.
ACTIONS = ("LANE_LEFT", "IDLE", "LANE_RIGHT", "FASTER", "SLOWER")
LANE_LEFT, IDLE, LANE_RIGHT, FASTER, SLOWER = range(5)
# An environment's own numbers: the intersection has three actions in another order.
NATIVE_ACTIONS: dict[str, tuple[str, ...]] = {
    "highway": ACTIONS,
    "merge": ACTIONS,
    "intersection": ("SLOWER", "IDLE", "FASTER"),
    "roundabout": ACTIONS,
}
OUTCOMES = ("running", "success", "crash", "timeout")
RUNNING, SUCCESS, CRASH, TIMEOUT = range(4)
REWARD_TERMS = (
    "progress",
    "arrived",
    "crashed",
    "timed_out",
    "time",
    "lane_change",
    "speed",
    "risk",
    "stock",
)


def native_action(scenario: str, name: str) -> int:
    """The number an environment takes for a canonical action name.

    Args:
        scenario: One of :data:`SCENARIOS`.
        name: One of the scenario's actions.

    Raises:
        UnknownNameError: If the scenario is unknown or has no such action.
    """
    if scenario not in NATIVE_ACTIONS:
        raise UnknownNameError("driving scenario", scenario, SCENARIOS)
    names = NATIVE_ACTIONS[scenario]
    if name not in names:
        raise UnknownNameError(f"action of {scenario}", name, names)
    return names.index(name)
