"""What ``hybridrl speed optimism`` times: OptimisticSAC beside the shared SAC, and NORA's runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.lsvi_ucb.lsvi_ucb import LSVIUCB
from hybridrl.agents.nora.nora import NORA
from hybridrl.agents.optimistic_sac.optimistic_sac import OptimisticSAC
from hybridrl.agents.registry import load_preset
from hybridrl.benchmarks.speed import Subject
from hybridrl.benchmarks.speed_agents import OBS, _filled, _options
from hybridrl.envs.comblock.linear import random_linear_mdp
from hybridrl.envs.comblock.mdp import random_mdp

# Name of the setting, hidden width, batch.
SETTINGS = (("256x256, batch 256", 256, 256), ("64x64, batch 64", 64, 64))
_RUN_KEYS = ("total_timesteps", "buffer_size")


def optimism_subjects(seed: int) -> list[Subject]:
    """An action and an update of the deep agents, and episodes of the provable ones; one thread."""
    torch.set_num_threads(1)
    oac = {k: v for k, v in load_preset("oac")["default"].items() if k not in _RUN_KEYS}
    subjects = []
    for title, width, batch in SETTINGS:
        options = _options(width, batch, 2, seed)
        shared = f"shared SAC, {title}"
        ours = {**options, "delta": 4.0}
        same = {
            **ours,
            "layer_norm": False,
        }  # the shared SAC's critics: only the exploration differs
        subjects += [
            Subject(f"OptimisticSAC, {title}", "steps", _steps(OptimisticSAC, ours), shared),
            Subject(f"the same critics, {title}", "steps", _steps(OptimisticSAC, same), shared),
            Subject(f"OAC, {title}", "steps", _steps(OptimisticSAC, {**options, **oac}), shared),
            Subject(shared, "steps", _steps(HybridSAC, options)),
        ]
    table, linear = random_mdp(5, 4, 5, seed), random_linear_mdp(20, 4, 5, 6, seed)
    features = linear.features
    return [
        *subjects,
        Subject("NORA, table", "episodes", _episodes(NORA("tabular", table, seed=seed), table)),
        Subject(
            "NORA, linear",
            "episodes",
            _episodes(NORA("linear", linear.mdp, seed=seed, features=features), linear.mdp),
        ),
        Subject(
            "LSVI-UCB, linear",
            "episodes",
            _episodes(LSVIUCB("linear", linear.mdp, seed=seed, features=features), linear.mdp),
        ),
    ]


def _steps(cls: Any, options: dict[str, Any]) -> Callable[[], int]:
    """Choose an action, then update, as a training does at every step."""
    model = _filled(cls, options)
    rng = np.random.default_rng(0)
    model.num_timesteps = 1000

    def work(count: int = 10) -> int:
        for seen in rng.normal(size=(count, 1, OBS)).astype(np.float32):
            model._last_obs = seen
            model._sample_action(0)
            model.num_timesteps += 1
            model.train(1, model.batch_size)
        return count

    return work


def _episodes(agent: NORA, mdp: Any) -> Callable[[], int]:
    def work(count: int = 200) -> int:
        agent.run(mdp, count)
        return count

    return work
