"""Any Gymnasium vector environment as a Stable-Baselines3 ``VecEnv``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvStepReturn


class GymVecEnv(VecEnv):
    """Adapter from Gymnasium's vector interface, with masks, truncation and final observations.

    ``infos[i]`` of a finished episode holds ``terminal_observation``, ``TimeLimit.truncated``,
    ``episode`` (return and length, as ``Monitor`` gives them), and the facts of ``final_info``.

    Args:
        env: A vector environment with ``SAME_STEP`` autoreset, as ``gym.make_vec`` makes it.

    Raises:
        ValueError: If it resets in another way: Stable-Baselines3 expects a reset within the step.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"autoreset_mode is {mode}; Stable-Baselines3 needs {AutoresetMode.SAME_STEP}: "
                'pass vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP} to gym.make_vec'
            )
        self.env = env
        self._actions: NDArray[Any] | None = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Begin every episode; the seed set by :meth:`seed` is used once."""
        seeds: Any = self._seeds if any(seed is not None for seed in self._seeds) else None
        observations, info = self.env.reset(seed=seeds)
        self.reset_infos = [_row(info, i) for i in range(self.num_envs)]
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step."""
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        dones = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(dones).tolist():
            infos[i] = self._final(i, info, bool(truncated[i] and not terminated[i]))
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """One picture each, where the environment draws them."""
        pictures: Any = self.env.render() if self.env.render_mode is not None else None
        return [None] * self.num_envs if pictures is None else list(pictures)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The vector environment's attribute, once for each index."""
        return [getattr(self.env.unwrapped, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment (for all of its members)."""
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a batched method, as in ``action_masks``, and hand out its rows (if it has any)."""
        result = getattr(self.env.unwrapped, method_name)(*args, **kwargs)
        return [None if result is None else result[i] for i in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """Never wrapped one by one; episodes are counted here, so ``Monitor`` is not needed."""
        from stable_baselines3.common.monitor import Monitor

        return [wrapper_class is Monitor] * len(list(self._get_indices(indices)))

    def has_attr(self, attr_name: str) -> bool:
        """Whether the vector environment has an attribute."""
        return hasattr(self.env.unwrapped, attr_name)

    def _final(self, i: int, info: dict[str, Any], truncated: bool) -> dict[str, Any]:
        """The info of a finished episode in Stable-Baselines3's words."""
        final = _row(info["final_info"], i)
        final["terminal_observation"] = info["final_obs"][i]
        final["TimeLimit.truncated"] = truncated
        final["episode"] = {"r": float(self._returns[i]), "l": int(self._lengths[i]), "t": 0.0}
        self._returns[i] = 0.0
        self._lengths[i] = 0
        return final


def make_vec(env_id: str, n_envs: int = 1, seed: int | None = None, **kwargs: Any) -> GymVecEnv:
    """``gym.make_vec`` for Stable-Baselines3, on the environment's native vector form.

    Args:
        env_id: A registered id.
        n_envs: Number of environments.
        seed: Of the first; the others count up from it.
        **kwargs: Keywords of the environment.
    """
    env = GymVecEnv(gym.make_vec(env_id, num_envs=n_envs, **kwargs))
    env.seed(seed)
    return env


def _row(info: dict[str, Any], i: int) -> dict[str, Any]:
    """Row ``i`` of a vector info whose ``_key`` masks mark which rows hold ``key``."""
    names: Iterable[str] = (name for name in info if not name.startswith("_"))
    return {name: _scalar(info[name][i]) for name in names if _holds(info, name, i)}


def _holds(info: dict[str, Any], name: str, i: int) -> bool:
    return f"_{name}" not in info or bool(info[f"_{name}"][i])


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
