"""Hybrid agents learn a one-dimensional task from random data and a few steps of their own."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from hybridrl.agents.registry import agent_class
from hybridrl.datasets.offline import OfflineDataset

torch.set_num_threads(1)
COMMON = {
    "policy_kwargs": {"net_arch": [32]},
    "batch_size": 64,
    "learning_rate": 3e-3,
    "gamma": 0.6,
    "seed": 0,
    "device": "cpu",
    "buffer_size": 1000,
}
COLD = {"ent_coef": 0.02}
PAIR = {"n_critics": 2, "learning_starts": 0, "gradient_steps": 4, **COLD}
GENTLE = {"n_actions": 4, "penalty_weight": 0.2, "actor_learning_rate": 3e-3, **COLD}
# Agent -> settings, updates on the data alone, and steps in the environment.
AGENTS = {
    "moorl": (COLD, 0, 120),
    "rlpd": (PAIR, 0, 120),
    "hyq-sac": ({**PAIR, "layer_norm": False}, 0, 120),
    "calql": (GENTLE, 300, 30),
    "iql": ({"beta": 30.0}, 300, 30),
}


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


def random_data(rows=600):
    env, rng = Line(), np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    columns = {k: [] for k in ("observations", "actions", "rewards", "next_observations",
                               "terminations", "truncations")}  # fmt: skip
    for _ in range(rows):
        action = rng.uniform(-2, 2, 1)
        following, reward, terminated, truncated, _ = env.step(action)
        row = (observation, action, reward, following, terminated, truncated)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
        observation = env.reset()[0] if truncated else following
    return OfflineDataset(**{k: np.array(v) for k, v in columns.items()})


@pytest.mark.parametrize("name", AGENTS)
def test_it_finds_the_way_to_zero_from_both_sides(name):
    settings, offline, steps = AGENTS[name]
    options = {**COMMON, **settings, "offline_dataset": random_data()}
    model = agent_class(name)("MlpPolicy", Line(), **options)
    if offline:
        model.pretrain(offline)
    model.learn(steps)
    left, right = (model.predict(np.array([x]), deterministic=True)[0][0] for x in (1.0, -1.0))
    assert left < -0.5 and right > 0.5
