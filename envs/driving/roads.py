"""Road tables: the lanes of a scene as arrays, read off highway-env's own road network.

The geometry is the library's, so both back ends drive on the same metres. Progress along the
ego's route and the places that count as arrived are ours and are written here.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.kernels.records import (
    CIRCLE,
    LANE,
    MAX_LINKED,
    MAX_ROUTE,
    SINE,
    STRAIGHT,
)

LaneIndex = tuple[str, str, int]
EGO_START: dict[str, LaneIndex] = {
    "highway": ("0", "1", 0),
    "merge": ("j", "k", 0),
    "intersection": ("o0", "ir0", 0),
    "roundabout": ("ser", "ses", 0),
}
DESTINATIONS = {"intersection": "o1", "roundabout": "nxs"}
MERGED_X = 370.0  # m: the merge is done
JOIN = 2.0  # m: lanes whose ends are this close continue each other
EXIT_DISTANCE = 25.0  # m into the exit arm of the intersection
ROUNDABOUT_EXIT = (("nx", "nxs"), ("nxs", "nxr"))


class RoadTable(NamedTuple):
    """The lanes of one scene.

    Args:
        lanes: One :data:`~hybridrl.envs.driving.kernels.records.LANE` record a lane.
        numbers: Number of each of highway-env's lane indices.
        routes: Roads from each lane to each of :data:`ENDS`, ``-1`` behind the last; shape
            ``(lanes, ends, MAX_ROUTE)``.
        origins: Numbers of :data:`ORIGINS`.
        goal: Progress of the goal, metres along the ego's route; infinite without one.
        entry: Progress at the junction's entry or the ramp's end; nan on the highway.
    """

    lanes: NDArray[np.void]
    numbers: dict[LaneIndex, int]
    routes: NDArray[np.int16]
    origins: NDArray[np.int64]
    goal: float
    entry: float


# Nodes that cars are sent to; the columns of ``routes``.
ENDS: dict[str, tuple[str, ...]] = {
    "highway": (),
    "merge": (),
    "intersection": ("o0", "o1", "o2", "o3"),
    "roundabout": ("exr", "sxr", "nxr", "nxs"),
}
# Lanes that cars begin on, in the order the spawning code reads them.
ORIGINS: dict[str, tuple[LaneIndex, ...]] = {
    "highway": (("0", "1", 0),),
    "merge": (("a", "b", 0), ("a", "b", 1), ("b", "c", 2)),
    "intersection": tuple((f"o{i}", f"ir{i}", 0) for i in range(4)),
    "roundabout": (
        ("we", "sx", 0),
        ("we", "sx", 1),
        ("eer", "ees", 0),
        ("sx", "se", 0),
        ("ee", "nx", 0),
        ("ne", "wx", 0),
    ),
}


@lru_cache(maxsize=8)
def road_table(scenario: str, lanes: int = 4) -> RoadTable:
    """The lanes of a scenario.

    Args:
        scenario: One of the four.
        lanes: Of the highway.
    """
    from hybridrl.envs.driving.highway import road_network

    network = road_network(scenario, lanes)
    keys: list[LaneIndex] = list(network.lanes_dict())
    index = {key: i for i, key in enumerate(keys)}
    table = np.zeros(len(keys), LANE)
    for row, key in zip(table, keys, strict=True):
        _shape(row, network.get_lane(key))
        _connect(row, key, network, index)
    for i in range(1, len(table)):
        here, before = table[i], table[i - 1]
        same = here["x"] == before["x"] and here["y"] == before["y"]
        here["shared"] = same and here["kind"] == before["kind"] == CIRCLE
    ends = ENDS[scenario]
    routes = np.full((len(keys), max(1, len(ends)), MAX_ROUTE), -1, np.int16)
    for (start, to, _), i in index.items():
        for j, end in enumerate(ends):
            path = plan(network, (start, to), end, index)
            routes[i, j, : len(path)] = path
    origins = np.array([index[key] for key in ORIGINS[scenario]], np.int64)
    goal, entry = _mark_goal(table, scenario, network, index)
    return RoadTable(table, index, routes, origins, goal, entry)


def plan(network: Any, road: tuple[str, str], end: str, index: dict[LaneIndex, int]) -> list[int]:
    """First lanes of the roads from ``road`` to the node ``end``, the first one included."""
    nodes = network.shortest_path(road[1], end)
    pairs = [road, *pairwise(nodes)]
    return [index[(*pair, 0)] for pair in pairs]


def _shape(row: Any, lane: Any) -> None:
    """Geometry of one lane."""
    row["length"], row["width"] = lane.length, lane.width
    row["limit"], row["priority"] = lane.speed_limit, lane.priority
    row["forbidden"] = lane.forbidden
    if hasattr(lane, "radius"):
        row["kind"] = CIRCLE
        row["x"], row["y"] = lane.center
        row["radius"], row["turn"], row["phase"] = lane.radius, lane.direction, lane.start_phase
        return
    row["kind"] = SINE if hasattr(lane, "amplitude") else STRAIGHT
    row["x"], row["y"] = lane.start
    row["dx"], row["dy"] = lane.direction
    row["heading"] = lane.heading
    if row["kind"] == SINE:
        row["amplitude"], row["pulsation"] = lane.amplitude, lane.pulsation
        row["phase"] = lane.phase


def _connect(row: Any, key: LaneIndex, network: Any, index: dict[LaneIndex, int]) -> None:
    """Where the lane stands in its road, and which lanes continue it before and behind."""
    start, end, number = key
    row["id"], row["road"] = number, index[(start, end, 0)]
    row["count"] = len(network.graph[start][end])
    row["base"], row["stretch"], row["beside"] = np.nan, 1.0, -1
    here, length = index[key], float(row["length"])
    linked: list[tuple[int, float]] = [(here, 0.0)]
    for to, lanes in network.graph.get(end, {}).items():
        which = number if number < len(lanes) else 0
        linked.append((index[(end, to, which)], length))
    for origin, ends in network.graph.items():
        if start in ends:
            which = number if number < len(ends[start]) else 0
            before = network.get_lane((origin, start, which)).length
            linked.append((index[(origin, start, which)], -float(before)))
    joined = [(here, 0.0), *_joined(key, network, index)]
    _write(row, "linked", "offset", linked)
    _write(row, "joined", "joined_offset", joined)
    following = [index[(end, to, 0)] for to in network.graph.get(end, {})]
    row["n_next"] = len(following)
    row["next"][: len(following)] = following


def _joined(key: LaneIndex, network: Any, index: dict[LaneIndex, int]) -> list[tuple[int, float]]:
    """Lanes that begin where this one ends or end where it begins, with their offsets.

    highway-env links lanes by their number, so that a ramp may be linked to the far lane of the
    main road. Its drivers look along these links; the scene shown to a teacher uses the true ones.
    """
    lane = network.get_lane(key)
    first, last = lane.position(0.0, 0.0), lane.position(lane.length, 0.0)
    found = []
    for other, number in index.items():
        there = network.get_lane(other)
        if other[0] == key[1] and np.hypot(*(there.position(0.0, 0.0) - last)) < JOIN:
            found.append((number, float(lane.length)))
        end = there.position(there.length, 0.0)
        if other[1] == key[0] and np.hypot(*(end - first)) < JOIN:
            found.append((number, -float(there.length)))
    return found


def _write(row: Any, names: str, offsets: str, links: list[tuple[int, float]]) -> None:
    assert len(links) <= MAX_LINKED
    row[f"n_{names}"] = len(links)
    row[names][: len(links)] = [lane for lane, _ in links]
    row[offsets][: len(links)] = [offset for _, offset in links]


def _mark_goal(
    table: NDArray[np.void], scenario: str, network: Any, index: dict[LaneIndex, int]
) -> tuple[float, float]:
    """Mark progress and arrival in the lanes; returns progress of the goal and of the entry."""
    if scenario == "highway":
        table["base"] = 0.0
        return float("inf"), float("nan")
    if scenario == "merge":
        table["base"] = table["x"]
        for key in (("c", "d", 0), ("c", "d", 1)):
            row = table[index[key]]
            row["goal"], row["goal_from"] = True, MERGED_X - row["x"]
        for key in (("j", "k", 0), ("k", "b", 0)):
            table["beside"][index[key]] = index[("a", "b", 1)]
        return MERGED_X, float(table["x"][index[("c", "d", 0)]])
    starts = _mark_route(table, scenario, network, index)
    if scenario == "intersection":
        arms = [lane for key, lane in index.items() if key[0].startswith("il")]
        table["goal"][arms], table["goal_from"][arms] = True, EXIT_DISTANCE
        return starts[("il1", "o1")] + EXIT_DISTANCE, starts[("ir0", "il1")]
    exits = [lane for key, lane in index.items() if key[:2] in ROUNDABOUT_EXIT]
    table["goal"][exits], table["goal_from"][exits] = True, -np.inf
    return starts[ROUNDABOUT_EXIT[0]], starts[("se", "ex")]


def _mark_route(
    table: NDArray[np.void], scenario: str, network: Any, index: dict[LaneIndex, int]
) -> dict[tuple[str, str], float]:
    """Write progress along the ego's route into its lanes; returns where each road begins."""
    at, starts = 0.0, {}
    names = {lane: key[:2] for key, lane in index.items()}
    for road in plan(network, EGO_START[scenario][:2], DESTINATIONS[scenario], index):
        reference = float(table["length"][road])
        for lane in range(road, road + int(table["count"][road])):
            table["base"][lane], table["stretch"][lane] = at, reference / table["length"][lane]
        starts[names[road]] = at
        at += reference
    return starts
