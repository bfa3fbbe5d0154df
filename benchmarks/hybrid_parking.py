"""The hybrid-parking suite: what planner demonstrations are worth to agents that learn to park.

Offline data are drives of the best-of planner in the very environment that is learnt in; they are
made once for each seed and kept beside the runs. ``hard-auto`` hands over to Reeds-Shepp within the
step, ``hard-off`` does not. Scores are success rates; every row makes as many gradient steps.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

from hybridrl.benchmarks.hybrid_rows import summarise as summarise
from hybridrl.benchmarks.hybrid_tables import plots, tables
from hybridrl.benchmarks.hybrid_training import Row, Task, named, train_alone
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.datasets.npz import read_npz, write_npz
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.parking_demos import demonstrate, reset_seed

__all__ = ["demonstrations", "plots", "summarise", "tables", "train", "trials", "variant"]

ENV = "hybridrl/Parking-Hard-v0"
KEYWORDS: dict[str, Any] = {"action_type": "continuous", "allow_reversed_goal": False}
ENVS = 16  # stepped side by side
POLICY = "MultiInputPolicy"
# The two-critic rows share networks, rates and discount; HopeSAC brings its own step scaling.
_SHARED: dict[str, Any] = {"policy": POLICY, "gamma": 0.98, "learning_rate": 5e-4}
_SHARED["ent_coef"] = "auto_0.05"
_TWO: dict[str, Any] = {**_SHARED, "n_critics": 2, "target_entropy": "auto"}
_TWO["mean_of_critics"] = False
ROWS: dict[str, Row] = {
    "sac": Row("sac", _SHARED, data=""),
    "hope-sac": Row("hope-sac", {"policy": POLICY}, data=""),
    "hope-sac-demos": Row("hope-sac", {"policy": POLICY}, data="demonstrations"),
    "hyq-sac": Row("hyq-sac", {**_TWO, "layer_norm": False}),
    "rlpd-lite": Row("rlpd-lite", _TWO),
    "moorl": Row("moorl", _SHARED),
    "moorl-ln": Row("moorl", {**_SHARED, "layer_norm": True}),
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and thousands of environment steps, as in ``cpu-32k``."""
    return f"{tier}-{settings['steps'] / 1000:g}k"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each environment, agent and seed."""
    return [
        request.trial(
            env=env,
            agent=agent,
            work=f"{__name__}:train",
            seed=seed,
            settings=dict(request.settings),
        )
        for seed in request.seeds
        for env in request.envs
        for agent in named(list(ROWS), request.agents)
    ]


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Do one trial; references and counts."""
    settings = config.settings
    common = {
        "gradient_steps": settings["gradient_steps"],
        "batch_size": settings["batch_size"],
        "buffer_size": settings["steps"],
        "learning_starts": min(1000, settings["steps"] // 4),
        "policy_kwargs": {"net_arch": [settings["width"]] * 2},
    }
    if ROWS[config.agent].agent == "hope-sac":  # its networks have a size of their own
        del common["policy_kwargs"]
    file = folder.parents[2] / f"demonstrations-{settings['demonstrations']}-{config.seed}.npz"
    return train_alone(config, folder, parking_task(config, file), ROWS[config.agent], common)


def parking_task(config: RunConfig, file: Path) -> Task:
    """The environment of a row and its demonstrations, which are kept in a file."""
    from hybridrl.agents.common.vec_env import make_vec

    keywords = {**KEYWORDS, "rs": config.env.rpartition("-")[2]}
    evaluation = partial(gym.make_vec, ENV, vectorization_mode="vector_entry_point", **keywords)
    return Task(
        partial(make_vec, ENV, ENVS, **keywords),
        evaluation,
        partial(demonstrations, keywords, config.settings["demonstrations"], file),
        low=0.0,
        high=1.0,
        success=True,
        episodes=config.settings["episodes"],
    )


def demonstrations(keywords: dict[str, Any], count: int, file: Path, seed: int) -> OfflineDataset:
    """Drives of the best-of planner that end parked.

    Args:
        keywords: Of the environment.
        count: Episodes.
        file: Read where it is there, else written.
        seed: Of the scenes.
    """
    if file.exists():
        return read_npz(file)
    from hybridrl.planners.registry import make_planner

    env, planner = gym.make(ENV, **keywords), make_planner("best-of", thorough=False)
    parts: list[OfflineDataset] = []
    attempt = 0
    while len(parts) < count:
        columns = demonstrate(env, planner, reset_seed(seed, attempt))
        attempt += 1
        if columns is not None:
            parts.append(OfflineDataset(**columns, action_space=env.action_space))
    dataset = OfflineDataset.concatenate(*parts, env=ENV, seed=seed, attempts=attempt)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_name(f"{file.stem}.partial.npz")
    write_npz(dataset, partial_file)
    partial_file.replace(file)
    return dataset
