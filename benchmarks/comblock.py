"""The combination-lock suite: success against environment steps (``hnpg.md`` 3).

Every seed has a lock of its own, with data of its own. A trial trains until ten evaluations in a
row succeed more than nine times in ten on average, or its budget is spent; it evaluates after every
batch of environment steps, and goes on where it was interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hybridrl.agents.common.vec_env import GymVecEnv, make_vec
from hybridrl.agents.registry import agent_class
from hybridrl.benchmarks.comblock_tables import (
    CURVE,
    HALF,
    MOST,
    first_above,
    plots,
    tables,
)
from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.rows_file import read_rows, rows_so_far, write_rows
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import Request
from hybridrl.datasets.comblock import ENV, comblock_dataset
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.comblock.lock import LockOptions

__all__ = ["plots", "summarise", "tables", "train_cell", "trials", "variant"]

N_ENVS = 100
EPISODES = 100  # of an evaluation on the way
FINAL = 1000  # of those at the end
EVALUATION_SEED = 2**30
KEPT_EVERY = 10  # batches between states that can be gone on from
MOST_IMAGE_EPISODES = 5000  # of a dataset of images, to fit into memory
CURVE_POINTS = 40
DISCRETE_ONLY = ("hyq",)


class Lock(NamedTuple):
    """One column of the table.

    Args:
        keywords: Of the environment.
        budget: Environment steps of training, at most.
        batch: Of them in an iteration of an on-policy agent.
        target_kl: Of HNPG. Four times the published 0.01 halves the steps in short locks; in long
            ones the early steps would settle before their critics are right.
    """

    keywords: dict[str, Any]
    budget: int
    batch: int
    target_kl: float = 0.04


LOCKS: dict[str, Lock] = {
    "H5": Lock({"horizon": 5}, 60_000, 1000),
    "H10": Lock({"horizon": 10}, 150_000, 1000),
    "H20": Lock({"horizon": 20}, 400_000, 2000, 0.01),
    "H50": Lock({"horizon": 50}, 3_000_000, 5000, 0.01),
    "H5-continuous": Lock({"horizon": 5, "action_kind": "continuous"}, 60_000, 1000),
    "H10-continuous": Lock({"horizon": 10, "action_kind": "continuous"}, 150_000, 1000),
    "H5-image": Lock({"horizon": 5, "obs_kind": "image"}, 60_000, 1000),
}
# Row of the table -> registered agent, its own keywords, and whether it is given the data.
METHODS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "hnpg": ("hnpg", {}, True),
    "hnpg-online": ("hnpg", {}, False),
    "hnpg-offline": ("hnpg", {}, True),
    "hnpg-critic": ("hnpg", {"offline_policy": False}, True),
    "hnpg-policy": ("hnpg", {"offline_critic": False}, True),
    "trpo": ("trpo", {}, False),
    "ppo": ("ppo", {}, False),
    "hyq": ("hyq", {}, True),
}
_HYQ: dict[str, Any] = {
    "gradient_steps": 5,
    "target_update_interval": 500,
    "exploration_initial_eps": 0.1,
    "exploration_final_eps": 0.1,
    "policy_kwargs": {"net_arch": [64, 64]},
}


class Point(NamedTuple):
    """One evaluation; a line of ``curve.csv`` each.

    Args:
        steps: Of the environment before it.
        success: Share of episodes that open the lock.
        cpu_s: CPU seconds of training so far, without evaluations.
    """

    steps: int
    success: float
    cpu_s: float


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and thousands of offline episodes, as in ``cpu-50k``."""
    return f"{tier}-{settings['episodes'] / 1000:g}k"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each lock, method and seed; methods that cannot act there are left out."""
    return [
        request.trial(
            env=env,
            agent=method,
            work="hybridrl.benchmarks.comblock:train_cell",
            seed=seed,
            settings=dict(request.settings),
        )
        for env in request.envs
        for method in request.agents
        for seed in request.seeds
        if not (method in DISCRETE_ONLY and env.endswith("continuous"))
    ]


def train_cell(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train one method on one lock, or go on with it.

    Returns:
        Success at the end, of the stochastic policy and of the most likely actions, and steps.
    """
    import torch

    torch.set_num_threads(1)
    lock = LOCKS[config.env]
    budget = min(lock.budget, config.settings["steps"])
    model = _build(config)
    points = _resume(model, folder)
    while not points or (points[-1].steps < budget and first_above(points, MOST) is None):
        started = time.process_time()
        _train(model, config.agent, lock, first=not points, budget=budget)
        spent = (points[-1].cpu_s if points else 0.0) + time.process_time() - started
        done = (points[-1].steps if points else 0) + lock.batch
        points.append(Point(done, _success(model, config, EPISODES, _greedy(config)), spent))
        if len(points) % KEPT_EVERY == 0:
            _keep(model, folder, points)
    _keep(model, folder, points)
    return {
        "steps": 0 if config.agent == "hnpg-offline" else points[-1].steps,
        "success": _success(model, config, FINAL, _greedy(config)),
        "success_mode": _success(model, config, FINAL, True),
        "cpu_s": points[-1].cpu_s,
    }


def offline_data(config: RunConfig) -> OfflineDataset:
    """The data of a trial's lock: ``eps`` episodes, as published."""
    episodes = config.settings["episodes"]
    if config.env.endswith("image"):
        episodes = min(episodes, MOST_IMAGE_EPISODES)
    return comblock_dataset(LockOptions(**_keywords(config)), "eps", episodes, config.seed)


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every finished trial: the curve, thinned, and the numbers of the tables."""
    rows: list[ResultRow] = []
    for result in results:
        if result.status == "failed":
            continue
        points = read_rows(result.config.folder(root) / "curve.csv", Point)
        values = {
            "success": result.values["success"],
            "success_mode": result.values["success_mode"],
            "cpu_s": result.values["cpu_s"],
        }
        for name, level in (("half", HALF), ("most", MOST)):
            hit = first_above(points, level)
            values[f"steps_to_{name}"] = float("nan") if hit is None else points[hit].steps
            values[f"cpu_s_to_{name}"] = float("nan") if hit is None else points[hit].cpu_s
        if result.config.agent != "hnpg-offline":
            every = max(1, -(-len(points) // CURVE_POINTS))
            values |= {f"{CURVE}{p.steps}": p.success for p in points[every - 1 :: every]}
        rows += [_row(result, name, float(value)) for name, value in values.items()]
    return rows


def _row(result: RunResult, metric: str, value: float) -> ResultRow:
    n = EPISODES if metric.startswith(CURVE) else FINAL if "success" in metric else 1
    return row_of(result, metric, value, n, result.values["steps"])


def _keywords(config: RunConfig) -> dict[str, Any]:
    return {**LOCKS[config.env].keywords, "lock_seed": config.seed}


def _build(config: RunConfig) -> Any:
    lock = LOCKS[config.env]
    agent, own, hybrid = METHODS[config.agent]
    n_envs = 10 if agent == "hyq" else N_ENVS
    env = make_vec(ENV, n_envs, seed=config.seed, **_keywords(config))
    common: dict[str, Any] = {"seed": config.seed, "device": "cpu", "gamma": 1.0}
    if agent == "hyq":
        common |= _HYQ
    else:
        common["n_steps"] = lock.batch // n_envs
        if agent != "hnpg":
            common["batch_size"] = lock.batch // 10
    if agent == "hnpg":
        common |= {"clip_actions": False, "target_kl": lock.target_kl}
    if hybrid:
        common["offline_dataset"] = offline_data(config)
    image = agent == "hnpg" and config.env.endswith("image")
    return agent_class(agent)("CnnPolicy" if image else "MlpPolicy", env, **common, **own)


def _train(model: Any, method: str, lock: Lock, first: bool, budget: int) -> None:
    if method == "hnpg-offline":
        model.pretrain(1)
        return
    model.learn(lock.batch, reset_num_timesteps=first)


def _greedy(config: RunConfig) -> bool:
    """Value-based methods act greedily; the others as they act in training."""
    return METHODS[config.agent][0] == "hyq"


def _success(model: Any, config: RunConfig, episodes: int, deterministic: bool) -> float:
    """Share of fresh episodes that open the lock."""
    env: GymVecEnv = make_vec(
        ENV, episodes, seed=EVALUATION_SEED + 1000 * config.seed, **_test(_keywords(config))
    )
    observations = env.reset()
    state: Any = None
    start = np.ones(episodes, np.bool_)
    ended = False
    while not ended:
        actions, state = model.predict(
            observations, state=state, episode_start=start, deterministic=deterministic
        )
        observations, _, dones, infos = env.step(actions)
        start, ended = dones, bool(dones.all())
    return float(np.mean([info["is_success"] for info in infos]))


def _test(keywords: dict[str, Any]) -> dict[str, Any]:
    """Images that training never saw."""
    return {**keywords, "split": "test"} if keywords.get("obs_kind") == "image" else keywords


def _keep(model: Any, folder: Path, points: Sequence[Point]) -> None:
    from hybridrl.agents.common.training_state import save_training_state

    write_rows(folder / "curve.csv", Point, points)
    save_training_state(model, folder / "state", facts={"evaluations": len(points)})


def _resume(model: Any, folder: Path) -> list[Point]:
    """Evaluations up to the state that training goes on from; none for a fresh start."""
    from hybridrl.agents.common.training_state import resume_training

    kept = int(resume_training(model, folder / "state").get("evaluations", 0))
    return rows_so_far(folder / "curve.csv", Point)[:kept]
