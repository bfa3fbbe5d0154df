"""The loop of agents that learn between episodes, in any environment with discrete actions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ProgressBarCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import configure_logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from hybridrl.agents.common.vec_env import GymVecEnv
from hybridrl.agents.nora.regret import RegretLog
from hybridrl.planners.errors import ScenarioError


def wrapped(env: Any) -> VecEnv:
    """An environment, its id or a vector of environments as a ``VecEnv``."""
    if isinstance(env, VecEnv):
        return env
    if isinstance(env, VectorEnv):
        return GymVecEnv(env)
    made = gym.make(env) if isinstance(env, str) else env
    return DummyVecEnv([lambda: Monitor(made)])


def horizon_of(env: VecEnv) -> int:
    """The environment's own ``horizon``.

    Raises:
        ScenarioError: If it has none.
    """
    try:
        return int(env.get_attr("horizon")[0])
    except AttributeError as error:
        raise ScenarioError("horizon", None, "the steps of an episode") from error


def collect(agent: Any, total: int, callback: Any, log_interval: int, progress_bar: bool) -> None:
    """Act, learn from every transition, and let the agent plan before every episode.

    Args:
        agent: A NORA: ``env``, ``critic``, ``numbers``, ``rng`` and counters are used.
        total: Steps; episodes that have begun are finished.
        callback: As of Stable-Baselines3.
        log_interval: Episodes between two lines of the log.
        progress_bar: Show one.

    Raises:
        ScenarioError: If an episode is longer than H.
    """
    env, goal = agent.env, agent.num_timesteps + total
    if agent.logger is None:
        agent.set_logger(configure_logger(agent.verbose, agent.tensorboard_log, "nora"))
    called = _callback(agent, callback, progress_bar)
    called.on_training_start(locals(), globals())
    if agent._last_obs is None:
        agent._last_obs = env.reset()
    steps = np.zeros(env.num_envs, np.int64)
    paid = np.zeros(env.num_envs)
    going = True
    while going and (agent.num_timesteps < goal or steps.any()):
        if not steps.any():
            called.on_rollout_start()
            switched = agent.critic.begin_episode(agent.numbers)
        actions = _actions(agent, steps)
        seen, (later, rewards, dones, infos) = agent._last_obs, env.step(actions)
        agent.num_timesteps += env.num_envs
        for i in range(env.num_envs):
            last = infos[i]["terminal_observation"] if dones[i] else later[i]
            agent.add(int(steps[i]), seen[i], int(actions[i]), float(rewards[i]), last)
        paid += rewards
        agent._last_obs = later
        if dones.any():
            _finish(agent, dones, paid, switched, log_interval)
        steps = np.where(dones, 0, steps + 1)
        paid[dones] = 0.0
        if steps.max() >= agent.steps_of_episode:
            raise ScenarioError("episode", int(steps.max()), f"{agent.steps_of_episode} steps")
        if not steps.any() and dones.any():
            called.on_rollout_end()
        called.update_locals(locals())
        going = called.on_step()
    called.on_training_end()


def _actions(agent: Any, steps: Any) -> Any:
    numbers, draws = agent.numbers, agent.rng.random(len(steps))
    seen = agent._last_obs
    return np.array(
        [agent.critic.act(numbers, int(h), seen[i], draws[i]) for i, h in enumerate(steps)]
    )


def _finish(agent: Any, dones: Any, paid: Any, switched: bool, log_interval: int) -> None:
    """Log the episodes that ended; the switch belongs to the first of them."""
    returns = paid[dones].astype(np.float64)
    best = np.nan if agent.optimal_value is None else agent.optimal_value
    flags = np.zeros(len(returns), np.bool_)
    flags[0] = switched
    agent.log = agent.log.joined(RegretLog(best - returns, returns, flags))
    before, agent.episodes = agent.episodes, agent.episodes + len(returns)
    if before // log_interval == agent.episodes // log_interval:
        return
    recent = agent.log.returns[-100:]
    agent.logger.record("rollout/ep_rew_mean", float(recent.mean()))
    agent.logger.record("rollout/episodes", agent.episodes)
    agent.logger.record("train/switches", agent.log.switches)
    if agent.optimal_value is not None:
        agent.logger.record("rollout/regret", float(agent.log.cumulative[-1]))
    agent.logger.dump(agent.num_timesteps)


def _callback(agent: Any, callback: Any, progress_bar: bool) -> BaseCallback:
    given = callback if isinstance(callback, list) else [callback] if callback else []
    called = CallbackList([*given, ProgressBarCallback()] if progress_bar else given)
    called.init_callback(agent)
    return called
