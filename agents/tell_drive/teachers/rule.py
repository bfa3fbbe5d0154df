"""Rules of gaps and times to collision: the simplest teacher, 0.1 ms a scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hybridrl.agents.tell_drive.teachers.advice import Advice, advice_for

if TYPE_CHECKING:
    from hybridrl.envs.driving.scene import LaneView, Scene

Ruling = tuple[str, str]  # action and reason

TTC_S = 3.0  # below it: brake or leave the lane, driving.md 3.5
THW_S = 1.2  # time gap that is kept
YIELD_S = 2.0  # arrival times closer than this conflict
ROOM_M = 8.0  # gap to the rear that a lane change leaves at least


class RuleTeacher:
    """Keeps time gaps, changes into free lanes, yields at conflicts.

    Good on the highway; at the intersection it stops in the crossing and is worse than driving on
    blindly (``driving.md`` 7), which is why it is not the default there.
    """

    name = "rule"
    quality = "rules"

    def advise(self, scenes: Sequence[Scene]) -> list[Advice]:
        """One ruling for each scene."""
        return [self._one(scene) for scene in scenes]

    def _one(self, scene: Scene) -> Advice:
        action, reason = _RULES[scene.scenario](scene)
        if action not in scene.available:
            action, reason = _nearest(action, scene.available), f"{reason}; {action} unavailable"
        return advice_for(scene, action, 0.9, self.name, reason=reason)


def time_to_collision(speed: float, gap: float, front_speed: float) -> float:
    """Seconds until the bumper gap is used up at these speeds, at most 20 (``driving.md`` 3.1)."""
    closing = speed - front_speed
    return min(max(gap, 0.0) / closing, 20.0) if closing > 0.1 else 20.0


def _open(lane: LaneView, speed: float) -> bool:
    """Whether the car fits in and neither it nor the car behind has to brake hard."""
    ahead = time_to_collision(speed, lane.front_gap, lane.front_speed)
    behind = time_to_collision(lane.rear_speed, lane.rear_gap, speed)
    roomy = lane.rear_gap > ROOM_M and lane.front_gap > 0.5 * THW_S * speed
    return lane.free == 1 and roomy and ahead > TTC_S and behind > TTC_S


def _highway(scene: Scene) -> Ruling:
    own = scene.own
    ttc = time_to_collision(scene.speed, own.front_gap, own.front_speed)
    close = own.front_gap < THW_S * scene.speed
    slow = own.front_gap < 50.0 and own.front_speed < scene.speed - 0.5
    if close or slow or ttc < 2 * TTC_S:
        for side, name in ((scene.left, "LANE_LEFT"), (scene.right, "LANE_RIGHT")):
            ahead = side.front_gap > own.front_gap + 10.0
            if name in scene.available and _open(side, scene.speed) and ahead:
                return name, "slow car ahead, free lane beside"
        if close or ttc < TTC_S:
            return "SLOWER", "car ahead too close, no free lane"
        return "IDLE", "following"
    if own.front_gap > 2.0 * THW_S * scene.speed:
        return "FASTER", "free road"
    return "IDLE", "keeping the gap"


def _merge(scene: Scene) -> Ruling:
    side = scene.left
    if scene.right.free >= 0 or side.free < 0:  # on a main lane already
        return _highway(scene)
    rear = time_to_collision(side.rear_speed, side.rear_gap, scene.speed)
    ahead = time_to_collision(scene.speed, side.front_gap, side.front_speed)
    room = side.front_gap > 4.0 and side.rear_gap > 4.0
    urgent = scene.distance < 2.0 * scene.speed
    if "LANE_LEFT" in scene.available and room and min(rear, ahead) > (1.0 if urgent else 1.8):
        return "LANE_LEFT", "gap on the main lane"
    if scene.own.front_gap < THW_S * scene.speed:
        return "SLOWER", "car ahead too close"
    flow = 0.5 * (side.front_speed + side.rear_speed)
    if scene.speed > flow + 3.0:
        return "SLOWER", "faster than the main lane"
    if scene.speed < flow - 3.0:
        return "FASTER", "slower than the main lane"
    return ("SLOWER" if side.front_gap < side.rear_gap else "IDLE"), "waiting for a gap"


def _crossing(scene: Scene) -> Ruling:
    if scene.own.front_gap < max(4.0, THW_S * scene.speed):
        return "SLOWER", "car ahead too close"
    inside = scene.distance < 0.0
    for car in scene.conflicts:
        if not inside and car.gap_s < YIELD_S and car.arrival_s < 5.0 and car.priority >= 0:
            return "SLOWER", "yielding"
    return "FASTER", "no conflict"


_RULES: dict[str, Callable[[Scene], Ruling]] = {
    "highway": _highway,
    "merge": _merge,
    "intersection": _crossing,
    "roundabout": _crossing,
}


def _nearest(action: str, available: Sequence[str]) -> str:
    """What comes closest to an action that cannot be taken."""
    order = {"FASTER": ("FASTER", "IDLE"), "SLOWER": ("SLOWER", "IDLE")}
    for name in order.get(action, ("IDLE",)):
        if name in available:
            return name
    return available[0]
