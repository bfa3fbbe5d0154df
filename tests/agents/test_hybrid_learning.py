"""Hybrid agents learn a one-dimensional task from random data and a few steps of their own."""

import numpy as np
import pytest
import torch

from hybridrl.agents.registry import agent_class

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


@pytest.mark.parametrize("name", AGENTS)
def test_it_finds_the_way_to_zero_from_both_sides(name, line):
    settings, offline, steps = AGENTS[name]
    options = {**COMMON, **settings, "offline_dataset": line.data(600)}
    model = agent_class(name)("MlpPolicy", line.Env(), **options)
    if offline:
        model.pretrain(offline)
    model.learn(steps)
    left, right = (model.predict(np.array([x]), deterministic=True)[0][0] for x in (1.0, -1.0))
    assert left < -0.5 and right > 0.5
