"""The gap-pendulum suite: a planted gap, minutes on a CPU (``h2o.md`` 5.2).

Real data are rows of a random policy that holds each action for ten steps, with episodes that begin
anywhere, or hanging down (``GainBelow-hanging1000``); the simulator is a variant. A trial is one
method on one gap with all its seeds: stacked into one batch where :class:`StackedH2O` knows the
method, one after another for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.agents.h2o.stacked import METHODS as STACKED
from hybridrl.agents.registry import agent_class
from hybridrl.benchmarks.gap import (
    EVALUATION_SEED,
    OFFLINE,
    Evaluation,
    RealGuard,
    home,
)
from hybridrl.benchmarks.gap import summarise as summarise
from hybridrl.benchmarks.gap_stacks import train_stack
from hybridrl.benchmarks.gap_tables import plots, tables
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.transitions import from_transitions
from hybridrl.envs.gap.pendulum import GapPendulumEnv, GapPendulumVectorEnv
from hybridrl.envs.gap.variants import sim_keywords

__all__ = ["plots", "random_rows", "summarise", "tables", "train_method", "trials", "variant"]

HOLD = 10  # steps for which the data's policy keeps an action
RANDOM_STEPS = 300  # of the simulator before the first update
POINTS = 9  # evaluations along the training
EPISODES = 10  # of each
FEWEST_ROWS = 200  # that a stack is given where its method uses none
# Method -> registered agent and its own keywords, for what the stack does not know.
SINGLE: dict[str, tuple[str, dict[str, Any]]] = {
    "iql": ("iql", {"actor_decay": False}),
    "h2o-public": ("h2o", {"public": True, "disc_next": "state"}),
}
SIZES: dict[str, Any] = {  # of h2o.md 5.2, for every method
    "gamma": 0.98,
    "learning_rate": 1e-3,
    "batch_size": 128,
    "device": "cpu",
    "policy_kwargs": {"net_arch": [64, 64]},
}
# The change of state, not the next state: one step's gap is a twentieth of a state's spread, less
# than the noise on the discriminators' inputs, but half the spread of the change.
DISCRIMINATORS: dict[str, Any] = {
    "disc_net_arch": (64, 64),
    "disc_batch_size": 64,
    "disc_next": "delta",
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and number of updates, as in ``cpu-4500``."""
    return f"{tier}-{settings['updates']}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each gap and method; what a method does not use is shared between gaps."""
    cells = dict.fromkeys(
        (home(env, method), method) for env in request.envs for method in request.agents
    )
    return [
        request.trial(
            env=env,
            agent=method,
            work="hybridrl.benchmarks.gap_pendulum:train_method",
            seed=request.seeds[0],
            settings={"updates": request.settings["updates"], "seeds": list(request.seeds)},
        )
        for env, method in cells
    ]


def train_method(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train every seed of one method on one gap and evaluate in reality on the way.

    Returns:
        Steps of the simulator in all, and how often the real environment was stepped.
    """
    import torch

    torch.set_num_threads(1)
    name, _, data = config.env.partition("-")
    seeds, updates = config.settings["seeds"], config.settings["updates"]
    start = "hanging" if data.startswith("hanging") else "uniform"
    count = FEWEST_ROWS if data == "none" else int(data.removeprefix("hanging"))
    datasets = [random_rows(count, seed, start) for seed in seeds]
    keywords = {} if config.agent in OFFLINE else sim_keywords("Pendulum", name)
    guard = RealGuard(partial(GapPendulumVectorEnv, start="hanging"))
    train = _stacked if config.agent in STACKED else _one_by_one
    train(folder, config.agent, keywords, datasets, seeds, updates, guard)
    steps = 0 if config.agent in OFFLINE else (RANDOM_STEPS + updates)
    return {"sim_steps": steps, "updates": updates, **guard.facts()}


def random_rows(rows: int, seed: int, start: str = "uniform") -> OfflineDataset:
    """Transitions of the real pendulum under actions that are drawn anew every ten steps.

    Args:
        rows: How many.
        seed: Of starts and actions.
        start: Where episodes begin: ``uniform`` or ``hanging``.
    """
    env = GapPendulumEnv(start=start)
    return from_transitions(_random_steps(env, rows, seed), action_space=env.action_space)


def _random_steps(env: GapPendulumEnv, count: int, seed: int) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng([seed, 1])
    observation, _ = env.reset(seed=EVALUATION_SEED // 2 + seed)
    for k in range(count):
        if k % HOLD == 0:
            action = rng.uniform(-1.0, 1.0, 1).astype(np.float32)
        following, reward, terminated, truncated, _ = env.step(action)
        yield observation, action, reward, following, terminated, truncated
        observation = env.reset()[0] if truncated else following


def _points(updates: int) -> list[int]:
    """Updates after which policies are evaluated; the last is the end."""
    return sorted({max(1, updates * k // POINTS) for k in range(1, POINTS + 1)})


def _stacked(
    folder: Path,
    method: str,
    keywords: dict[str, Any],
    datasets: list[OfflineDataset],
    seeds: list[int],
    updates: int,
    guard: RealGuard,
) -> None:
    train_stack(
        folder,
        [method],
        GapPendulumVectorEnv(len(seeds), **keywords),
        datasets,
        seeds,
        _points(updates),
        guard,
        EPISODES,
        net_arch=SIZES["policy_kwargs"]["net_arch"],
        batch_size=SIZES["batch_size"],
        disc_batch_size=DISCRIMINATORS["disc_batch_size"],
        disc_next=DISCRIMINATORS["disc_next"],
        learning_rate=SIZES["learning_rate"],
        gamma=SIZES["gamma"],
        learning_starts=RANDOM_STEPS,
    )


def _one_by_one(
    folder: Path,
    method: str,
    keywords: dict[str, Any],
    datasets: list[OfflineDataset],
    seeds: list[int],
    updates: int,
    guard: RealGuard,
) -> None:
    found: list[Evaluation] = []
    agent, own = SINGLE[method]
    for seed, dataset in zip(seeds, datasets, strict=True):
        common = {**SIZES, "seed": seed, "offline_dataset": dataset}
        if agent == "h2o":
            common |= {**DISCRIMINATORS, "learning_starts": RANDOM_STEPS}
        common |= own
        model = agent_class(agent)("MlpPolicy", GapPendulumEnv(**keywords), **common)
        done = 0
        for point in _points(updates):
            if method in OFFLINE:
                model.pretrain(point - done)
            else:
                fresh = 0 if done else RANDOM_STEPS
                model.learn(point - done + fresh, reset_num_timesteps=not done)
            done = point
            with guard.evaluating():
                values = _returns(model, guard.make)
            found += [Evaluation(method, seed, point, i, v) for i, v in enumerate(values)]
            write_rows(folder / "evaluations.csv", Evaluation, found)


def _returns(model: Any, make: Callable[[int], Any]) -> list[float]:
    env = make(EPISODES)
    observations, _ = env.reset(seed=EVALUATION_SEED)
    total, ended = np.zeros(EPISODES), False
    while not ended:
        actions, _ = model.predict(observations, deterministic=True)
        observations, rewards, _, truncated, _ = env.step(actions)
        total, ended = total + rewards, bool(truncated.all())
    return [float(value) for value in total]
