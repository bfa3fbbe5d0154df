"""Warm start: clone what the teacher does before the student drives (``driving.md`` 4.3 c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from hybridrl.agents.tell_drive.guide import Guide, scenes_of
from hybridrl.agents.tell_drive.losses import distillation_loss
from hybridrl.agents.tell_drive.observation import ADVICE, VALID
from hybridrl.agents.tell_drive.teachers.base import advice_rows

if TYPE_CHECKING:
    from hybridrl.agents.tell_drive.tell_drive import TellDrive

BATCH = 256
ENTROPY = 0.01  # keeps the clone off the corners, where PPO could not explore


def warm_start(model: TellDrive, env: VecEnv, guide: Guide) -> dict[str, float]:
    """Let the teacher drive, clone it, then fit the critic to what its driving returned.

    The episodes go on where they stand; the training's own rollout begins after them.

    Args:
        model: Is changed: first the whole policy, then only what the critic alone uses.
        env: Of the training.
        guide: Whose teacher drives.

    Returns:
        Last losses: ``clone_loss`` in nats and ``clone_value_loss``.
    """
    steps = max(2, -(-model.guidance.warm_start_steps // env.num_envs))
    observations, rewards, dones = _drive(model, env, guide, steps)
    returns = _returns(rewards, dones, model.gamma)
    flat = {k: torch.from_numpy(v.reshape(-1, *v.shape[2:])) for k, v in observations.items()}
    targets = torch.from_numpy(returns.reshape(-1))
    rng = np.random.default_rng(model.seed)
    losses = {"clone_loss": 0.0, "clone_value_loss": 0.0}
    for _ in range(model.guidance.warm_start):
        for rows in _batches(rng, len(targets)):
            losses["clone_loss"] = _clone(model, {k: v[rows] for k, v in flat.items()})
    for _ in range(model.guidance.warm_start):
        for rows in _batches(rng, len(targets)):
            batch = {k: v[rows] for k, v in flat.items()}
            losses["clone_value_loss"] = _fit_value(model, batch, targets[rows])
    return losses


def _drive(
    model: TellDrive, env: VecEnv, guide: Guide, steps: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.bool_]]:
    seen: dict[str, list[Any]] = {}
    rewards, dones = [], []
    observation: Any = model._last_obs
    for _ in range(steps):
        advice = _advice(env, guide)
        observation[ADVICE][:] = advice
        for key, value in observation.items():
            seen.setdefault(key, []).append(value.copy())
        obs, _ = model.policy.obs_to_tensor(observation)
        with torch.no_grad():
            probs, weight = model.policy.teacher_probs(obs)
            own = model.policy.get_distribution(obs).get_actions()
        actions = torch.where(weight > 0, probs.argmax(dim=1), own).cpu().numpy()
        observation, reward, done, infos = env.step(actions)
        model._update_info_buffer(infos, done)
        rewards.append(reward)
        dones.append(done)
    model._last_obs = observation
    model._last_episode_starts = dones[-1]
    stacked = {key: np.stack(values) for key, values in seen.items()}
    return stacked, np.stack(rewards), np.stack(dones)


def _advice(env: VecEnv, guide: Guide) -> NDArray[np.float32]:
    inside = getattr(guide.teacher, "rows_in", None)
    if inside is not None:
        made: NDArray[np.float32] = inside(env.get_attr("arrays"), np.arange(env.num_envs))
        return made
    return advice_rows(guide.teacher, scenes_of(env))


def _returns(
    rewards: NDArray[np.float32], dones: NDArray[np.bool_], gamma: float
) -> NDArray[np.float32]:
    """Discounted sums to the end of the episode, or of what was driven, shape ``(T, B)``."""
    out = np.zeros_like(rewards, np.float32)
    ahead = np.zeros(rewards.shape[1], np.float32)
    for t in range(len(rewards) - 1, -1, -1):
        ahead = rewards[t] + gamma * ahead * ~dones[t]
        out[t] = ahead
    return out


def _clone(model: TellDrive, batch: dict[str, torch.Tensor]) -> float:
    obs = {key: value.to(model.device) for key, value in batch.items()}
    hidden = {**obs, ADVICE: torch.zeros_like(obs[ADVICE])}
    log_probs, _ = model.policy.log_probs_and_values(hidden)
    teacher, _ = model.policy.teacher_probs(obs)
    loss = distillation_loss(teacher, log_probs, obs[ADVICE][:, VALID])
    spread = -(log_probs.exp() * log_probs).sum(dim=1).mean()
    _step(model, loss - ENTROPY * spread)
    return float(loss.detach())


def _fit_value(model: TellDrive, batch: dict[str, torch.Tensor], targets: torch.Tensor) -> float:
    """A step of the critic's own layers; the encoder stays that of the clone."""
    obs = {key: value.to(model.device) for key, value in batch.items()}
    policy = model.policy
    with torch.no_grad():
        features = policy.extract_features({**obs, ADVICE: torch.zeros_like(obs[ADVICE])})
    values = policy.value_net(policy.mlp_extractor.forward_critic(features))[:, 0]  # type: ignore[arg-type]
    loss = torch.nn.functional.mse_loss(values, targets.to(model.device))
    _step(model, loss)
    return float(loss.detach())


def _step(model: TellDrive, loss: torch.Tensor) -> None:
    model.policy.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.policy.parameters(), model.max_grad_norm)
    model.policy.optimizer.step()


def _batches(rng: np.random.Generator, count: int) -> list[NDArray[np.int64]]:
    order = rng.permutation(count)
    return [order[i : i + BATCH] for i in range(0, count, BATCH)]
