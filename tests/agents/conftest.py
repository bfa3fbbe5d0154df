"""What tests of several agents share: a task that small networks learn in seconds."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

from hybridrl.datasets.transitions import from_transitions


class Line(gym.Env):
    """One number to be pushed to 0; actions in [-2, 2]."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.steps = self.np_random.uniform(-1, 1), 0
        return np.array([self.x]), {}

    def step(self, action):
        self.x = float(np.clip(self.x + 0.2 * action[0], -2, 2))
        self.steps += 1
        return np.array([self.x]), -abs(self.x), False, self.steps >= 10, {}


class NestedLine(Line):
    observation_space = gym.spaces.Dict({"x": Line.observation_space})

    def reset(self, **kwargs):
        observation, info = super().reset(**kwargs)
        return {"x": observation}, info

    def step(self, action):
        observation, *rest = super().step(action)
        return {"x": observation}, *rest


def random_steps(rows, seed):
    env, rng = Line(), np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    for _ in range(rows):
        action = rng.uniform(-2, 2, 1)
        following, reward, terminated, truncated, _ = env.step(action)
        yield observation, action, reward, following, terminated, truncated
        observation = env.reset()[0] if truncated else following


def random_data(rows=400, seed=0):
    """Transitions of uniform actions."""
    return from_transitions(random_steps(rows, seed))


@pytest.fixture(scope="session")
def line():
    """``line.Env``, the same with dictionaries as ``line.Nested``, and ``line.data(rows)``."""
    return SimpleNamespace(Env=Line, Nested=NestedLine, data=random_data)
