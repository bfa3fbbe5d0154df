"""A teacher on scenes of real episodes: its advice, its cost, and what the planner would do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.tell_drive.teachers.advice import Advice, Teacher, actions_of
from hybridrl.agents.tell_drive.teachers.base import advice_rows
from hybridrl.agents.tell_drive.teachers.prompt import build_prompt
from hybridrl.agents.tell_drive.teachers.registry import make_teacher
from hybridrl.envs.driving.names import ACTIONS, SCENARIOS
from hybridrl.envs.driving.scene import Scene
from hybridrl.planners.errors import UnknownNameError

PLANNER = "lookahead"  # who is agreed with


class Asked(NamedTuple):
    """One scene, what the teacher said, and what the planner would do."""

    scene: Scene
    advice: Advice
    planner: str


def scene_ids() -> dict[str, str]:
    """Gymnasium id of each scenario."""
    return {name: f"hybridrl/Driving-{name.capitalize()}-v0" for name in SCENARIOS}


def ask_along(teacher: Teacher, scenario: str, seed: int, every: int = 1) -> Iterator[Asked]:
    """Drive episode after episode by random open actions, and ask on the way.

    Args:
        teacher: Who is asked.
        scenario: One of the four.
        seed: Of scenes and actions.
        every: Decisions between two questions.

    Raises:
        UnknownNameError: If there is no such scenario.
    """
    if scenario not in SCENARIOS:
        raise UnknownNameError("driving scenario", scenario, SCENARIOS)
    planner = make_teacher(PLANNER)
    rng = np.random.default_rng(seed)
    env = gym.make(scene_ids()[scenario], observation="dict", expose_scene=True)
    _, info = env.reset(seed=seed)
    step = 0
    while True:
        if step % every == every - 1:
            scene = Scene.from_vector(info["scene"])
            yield Asked(scene, _said(teacher, scene, env), _name(_inside(planner, env)))
        masks = env.get_wrapper_attr("action_masks")()
        action = int(rng.choice(np.flatnonzero(masks)))
        _, _, terminated, truncated, info = env.step(action)
        step += 1
        if terminated or truncated:
            _, info = env.reset()


def ask_once(teacher: Teacher, scenario: str, seed: int, step: int) -> dict[str, Any]:
    """Ask about one scene.

    Args:
        teacher: Who is asked.
        scenario: One of the four.
        seed: Of the episode.
        step: Decisions before the scene.

    Returns:
        The advice, the planner's choice, and under ``prompt`` the messages of a language model.
    """
    asked = next(ask_along(teacher, scenario, seed, step + 1))
    advice = asked.advice
    probs = dict(zip(actions_of(asked.scene), (round(p, 4) for p in advice.probs), strict=True))
    return {
        "scene": asked.scene.text(),
        "action": advice.action,
        "valid": advice.valid,
        "confidence": advice.confidence,
        "probs": ", ".join(f"{name} {p}" for name, p in probs.items()),
        "reason": advice.reason,
        "origin": advice.origin,
        "latency_s": advice.latency_s,
        "tokens": advice.tokens,
        "cost": advice.cost,
        "planner": asked.planner,
        "agrees": advice.valid and advice.action == asked.planner,
        "prompt": build_prompt(asked.scene)[0],
    }


def ask_many(
    teacher: Teacher, scenario: str, count: int, seed: int, tick: Callable[[], None]
) -> dict[str, Any]:
    """Ask about many scenes, two decisions apart.

    Args:
        teacher: Who is asked.
        scenario: One of the four.
        count: How many scenes.
        seed: Of the episodes.
        tick: Called after each.

    Returns:
        Rates, times and costs.
    """
    asked: list[Asked] = []
    began = time.perf_counter()
    for one in ask_along(teacher, scenario, seed, every=2):
        asked.append(one)
        tick()
        if len(asked) == count:
            break
    valid = [one for one in asked if one.advice.valid]
    named = [one.advice.action for one in valid]
    seconds = [one.advice.latency_s for one in asked]
    return {
        "scenes": count,
        "valid": len(valid) / count,
        "agrees_with_planner": sum(o.advice.action == o.planner for o in valid) / count,
        "most_common": max(set(named), key=named.count) if named else "",
        "most_common_share": max((named.count(n) for n in set(named)), default=0) / count,
        "latency_p50_s": float(np.percentile(seconds, 50)),
        "latency_p95_s": float(np.percentile(seconds, 95)),
        "tokens": sum(one.advice.tokens for one in asked),
        "cost": sum(one.advice.cost for one in asked),
        "wall_s": time.perf_counter() - began,
    }


def _said(teacher: Teacher, scene: Scene, env: Any) -> Advice:
    began = time.perf_counter()
    if hasattr(teacher, "rows_in"):
        row = _inside(teacher, env)
        probs = tuple(float(row[ACTIONS.index(name)]) for name in actions_of(scene))
        said = Advice(probs, _name(row), float(row[5]), bool(row[7] > 0), teacher.name)
    else:
        (said,) = teacher.advise([scene])
    spent = time.perf_counter() - began
    return said if said.latency_s else said.but(latency_s=spent)


def _inside(teacher: Any, env: Any) -> NDArray[np.float32]:
    arrays = env.unwrapped.arrays
    rows = getattr(teacher, "rows_in", None)
    if rows is None:
        made: NDArray[np.float32] = advice_rows(teacher, arrays.scenes)[0]
        return made
    inside: NDArray[np.float32] = rows([arrays], np.arange(1))[0]
    return inside


def _name(row: NDArray[np.float32]) -> str:
    return ACTIONS[int(row[: len(ACTIONS)].argmax())] if row[7] > 0 else ""
