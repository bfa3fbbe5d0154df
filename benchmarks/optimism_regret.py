"""Provable half of the suite optimism: NORA and LSVI-UCB where the optimal value is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.agents.lsvi_ucb.lsvi_ucb import LSVIUCB
from hybridrl.agents.nora.nora import NORA, offline_rows
from hybridrl.agents.nora.regret import RegretLog
from hybridrl.benchmarks.optimism_numbers import Number
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.datasets.comblock import comblock_dataset
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.comblock.env import CombLockEnv
from hybridrl.envs.comblock.linear import random_linear_mdp
from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.envs.comblock.mdp import TabularMDP, combination_lock_mdp, random_mdp

POINTS = 25  # of a regret curve, evenly in the logarithm
EPISODES = {  # at share 1
    "lock-5": 1000,
    "lock-10": 2000,
    "lock-20": 4000,
    "random": 20_000,
    "random-linear": 20_000,
    "hadamard-5": 1000,
    "hadamard-10": 1000,
}
# Episodes of offline data: of an optimal policy that acts uniformly with probability 1/H.
OFFLINE = {"lock-5": 200, "lock-10": 200, "lock-20": 1000, "hadamard-5": 300, "hadamard-10": 300}
RANDOM = {"n_states": 5, "n_actions": 4, "horizon": 5}
LINEAR = {"n_states": 20, "n_actions": 4, "horizon": 5, "dim": 6}
VARIANTS: dict[str, dict[str, Any]] = {
    "nora": {},
    "nora-hybrid": {"data": True},
    "nora-no-optimism": {"data": True, "optimism": 0.0},
    "nora-no-optimism-no-data": {"optimism": 0.0},
    "nora-no-reset": {"reset": "none"},
    "douhua": {"target": "Qpi", "reset": "none", "switch": "episode", "eta": 1.0},
    "lsvi-ucb": {},
    "lsvi-ucb-rare": {"switch": "logdet"},
}
ALWAYS = ("solved_after", "switches")  # of runs that end when the lock is open
EXACT = tuple(env for env in EPISODES if not env.startswith("hadamard"))
LOOK = 50  # episodes between two looks at whether the lock is open
# Vectors of squared length 2 D: the bonus of one that is unseen must be above the largest return.
VECTORS = {"c": 0.3, "ridge": 1.0}
SIMPLEX = {"c": 0.1, "ridge": 0.01}


def run_seeds(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Run every seed of one agent on one problem and write what it is judged by.

    Returns:
        Episodes of each seed.
    """
    share = config.settings["share"]
    episodes = max(20, round(EPISODES[config.env] * share))
    numbers: list[Number] = []
    for seed in config.settings["seeds"]:
        log, horizon = run_one(config.env, config.agent, episodes, seed)
        found = judged(log, horizon, seed)
        numbers += [n for n in found if config.env in EXACT or n.metric in ALWAYS]
    write_rows(folder / "numbers.csv", Number, numbers)
    return {"episodes": episodes}


def run_one(env: str, agent: str, episodes: int, seed: int) -> tuple[RegretLog, int]:
    """One seed: its problem and its data are its own.

    Args:
        env: A key of :data:`EPISODES`.
        agent: A key of :data:`VARIANTS`.
        episodes: To run.
        seed: Of the problem, the data and the agent.

    Returns:
        The log and the horizon.
    """
    options = dict(VARIANTS[agent])
    cls: Callable[..., NORA] = LSVIUCB if agent.startswith("lsvi") else NORA
    kind, _, length = env.partition("-")
    if kind == "hadamard":
        return _vectors(cls, options, int(length), OFFLINE[env], episodes, seed)
    mdp, features = _problem(env, seed)
    if options.pop("data", False):
        options["offline_dataset"] = near_optimal(mdp, OFFLINE[env], seed)
    if features is not None:
        options = {**SIMPLEX, **options, "features": features}
    made = cls("auto", mdp, seed=seed, **options)
    return made.run(mdp, episodes), mdp.horizon


def near_optimal(mdp: TabularMDP, episodes: int, seed: int) -> OfflineDataset:
    """Data of an optimal policy that acts uniformly with probability 1/H."""
    uniform = 1.0 / mdp.horizon
    best = np.eye(mdp.n_actions)[mdp.optimal_policy()]
    policy = (1.0 - uniform) * best + uniform / mdp.n_actions
    return offline_rows(mdp, policy, episodes, seed)


def judged(log: RegretLog, horizon: int, seed: int) -> Iterator[Number]:
    """The numbers of one run."""
    episodes = len(log.regrets)
    steps = episodes * horizon
    solved = log.solved_after()
    yield Number(seed, "solved_after", float("nan") if solved is None else solved, episodes, steps)
    yield Number(seed, "slope", log.slope(), episodes, steps)
    yield Number(seed, "switches", float(log.switches), episodes, steps)
    yield Number(seed, "regret", float(log.cumulative[-1]), episodes, steps)
    for k in np.unique(np.geomspace(10, episodes, POINTS).astype(int)).tolist():
        yield Number(seed, f"regret_at_{k}", float(log.cumulative[k - 1]), k, k * horizon)


def _problem(env: str, seed: int) -> tuple[TabularMDP, Any]:
    if env == "random":
        return random_mdp(**RANDOM, seed=seed), None
    if env == "random-linear":
        linear = random_linear_mdp(**LINEAR, seed=seed)
        return linear.mdp, linear.features
    horizon = int(env.partition("-")[2])
    return combination_lock_mdp(LockOptions(horizon=horizon, lock_seed=seed)), None


def _vectors(
    cls: Callable[..., NORA],
    options: dict[str, Any],
    horizon: int,
    offline: int,
    episodes: int,
    seed: int,
) -> tuple[RegretLog, int]:
    """Hadamard observations of the lock, in the environment itself, until it opens."""
    from stable_baselines3.common.logger import configure

    if options.pop("data", False):
        lock = LockOptions(horizon=horizon, lock_seed=seed)
        options["offline_dataset"] = comblock_dataset(lock, "eps", offline, seed)
    env = CombLockEnv(horizon=horizon, lock_seed=seed)
    agent = cls("linear", env, seed=seed, optimal_value=1.0, **{**VECTORS, **options})
    agent.env.seed(seed)
    agent.set_logger(configure(None, []))
    while agent.episodes < episodes and agent.log.solved_after() is None:
        agent.learn(LOOK * horizon, reset_num_timesteps=False)
    return agent.log, horizon
