"""The gap-mujoco suite: H2O and its rivals on HalfCheetah with a planted gap (``h2o.md`` 5.1).

The methods that :class:`StackedH2O` knows are trained side by side, all their seeds in one trial
for each gap and dataset; the simulator-only baseline, which uses no data, in one for each gap. A
trial of another method is one seed. All go on from the last evaluation where they were interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hybridrl.agents.h2o.stacked import METHODS as STACKED
from hybridrl.agents.registry import agent_class
from hybridrl.benchmarks.gap import EVALUATION_SEED, SIM_ONLY, Evaluation, RealGuard, home
from hybridrl.benchmarks.gap import summarise as summarise
from hybridrl.benchmarks.gap_stacks import train_stack
from hybridrl.benchmarks.gap_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import read_data
from hybridrl.benchmarks.rows_file import rows_so_far, write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.envs.gap.env import GapEnv
from hybridrl.envs.gap.variants import sim_keywords

__all__ = ["datasets", "plots", "summarise", "tables", "trials", "variant"]

ROBOT = "HalfCheetah"
POINTS = 5  # evaluations along the training
EPISODES = 5  # of each
RANDOM_STEPS = 1000  # of the simulator before the first update
LEARNING_RATE = 1e-3
STACK = "stack"  # agent of a trial that trains several methods
# Method -> registered agent and its own keywords, for what the stack does not know.
SINGLE: dict[str, tuple[str, dict[str, Any]]] = {
    "iql": ("iql", {"actor_decay": False}),
    "h2o-public": ("h2o", {"public": True}),
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and thousands of updates, as in ``cpu-30k``."""
    return f"{tier}-{settings['updates'] / 1000:g}k"


def trials(request: Request) -> list[RunConfig]:
    """Stacks of each gap, and one trial a seed for what is trained alone."""
    return [*_stacks(request), *_singles(request)]


def datasets(request: Request) -> list[str]:
    """Data that the trials read."""
    return [_dataset(env.partition("-")[2]) for env in request.envs]


def _stacks(request: Request) -> Iterator[RunConfig]:
    known = [method for method in request.agents if method in STACKED]
    alone = [method for method in known if method in SIM_ONLY]
    with_data = [method for method in known if method not in SIM_ONLY]
    cells = {(home(env, method), method): [method] for env in request.envs for method in alone}
    if with_data:
        cells |= {(env, STACK): with_data for env in request.envs}
    for (env, agent), methods in cells.items():
        yield request.trial(
            env=env,
            agent=agent,
            work="hybridrl.benchmarks.gap_mujoco:train_side_by_side",
            seed=request.seeds[0],
            settings={**request.settings, "methods": methods, "seeds": list(request.seeds)},
        )


def _singles(request: Request) -> Iterator[RunConfig]:
    cells = dict.fromkeys(
        (home(env, method), method, seed)
        for seed in request.seeds
        for env in request.envs
        for method in request.agents
        if method in SINGLE
    )
    for env, method, seed in cells:
        yield request.trial(
            env=env,
            agent=method,
            work="hybridrl.benchmarks.gap_mujoco:train_cell",
            seed=seed,
            settings=dict(request.settings),
        )


def train_side_by_side(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train every seed of some methods on one gap and evaluate in reality on the way.

    Returns:
        Steps of each simulator, and how often the real environment was stepped.
    """
    import torch

    torch.set_num_threads(1)
    settings = config.settings
    keywords, data = _simulator(config.env)
    count = len(settings["methods"]) * len(settings["seeds"])
    guard = RealGuard(_robots)
    train_stack(
        folder,
        settings["methods"],
        _robots(count, **keywords),
        read_data(data or _dataset("medium-replay")),  # a stack wants data, if only to be passed by
        settings["seeds"],
        _points(settings["updates"]),
        guard,
        EPISODES,
        net_arch=[settings["width"]] * 2,
        batch_size=settings["batch_size"],
        disc_batch_size=settings["batch_size"] // 2,
        learning_rate=LEARNING_RATE,
        gamma=0.99,
        learning_starts=RANDOM_STEPS,
    )
    updates = settings["updates"]
    return {"sim_steps": RANDOM_STEPS + updates, "updates": updates, **guard.facts()}


def train_cell(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train one method on one gap, or go on with it, and evaluate in reality on the way.

    Returns:
        Steps of the simulator, and how often the real environment was stepped.
    """
    import torch

    from hybridrl.agents.common.training_state import save_training_state

    torch.set_num_threads(1)
    updates = config.settings["updates"]
    guard = RealGuard(_robots)
    model = _build(config)
    done, found = _resume(model, folder)
    for point in _points(updates):
        if point <= done:
            continue
        _train(model, config.agent, point - done, first=not done)
        done = point
        with guard.evaluating():
            returns = _returns(model, guard)
        found += [Evaluation(config.agent, config.seed, point, i, v) for i, v in enumerate(returns)]
        write_rows(folder / "evaluations.csv", Evaluation, found)
        save_training_state(model, folder / "state", facts={"updates": done})
    model.save(folder / "model.zip")
    return {"sim_steps": model.num_timesteps, "updates": updates, **guard.facts()}


def _points(updates: int) -> list[int]:
    """Updates after which policies are evaluated; the last is the end."""
    return [updates * k // POINTS for k in range(1, POINTS + 1)]


def _simulator(env: str) -> tuple[dict[str, Any], str]:
    """Keywords of a cell's simulator, and the id of its data (empty: none)."""
    name, _, level = env.partition("-")
    keywords = {} if name == "offline" else sim_keywords(ROBOT, name)
    return keywords, "" if level == "none" else _dataset(level)


def _dataset(level: str) -> str:
    return f"hybridrl/{ROBOT.lower()}/{level}-v0"


def _robots(count: int, **keywords: Any) -> VectorEnv[Any, Any, Any]:
    make = partial(GapEnv, robot=ROBOT.lower(), **keywords)
    return SyncVectorEnv([make] * count, autoreset_mode=AutoresetMode.SAME_STEP)


def _build(config: RunConfig) -> Any:
    agent, own = SINGLE[config.agent]
    keywords, data = _simulator(config.env)
    batch, layers = config.settings["batch_size"], [config.settings["width"]] * 2
    settings: dict[str, Any] = {
        "seed": config.seed,
        "device": "cpu",
        "offline_dataset": data,
        "learning_rate": LEARNING_RATE,
        "batch_size": batch,
        "policy_kwargs": {"net_arch": layers},
        "buffer_size": config.settings["updates"] + RANDOM_STEPS,
        **own,
    }
    if agent == "h2o":
        settings |= {"disc_net_arch": layers, "disc_batch_size": batch // 2}
        settings |= {"learning_starts": RANDOM_STEPS}
    return agent_class(agent)("MlpPolicy", GapEnv(robot=ROBOT.lower(), **keywords), **settings)


def _resume(model: Any, folder: Path) -> tuple[int, list[Evaluation]]:
    """Updates done before, and the evaluations up to there; 0 and none for a fresh start."""
    from hybridrl.agents.common.training_state import resume_training

    done = int(resume_training(model, folder / "state").get("updates", 0))
    found = rows_so_far(folder / "evaluations.csv", Evaluation)
    return done, [e for e in found if e.updates <= done]


def _train(model: Any, method: str, updates: int, first: bool) -> None:
    if method == "iql":
        model.pretrain(updates)
    else:
        random = int(model.learning_starts) if first else 0
        model.learn(updates + random, reset_num_timesteps=first)


def _returns(model: Any, guard: RealGuard) -> list[float]:
    env = guard.make(EPISODES)
    observations, _ = env.reset(seed=EVALUATION_SEED)
    total, running = np.zeros(EPISODES), np.ones(EPISODES, bool)
    while running.any():
        actions, _ = model.predict(observations, deterministic=True)
        observations, rewards, terminated, truncated, _ = env.step(actions)
        total += running * rewards
        running &= ~(terminated | truncated)
    env.close()
    return [float(value) for value in total]
