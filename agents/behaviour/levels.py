"""Which checkpoints are medium and expert, and the policies that ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.agents.behaviour.table import Behaviour, behaviour
from hybridrl.agents.behaviour.training import evaluate, evaluations, train
from hybridrl.datasets.behaviour import (
    FORMAT,
    SHIPPED,
    read_facts,
    read_tensors,
    write_tensors,
)
from hybridrl.datasets.collect import collect
from hybridrl.datasets.recipes import random_policy
from hybridrl.datasets.ticks import Progress, silent
from hybridrl.planners.errors import ScenarioError

REFERENCE_EPISODES = 100  # of random actions, as D4RL does it
SCORED_EPISODES = 10  # of each checkpoint's deterministic policy


def choose(found: list[dict[str, Any]], random_return: float) -> dict[str, int]:
    """Steps of the levels: expert is the best checkpoint, medium the first at a third of it.

    A third of the way from random to expert, as returns may be negative (``h2o.md`` 6.2).

    Args:
        found: ``step`` and ``return`` of every checkpoint.
        random_return: Mean return of random actions.

    Raises:
        ScenarioError: If there is no checkpoint.
    """
    if not found:
        raise ScenarioError("checkpoints", found, "at least one: train the behaviour policy")
    best = max(found, key=lambda entry: float(entry["return"]))
    third = random_return + (best["return"] - random_return) / 3.0
    # A best checkpoint below random is medium and expert in one.
    first = next(entry for entry in found if entry["return"] >= min(third, best["return"]))
    return {"medium": int(first["step"]), "expert": int(best["step"])}


def publish(robot: str, folder: Path, target: Path, seed: int = 0) -> dict[str, Any]:
    """Write the two policies of a finished training, with everything that is known of them.

    Args:
        robot: A row of the table.
        folder: Of the training.
        target: Gets ``<robot>.json``, ``<robot>-medium.safetensors`` and ``-expert``.
        seed: That it was trained with.

    Returns:
        What the JSON file says.
    """
    row = behaviour(robot)
    low = random_return(row)
    found = [_scored(row, folder, entry["step"]) for entry in evaluations(folder)]
    levels = {}
    target.mkdir(parents=True, exist_ok=True)
    for level, step in choose(found, low).items():
        tensors = read_tensors(folder / f"actor-{step}.safetensors")
        (scored,) = (entry for entry in found if entry["step"] == step)
        levels[level] = {
            **scored,
            "sha256": write_tensors(tensors, target / f"{robot}-{level}.safetensors"),
            "stochastic_return": float(np.mean(evaluate(row, tensors, SCORED_EPISODES, True))),
        }
    facts = {
        "format": FORMAT,
        "robot": robot,
        "env": row.env,
        "seed": seed,
        "settings": {"algorithm": "stable_baselines3.SAC", "steps": row.steps, **row.settings},
        "ref_min_score": low,
        "ref_max_score": levels["expert"]["return"],
        "levels": levels,
        "checkpoints": [{key: entry[key] for key in ("step", "return")} for entry in found],
        "versions": versions(),
    }
    file = target / f"{robot}.json"
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)
    return facts


def levels_of(robot: str, work: Path, progress: Progress = silent) -> tuple[dict[str, Any], Path]:
    """Facts of a robot's policies and the folder of their weights: shipped, or trained now.

    Args:
        robot: A row of the table.
        work: Where to train, and to go on, if none are shipped.
        progress: Shows the training.

    Raises:
        UnknownNameError: If there is no such robot.
        ScenarioError: If the facts are damaged.
    """
    row = behaviour(robot)
    for folder in (SHIPPED, work):
        if (facts := read_facts(robot, folder)) is not None:
            return facts, folder
    train(row, work / robot, progress=progress)
    return publish(robot, work / robot, work), work


def random_return(row: Behaviour) -> float:
    """Mean return of 100 episodes of random actions: the lower reference."""
    with gym.make(row.env) as env:
        data = collect(env, random_policy(env.action_space), episodes=REFERENCE_EPISODES, seed=0)
    return float(data.returns().mean())


def _scored(row: Behaviour, folder: Path, step: int) -> dict[str, Any]:
    """A checkpoint's returns on more episodes than training had time for."""
    tensors = read_tensors(folder / f"actor-{step}.safetensors")
    returns = evaluate(row, tensors, SCORED_EPISODES)
    return {"step": step, "return": float(np.mean(returns)), "returns": returns}


def versions() -> dict[str, str]:
    """Versions of what a training depends on."""
    from importlib.metadata import version

    names = ("gymnasium", "mujoco", "numpy", "stable-baselines3", "torch")
    return {name: version(name) for name in names}
