import numpy as np
import pytest

from hybridrl.agents.lsvi_ucb import LSVIUCB
from hybridrl.agents.nora import NORA
from hybridrl.envs.comblock.linear import random_linear_mdp
from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.envs.comblock.mdp import combination_lock_mdp, random_mdp
from hybridrl.planners.errors import ScenarioError


def test_it_replans_before_every_episode_and_acts_greedily():
    linear = random_linear_mdp(6, 3, 3, 4, seed=1)
    agent = LSVIUCB("linear", linear.mdp, features=linear.features, seed=0)
    log = agent.run(linear.mdp, 100)
    assert log.switches == 100
    chance = agent.critic.probabilities(agent.numbers, 0, 2)
    best = agent.critic.tables.critic[0, 2] >= agent.critic.tables.critic[0, 2].max() - 1e-12
    assert np.allclose(chance, best / best.sum())


def test_regret_grows_slowly_in_linear_mdps_with_rare_switches_too():
    for switch in ("episode", "logdet"):
        linear = random_linear_mdp(20, 4, 5, 6, seed=0)
        agent = LSVIUCB("auto", linear.mdp, features=linear.features, switch=switch, seed=0)
        log = agent.run(linear.mdp, 3000)
        assert log.slope() < 0.6
        assert log.switches == 3000 or log.switches < 150


def test_with_one_hot_features_it_is_a_table_with_ridge():
    mdp = combination_lock_mdp(LockOptions(horizon=5, lock_seed=1))
    assert LSVIUCB("auto", mdp, seed=0).run(mdp, 300).solved_after() <= 300
    small = random_mdp(3, 2, 2, seed=0)
    agent = LSVIUCB("auto", small, seed=0)
    agent.run(small, 50)
    n, sums = agent.critic.tables.counts[1], agent.critic.tables.rewards[1]
    expected = np.clip(sums / (n + 0.01) + 0.1 / np.sqrt(n + 0.01), 0.0, 1.0)
    # the last episode was added after the critic was fitted: fit it once more
    agent.critic.begin_episode(agent.numbers)
    assert np.allclose(agent.critic.tables.critic[1], expected)


def test_it_is_loaded_with_its_own_rules(tmp_path):
    mdp = random_mdp(3, 2, 2, seed=0)
    agent = LSVIUCB("auto", mdp, seed=0)
    agent.run(mdp, 20)
    agent.save(tmp_path / "model.zip")
    again = LSVIUCB.load(tmp_path / "model.zip")
    assert again.rules.eta == "greedy" and again.critic.linear
    assert np.array_equal(again.critic.tables.critic, agent.critic.tables.critic)
    with pytest.raises(ScenarioError, match="LSVIUCB"):
        NORA.load(tmp_path / "model.zip")
    with pytest.raises(ScenarioError, match="policy"):
        LSVIUCB("tabular", mdp)
