"""Train a behaviour policy with stock SAC; a killed training goes on with equal bits on a CPU."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.agents.behaviour.table import Behaviour
from hybridrl.datasets.behaviour import BehaviourPolicy, Tensors, write_tensors
from hybridrl.datasets.collect import episode
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.replay import from_replay_buffer
from hybridrl.datasets.ticks import Progress, Ticks, silent

EVALUATION_SEED = 1_000_000
EVALUATION_EPISODES = 3  # a checkpoint
_STATE, _EVALUATIONS = "state", "evaluations.json"


def train(
    row: Behaviour,
    folder: Path,
    seed: int = 0,
    steps: int | None = None,
    progress: Progress = silent,
) -> OfflineDataset:
    """Train, or go on with what is in the folder, and hand out every transition.

    The folder gets ``actor-<step>.safetensors`` and a row of ``evaluations.json`` for each
    checkpoint, and the training state, from which a killed training goes on.

    Args:
        row: Of the table.
        folder: Of this training.
        seed: Of the agent and the environment.
        steps: Stop there instead of at the table's number.
        progress: Shows the checkpoints.

    Returns:
        The whole replay buffer, in order.
    """
    import torch
    from stable_baselines3 import SAC

    from hybridrl.agents.common.training_state import load_training_state, newest_state

    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    steps = row.steps if steps is None else steps
    settings = {"buffer_size": row.steps, **copy.deepcopy(row.settings)}
    model = SAC("MlpPolicy", gym.make(row.env), seed=seed, device="cpu", **settings)
    if newest_state(folder / _STATE):
        load_training_state(model, folder / _STATE)
    done = model.num_timesteps
    with progress(steps // row.every) as ticker:
        for _ in range(done // row.every):
            ticker.tick("behaviour policy: done before")
        if done < steps:
            keeper = _callback(row, folder, ticker)
            model.learn(steps - done, callback=keeper, reset_num_timesteps=not done)
            keeper.keep()
    assert model.replay_buffer is not None
    return from_replay_buffer(model.replay_buffer).head(steps)


def evaluate(
    row: Behaviour, tensors: Tensors, episodes: int, stochastic: bool = False
) -> list[float]:
    """Returns of a policy in the real environment, on seeds that training never saw.

    Args:
        row: Of the table.
        tensors: Of the actor.
        episodes: How many.
        stochastic: Sample actions, as for a dataset.
    """
    act = BehaviourPolicy(tensors, deterministic=not stochastic)
    with gym.make(row.env) as env:
        played = [episode(env, act, EVALUATION_SEED, k) for k in range(episodes)]
    return [float(np.sum(columns["rewards"], dtype=np.float64)) for columns in played]


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """What is known of the checkpoints in a folder: ``step``, ``return`` and ``returns``."""
    file = folder / _EVALUATIONS
    return list(json.loads(file.read_text("utf-8"))) if file.exists() else []


def actor_tensors(model: Any) -> Tensors:
    """The actor's state dict as NumPy arrays (copies)."""
    state = model.actor.state_dict()
    return {
        name: np.ascontiguousarray(value.detach().cpu().numpy().copy())
        for name, value in state.items()
    }


def _callback(row: Behaviour, folder: Path, ticker: Ticks) -> Any:
    from stable_baselines3.common.callbacks import BaseCallback

    from hybridrl.agents.common.training_state import save_training_state

    class Keeper(BaseCallback):
        """Keeps a checkpoint before the first step after each multiple of ``every``."""

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if self.num_timesteps % row.every == 0:
                self.keep()

        def keep(self) -> None:
            """Evaluate the actor and write it down, unless that has been done at this step."""
            step = self.model.num_timesteps
            known = evaluations(folder)
            if step == 0 or any(entry["step"] == step for entry in known):
                return
            tensors = actor_tensors(self.model)
            digest = write_tensors(tensors, folder / f"actor-{step}.safetensors")
            returns = evaluate(row, tensors, EVALUATION_EPISODES)
            mean = float(np.mean(returns))
            known.append({"step": step, "return": mean, "returns": returns, "sha256": digest})
            save_training_state(self.model, folder / _STATE)
            partial = folder / f"{_EVALUATIONS}.partial"
            partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
            partial.replace(folder / _EVALUATIONS)
            ticker.tick(f"behaviour policy: {step} steps, return {mean:.0f}")

    return Keeper()
