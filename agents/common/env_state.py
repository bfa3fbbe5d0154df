"""The whole state of an environment, so that a training can go on in the middle of an episode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecNormalize

from hybridrl.agents.common.vec_env import GymVecEnv
from hybridrl.planners.errors import ScenarioError

_SAME_STEP = gym.vector.AutoresetMode.SAME_STEP  # in other modes it keeps who is to be reset
# What Gymnasium's classic control tasks keep between steps.
_CLASSIC = ("state", "last_u", "steps_beyond_terminated")
_MONITOR = ("rewards", "needs_reset", "episode_returns", "episode_lengths", "total_steps")
_VEC_MONITOR = ("episode_returns", "episode_lengths", "episode_count")


def vec_env_state(venv: VecEnv) -> dict[str, Any] | None:
    """State of a ``VecEnv`` and of what is in it: arrays and JSON-able values.

    Returns:
        ``None`` where an environment (or a wrapper with steps in other processes) keeps its state
        to itself.
    """
    if isinstance(venv, VecMonitor):
        own = {name: getattr(venv, name) for name in _VEC_MONITOR}
    elif isinstance(venv, VecNormalize):
        own = _normalisation(venv)
    elif isinstance(venv, GymVecEnv):
        state = env_state(venv.env)
        own = {"returns": venv._returns, "lengths": venv._lengths, "env": state}
        return None if state is None else own
    elif isinstance(venv, DummyVecEnv):
        states = [env_state(env) for env in venv.envs]
        return None if any(state is None for state in states) else {"envs": states}
    else:
        return None
    inner = vec_env_state(venv.venv)
    return None if inner is None else {**own, "inner": inner}


def restore_vec_env(venv: VecEnv, state: dict[str, Any]) -> None:
    """Put a ``VecEnv`` of the same make into a state of :func:`vec_env_state`.

    Raises:
        ScenarioError: If it is of another make.
    """
    venv.reset()  # wrappers and engines are made ready; what it draws is overwritten below
    try:
        _restore(venv, state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ScenarioError(
            "environment state", str(error), "the state of an equal environment"
        ) from error


def env_state(env: Any) -> dict[str, Any] | None:
    """State of one Gymnasium (vector) environment, wrappers included; ``None`` if unknown."""
    inner = _inner_state(env.unwrapped)
    if inner is None:
        return None
    wrappers = [_wrapper_state(layer) for layer in _wrappers(env)]
    return {"wrappers": wrappers, "env": inner}


def restore_env(env: Any, state: dict[str, Any]) -> None:
    """Put a reset environment of the same make into a state of :func:`env_state`."""
    for layer, saved in zip(_wrappers(env), state["wrappers"], strict=True):
        for name, value in saved.items():
            setattr(layer, name, value)
    inner, saved = env.unwrapped, state["env"]
    if hasattr(inner, "set_state") and hasattr(inner, "get_state"):
        inner.set_state(saved)
        return
    if isinstance(inner, gym.vector.SyncVectorEnv):
        for one, state in zip(inner.envs, saved["envs"], strict=True):
            restore_env(one, state)
        return
    inner.np_random.bit_generator.state = saved["generator"]
    if "physics" in saved:
        from hybridrl.envs.gap.robots import load_physics

        load_physics(inner, saved["physics"])
    for name in _CLASSIC:
        if name in saved:
            setattr(inner, name, saved[name])


def _inner_state(env: Any) -> dict[str, Any] | None:
    if hasattr(env, "get_state") and hasattr(env, "set_state"):
        state: dict[str, Any] = env.get_state()
        return state
    if isinstance(env, gym.vector.SyncVectorEnv) and env.autoreset_mode == _SAME_STEP:
        states = [env_state(one) for one in env.envs]
        return None if None in states else {"envs": states}
    if isinstance(env, gym.vector.VectorEnv):
        return None
    generator = {"generator": env.np_random.bit_generator.state}
    module = type(env).__module__
    if module.startswith("gymnasium.envs.classic_control"):
        return {**generator, **{name: getattr(env, name, None) for name in _CLASSIC}}
    if module.startswith("gymnasium.envs.mujoco"):
        from hybridrl.envs.gap.robots import save_physics

        return {**generator, "physics": save_physics(env)}
    return None


def _wrapper_state(layer: Any) -> dict[str, Any]:
    if isinstance(layer, Monitor):
        return {name: getattr(layer, name) for name in _MONITOR}
    if isinstance(layer, gym.wrappers.TimeLimit):
        return {"_elapsed_steps": layer._elapsed_steps}
    return {}


def _wrappers(env: Any) -> Iterator[Any]:
    while env is not env.unwrapped:
        yield env
        env = env.env


def _normalisation(venv: VecNormalize) -> dict[str, Any]:
    moments = {"ret_rms": venv.ret_rms, "obs_rms": venv.obs_rms}
    keyed = isinstance(venv.obs_rms, dict)
    named = venv.obs_rms if keyed else {"": venv.obs_rms}
    return {
        "returns": venv.returns,
        "old_reward": venv.old_reward,
        "old_obs": venv.old_obs,
        "moments": {
            "return": _moments(moments["ret_rms"]),
            **{f"obs.{key}": _moments(rms) for key, rms in named.items() if rms is not None},
        },
    }


def _moments(rms: Any) -> dict[str, Any]:
    return {"mean": rms.mean, "var": rms.var, "count": rms.count}


def _restore(venv: Any, state: dict[str, Any]) -> None:
    if isinstance(venv, DummyVecEnv):
        for env, saved in zip(venv.envs, state["envs"], strict=True):
            restore_env(env, saved)
        return
    if isinstance(venv, GymVecEnv):
        restore_env(venv.env, state["env"])
        venv._returns[:], venv._lengths[:] = state["returns"], state["lengths"]
        return
    _restore(venv.venv, state["inner"])
    if isinstance(venv, VecMonitor):
        for name in _VEC_MONITOR:
            setattr(venv, name, state[name])
        return
    for name in ("returns", "old_reward", "old_obs"):
        setattr(venv, name, state[name])
    for name, saved in state["moments"].items():
        kind, _, key = name.partition(".")
        rms: Any = venv.ret_rms if kind == "return" else venv.obs_rms
        rms = rms[key] if key else rms
        rms.mean, rms.var, rms.count = (
            np.asarray(saved["mean"]),
            np.asarray(saved["var"]),
            saved["count"],
        )
