"""Training of one agent on one hybrid task, resumable at every evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hybridrl.agents.common.stack_state import load_stack, save_stack
from hybridrl.agents.moorl.stacked import Method, StackedHybrid
from hybridrl.agents.registry import agent_class
from hybridrl.benchmarks.hybrid_rows import EVALUATION_SEED, Score
from hybridrl.benchmarks.rows_file import rows_so_far, write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.sources import as_dataset

MakeVector = Callable[[int], VectorEnv[Any, Any, Any]]


@dataclass(frozen=True)
class Task:
    """Where agents learn, from which data, and how they are judged.

    Args:
        make: Makes the environment that an agent learns in.
        evaluate: Makes a vector of so many environments to evaluate in, with ``SAME_STEP``
            autoreset.
        dataset: Offline data for a seed.
        low: Reference score that counts 0.
        high: And the one that counts 1.
        success: Score by the final ``is_success`` instead of by the return.
        episodes: Of an evaluation.
    """

    make: Callable[[], Any]
    evaluate: MakeVector
    dataset: Callable[[int], Any]
    low: float
    high: float
    success: bool = False
    episodes: int = 10


@dataclass(frozen=True)
class Row:
    """One row of a table that is trained on its own.

    Args:
        agent: Registered name.
        settings: Of its constructor.
        data: Keyword under which it gets the offline data; empty: it gets none.
        offline: Share of its gradient steps that are made offline first, for agents that
            ``pretrain``; the rest is made online, so that all rows make equally many.
    """

    agent: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: str = "offline_dataset"
    offline: float = 0.0


def points_of(steps: int, count: int) -> list[int]:
    """Environment steps after which a policy is evaluated; the last is the end."""
    return sorted({max(1, steps * k // count) for k in range(1, count + 1)})


def train_alone(
    config: RunConfig, folder: Path, task: Task, row: Row, common: Mapping[str, Any]
) -> dict[str, Any]:
    """Train one seed of one row, or go on with it, and evaluate on the way.

    Args:
        config: ``settings`` has ``steps`` (of the environment), ``points`` (evaluations) and
            ``offline_steps`` (gradient steps of an offline phase at ``Row.offline=1``).
        folder: Of the run.
        task: Where.
        row: What.
        common: Settings of every row of the suite.

    Returns:
        References and counts, for the result of the run.
    """
    import torch

    from hybridrl.agents.common.training_state import save_training_state

    torch.set_num_threads(1)
    model = _built(config, task, row, common)
    done, found = _resumed(model, folder)
    offline = round(row.offline * config.settings.get("offline_steps", 0))
    if offline and not model._n_updates:
        model.pretrain(offline)
        found = list(_evaluated(model, task, config, 0))
    for point in points_of(config.settings["steps"], config.settings["points"]):
        if point <= done:
            continue
        model.learn(point - done, reset_num_timesteps=not done)
        done = point
        found += _evaluated(model, task, config, done)
        write_rows(folder / "scores.csv", Score, found)
        save_training_state(model, folder / "state", facts={"steps": done})
    return {"low": task.low, "high": task.high, "updates": model._n_updates}


def train_stack(
    config: RunConfig,
    folder: Path,
    task: Task,
    methods: Mapping[str, Method],
    make: MakeVector,
    sizes: Mapping[str, Any],
) -> dict[str, Any]:
    """Train all seeds of several methods in one stack, or go on with it, and evaluate on the way.

    Args:
        config: ``settings`` has ``steps``, ``points``, ``seeds`` and ``methods`` (names).
        folder: Of the run.
        task: Where.
        methods: Table of methods.
        make: Makes the vector of environments that is trained in.
        sizes: Of the stack: networks, batch, rates, gradient steps.

    Returns:
        References and counts, for the result of the run.
    """
    import torch

    torch.set_num_threads(1)
    seeds, steps = config.settings["seeds"], config.settings["steps"]
    chosen = {name: methods[name] for name in config.settings["methods"]}
    stack = StackedHybrid(
        chosen,
        make(len(chosen) * len(seeds)),
        [read_data(task.dataset(seed)) for seed in seeds],
        n_seeds=len(seeds),
        seed=1000 * (seeds[0] + 1),
        steps=steps,
        **sizes,
    )
    load_stack(stack, folder / "state")
    found = [s for s in rows_so_far(folder / "scores.csv", Score) if s.steps <= stack.steps]
    for point in points_of(steps, config.settings["points"]):
        if point <= stack.steps:
            continue
        stack.learn(point - stack.steps)
        grids = stack.evaluate(task.evaluate, task.episodes, EVALUATION_SEED)
        for name, grid in grids.items():
            for seed, values in zip(seeds, grid.tolist(), strict=True):
                found += [
                    Score(name, seed, point, stack.updates, k, v) for k, v in enumerate(values)
                ]
        write_rows(folder / "scores.csv", Score, found)
        save_stack(stack, folder / "state")
    return {"low": task.low, "high": task.high, "updates": stack.updates}


def episode_scores(
    predict: Callable[[Any], NDArray[Any]], task: Task, seed: int = EVALUATION_SEED
) -> list[float]:
    """Scores of a task's evaluation episodes, all at once, in the order of their seeds.

    Args:
        predict: Observations of all episodes to actions.
        task: Where.
        seed: Of the first episode; the others count up.
    """
    env = task.evaluate(task.episodes)
    observations, _ = env.reset(seed=seed)
    total, running = np.zeros(task.episodes), np.ones(task.episodes, bool)
    while running.any():
        observations, rewards, terminated, truncated, info = env.step(predict(observations))
        ended = running & (terminated | truncated)
        if not task.success:
            total += running * rewards
        elif ended.any():
            total[ended] = np.asarray(info["final_info"]["is_success"], float)[ended]
        running &= ~ended
    env.close()
    return [float(value) for value in total]


def _evaluated(model: Any, task: Task, config: RunConfig, done: int) -> Iterator[Score]:
    values = episode_scores(lambda seen: model.predict(seen, deterministic=True)[0], task)
    for k, value in enumerate(values):
        yield Score(config.agent, config.seed, done, model._n_updates, k, value)


def _built(config: RunConfig, task: Task, row: Row, common: Mapping[str, Any]) -> Any:
    keywords: dict[str, Any] = {**common, **row.settings, "seed": config.seed, "device": "cpu"}
    if row.data:
        keywords[row.data] = task.dataset(config.seed)
    keywords = {key: dict(v) if isinstance(v, Mapping) else v for key, v in keywords.items()}
    policy = keywords.pop("policy", "MlpPolicy")
    return agent_class(row.agent)(policy, task.make(), **keywords)


def _resumed(model: Any, folder: Path) -> tuple[int, list[Score]]:
    """Environment steps done before, and the scores up to there; 0 and none for a fresh start."""
    from hybridrl.agents.common.training_state import resume_training

    done = int(resume_training(model, folder / "state").get("steps", 0))
    return done, [s for s in rows_so_far(folder / "scores.csv", Score) if s.steps <= done]


def read_data(source: Any) -> OfflineDataset:
    """Offline data of a task, read where it is only named."""
    dataset = as_dataset(source)
    assert dataset is not None
    return dataset


def named(known: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """The chosen names that are known, in the order of the known ones."""
    return [name for name in known if name in chosen]
