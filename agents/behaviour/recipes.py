"""Recipes of medium, expert, medium-expert and medium-replay data (``h2o.md`` 6.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym

from hybridrl.agents.behaviour.levels import levels_of, versions
from hybridrl.agents.behaviour.table import behaviour
from hybridrl.agents.behaviour.training import evaluations, train
from hybridrl.datasets.behaviour import BehaviourPolicy, level_tensors
from hybridrl.datasets.collect import collect
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.minari_store import store_root
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.recipes import parts_of
from hybridrl.datasets.registry import Made, MakeOptions


def make(name: str, options: MakeOptions) -> Made:
    """Make one of the recipes.

    Medium and expert are stochastic roll-outs of the two policies; medium-expert is the one after
    the other, each with the asked number of rows; medium-replay is every transition of the
    training up to the medium checkpoint, which is why it trains.

    Args:
        name: ``hybridrl/<robot>/<level>-v0``.
        options: Seed, size, work folder, progress.

    Raises:
        UnknownNameError: If there is no such robot.
        DatasetError: If the size cannot be had.
    """
    robot, level = parts_of(name)
    if level == "medium-replay":
        options.in_one_piece()
    facts, folder = levels_of(robot, store_root() / ".behaviour", options.progress)
    if level == "medium-replay":
        dataset, more = _replay(robot, facts, options)
    else:
        levels = ["medium", "expert"] if level == "medium-expert" else [level]
        parts = [_rollout(robot, facts, folder, one, options) for one in levels]
        dataset, more = OfflineDataset.concatenate(*parts), {}
    return finished(name, dataset, facts, seed=options.seed, **more)


def finished(name: str, dataset: OfflineDataset, facts: dict[str, Any], **more: Any) -> Made:
    """Data with its provenance.

    Args:
        name: Of the recipe.
        dataset: The rows.
        facts: Of the behaviour policies.
        **more: Further provenance.
    """
    robot, level = parts_of(name)
    references = {key: facts[key] for key in ("ref_min_score", "ref_max_score")}
    kept = ("robot", "env", "settings", "levels")
    provenance = {
        "recipe": name,
        "level": level,
        **{key: facts[key] for key in kept},
        "behaviour_seed": facts["seed"],
        "behaviour_versions": facts["versions"],
        "versions": versions(),
        **references,
        **more,
    }
    return Made(
        dataset=OfflineDataset.concatenate(dataset, **provenance),
        env=behaviour(robot).env,
        algorithm="stable_baselines3.SAC",
        description=f"{level} data of {robot}, made locally with a small budget",
        metadata=references,
    )


def _rollout(
    robot: str, facts: dict[str, Any], folder: Path, level: str, options: MakeOptions
) -> OfflineDataset:
    row = behaviour(robot)
    work = options.work / level
    work.mkdir(exist_ok=True)
    rows = row.rows if options.rows is None and options.episodes is None else options.rows
    with gym.make(row.env) as env:
        dataset = collect(
            env,
            BehaviourPolicy(level_tensors(facts, folder, level)),
            rows=rows,
            episodes=options.episodes,
            seed=options.seed,
            work=work,
            progress=options.progress,
            engine=options.engine,
        )
    return dataset


def _replay(
    robot: str, facts: dict[str, Any], options: MakeOptions
) -> tuple[OfflineDataset, dict[str, Any]]:
    if options.episodes is not None:
        raise DatasetError("episodes", options.episodes, "steps: a replay is cut at a row")
    step = facts["levels"]["medium"]["step"]
    work = options.work / "training"
    dataset = train(behaviour(robot), work, options.seed, step, options.progress)
    (last,) = (entry for entry in evaluations(work) if entry["step"] == step)
    same = last["sha256"] == facts["levels"]["medium"]["sha256"]
    return dataset.head(options.rows or step), {"is_published_training": same}
