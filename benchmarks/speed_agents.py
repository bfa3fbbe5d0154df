"""What ``hybridrl speed agents`` times: updates, replay and acting beside Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.logger import configure

from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.h2o import H2O
from hybridrl.benchmarks.speed import Subject
from hybridrl.datasets.offline import OfflineDataset

OBS, ACTIONS = 17, 6  # of HalfCheetah
ROWS = 5000
# Name of the setting, hidden width, batch, critics.
SETTINGS = (
    ("256x256, batch 256, 2 critics", 256, 256, 2),
    ("64x64, batch 64, 2 critics", 64, 64, 2),
    ("64x64, batch 64, 10 critics", 64, 64, 10),
)


def agent_subjects(seed: int) -> list[Subject]:
    """Gradient steps of SAC and H2O, sampling and action selection; one thread."""
    torch.set_num_threads(1)
    subjects = []
    for title, width, batch, critics in SETTINGS:
        theirs = f"Stable-Baselines3 SAC, {title}"
        options = _options(width, batch, critics, seed)
        subjects.append(
            Subject(f"our SAC, {title}", "updates", _updates(HybridSAC, options), theirs)
        )
        if critics == 2:
            real = {**options, "offline_dataset": _dataset(seed)}
            real |= {"disc_net_arch": (width, width), "disc_batch_size": batch}
            subjects.append(Subject(f"H2O, {title}", "updates", _updates(H2O, real), theirs))
        subjects.append(Subject(theirs, "updates", _updates(SAC, options)))
    options = _options(256, 256, 2, seed)
    ours, theirs = _filled(HybridSAC, options), _filled(SAC, options)
    return [
        *subjects,
        Subject("our replay, batch 256", "batches", _samples(ours), "SB3 replay, batch 256"),
        Subject("SB3 replay, batch 256", "batches", _samples(theirs)),
        Subject("our action selection", "actions", _actions(ours), "SB3 action selection"),
        Subject("SB3 action selection", "actions", _actions(theirs)),
    ]


def _options(width: int, batch: int, critics: int, seed: int) -> dict[str, Any]:
    return {
        "policy_kwargs": {"net_arch": [width, width], "n_critics": critics},
        "batch_size": batch,
        "buffer_size": ROWS,
        "learning_starts": 0,
        "seed": seed,
        "device": "cpu",
    }


def _filled(cls: Any, options: dict[str, Any], policy: Any = "MlpPolicy") -> Any:
    """An agent with a full replay buffer of random transitions."""
    model = cls(policy, _Spaces(), **{**options, "policy_kwargs": {**options["policy_kwargs"]}})
    model.set_logger(configure(None, []))
    rng = np.random.default_rng(0)
    for _ in range(ROWS):
        obs, after = rng.normal(size=(2, 1, OBS)).astype(np.float32)
        action = rng.uniform(-1, 1, (1, ACTIONS)).astype(np.float32)
        model.replay_buffer.add(obs, after, action, rng.normal(size=1), np.zeros(1), [{}])
    return model


def _updates(cls: Any, options: dict[str, Any]) -> Callable[[], int]:
    model = _filled(cls, options)

    def work(count: int = 10) -> int:
        model.train(count, model.batch_size)
        return count

    return work


def _samples(model: Any) -> Callable[[], int]:
    def work(count: int = 50) -> int:
        for _ in range(count):
            model.replay_buffer.sample(model.batch_size)
        return count

    return work


def _actions(model: Any) -> Callable[[], int]:
    model._last_obs = np.zeros((1, OBS), np.float32)

    def work(count: int = 50) -> int:
        for _ in range(count):
            model._sample_action(0)
        return count

    return work


def _dataset(seed: int) -> OfflineDataset:
    rng = np.random.default_rng(seed)
    return OfflineDataset(
        observations=rng.normal(size=(ROWS, OBS)),
        actions=rng.uniform(-1, 1, (ROWS, ACTIONS)),
        rewards=rng.normal(size=ROWS),
        next_observations=rng.normal(size=(ROWS, OBS)),
        terminations=np.zeros(ROWS, bool),
        truncations=np.zeros(ROWS, bool),
    )


class _Spaces(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """HalfCheetah's spaces: the rows are made beforehand, so it is never stepped."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)
