"""The formulas and compiled runs of NORA against hand-worked numbers, numpy and exact values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridrl.agents.nora import NORA, formulas, kernels
from hybridrl.agents.nora.nora import offline_rows, world
from hybridrl.agents.nora.regret import RegretLog
from hybridrl.agents.nora.rules import Rules
from hybridrl.envs.comblock.linear import one_hot_features, random_linear_mdp
from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.envs.comblock.mdp import TabularMDP, combination_lock_mdp, random_mdp
from hybridrl.planners.errors import ScenarioError, UnknownNameError

EPISODES = 300


def lock(horizon=5, seed=0):
    return combination_lock_mdp(LockOptions(horizon=horizon, lock_seed=seed))


def near_optimal(mdp, episodes, seed=0):
    share = 1.0 / mdp.horizon
    best = np.eye(mdp.n_actions)[mdp.optimal_policy()]
    return offline_rows(mdp, (1 - share) * best + share / mdp.n_actions, episodes, seed)


def test_the_formulas_are_those_worked_by_hand():
    assert formulas.confidence(2, 3, 4, 10, 0.5) == pytest.approx(math.log(480))
    # sqrt(2 * 8 * log 2 / (4 * 2))
    assert formulas.theory_eta(8, 2, 2.0, 2) == pytest.approx(math.sqrt(2 * math.log(2)))
    assert formulas.switch_bound(6, 5, 7) == 90
    assert formulas.table_value(0.3, 4.0, 0.2, 1.0, 1.0) == pytest.approx(0.4)
    assert formulas.table_value(0.3, 4.0, 0.2, 1.0, 0.0) == pytest.approx(0.3)
    assert formulas.table_value(0.95, 1.0, 0.2, 1.0, 1.0) == 1.0  # clipped
    assert formulas.table_value(0.0, 0.0, 0.2, 0.7, 1.0) == 0.7  # unseen: as good as possible
    assert formulas.table_value(0.0, 0.0, 0.2, 0.7, 0.0) == 0.0  # and worth nothing without
    assert formulas.linear_value(0.2, 0.25, 0.4, 1.0, 1.0) == pytest.approx(0.4)
    assert formulas.linear_value(-0.5, 0.0, 0.4, 1.0, 1.0) == 0.0


def test_the_policy_is_a_softmax_and_greedy_shares_between_equals():
    logits = np.array([1.0, 3.0, 3.0, -700.0])
    expected = np.exp(logits - 3.0)
    assert np.allclose(formulas.tilt(logits, False), expected / expected.sum())
    assert formulas.tilt(logits, True).tolist() == [0.0, 0.5, 0.5, 0.0]
    chance = np.array([0.2, 0.5, 0.3])
    assert [formulas.draw(chance, u) for u in (0.0, 0.19, 0.21, 0.69, 0.71, 0.9999999)] == [
        *(0, 0, 1, 1, 2, 2)
    ]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_rank_one_updates_keep_inverse_and_determinant(d, seed):
    rng = np.random.default_rng(seed)
    matrix, inverse, log_det = np.eye(d), np.eye(d), 0.0
    for phi in rng.normal(size=(5, d)):
        matrix += np.outer(phi, phi)
        log_det += formulas.add_outer(inverse, phi)
    assert np.allclose(inverse, np.linalg.inv(matrix))
    assert log_det == pytest.approx(np.linalg.slogdet(matrix)[1])


def planned(agent, mdp, episodes=40):
    """An agent with data whose critic was just rebuilt."""
    agent.run(mdp, episodes, seed=1)
    tables, numbers = agent.critic.tables, agent.numbers
    kernels.plan(tables, numbers)
    return tables, numbers


def test_a_table_is_planned_as_numpy_plans_it():
    mdp = random_mdp(4, 3, 4, seed=2)
    tables, numbers = planned(NORA("tabular", mdp, seed=0), mdp)
    value = np.zeros(4)
    for h in reversed(range(4)):
        n = tables.counts[h]
        mean = (tables.rewards[h] + tables.following[h] @ value) / np.maximum(n, 1)
        q = np.minimum(1.0, mean + numbers.spread / np.sqrt(np.maximum(n, 1)))
        q[n == 0] = 1.0
        assert np.allclose(tables.critic[h], q)
        value = q.max(-1)


def test_linear_values_are_ridge_regressions():
    linear = random_linear_mdp(6, 3, 3, 4, seed=1)
    agent = NORA("linear", linear.mdp, features=linear.features, c=0.2, ridge=0.5, seed=0)
    tables, _ = planned(agent, linear.mdp)
    value, phi = np.zeros(6), linear.features
    for h in reversed(range(3)):
        second = 0.5 * np.eye(4) + np.einsum("sa,sai,saj->ij", tables.counts[h], phi, phi)
        sums = tables.rewards[h] + tables.following[h] @ value
        weights = np.linalg.solve(second, np.einsum("sa,sai->i", sums, phi))
        width = np.sqrt(np.einsum("sai,ij,saj->sa", phi, np.linalg.inv(second), phi))
        q = np.clip(phi @ weights + 0.2 * width, 0.0, 1.0)
        assert np.allclose(tables.critic[h], q)
        assert np.allclose(np.linalg.slogdet(second)[1], tables.log_det[h] + 4 * math.log(0.5))
        value = q.max(-1)


def test_the_exact_value_of_the_actor_is_that_of_the_mdp():
    mdp = random_mdp(4, 3, 4, seed=3)
    tables, numbers = planned(NORA("tabular", mdp, seed=0), mdp)
    chances = np.exp(tables.logits - tables.logits.max(-1, keepdims=True))
    policy = chances / chances.sum(-1, keepdims=True)
    found = kernels.policy_value(world(mdp), tables, numbers.greedy)
    assert found == pytest.approx(mdp.policy_value(policy))


def test_the_backup_under_the_actor_is_that_of_douhua():
    mdp = random_mdp(4, 3, 3, seed=3)
    agent = NORA("tabular", mdp, target="Qpi", reset="none", switch="episode", eta=1.0, seed=0)
    tables, numbers = planned(agent, mdp)
    assert agent.log.switches == 40
    chance = np.array([formulas.tilt(row, False) for row in tables.logits[2]])
    value = (chance * tables.critic[2]).sum(-1)
    n = np.maximum(tables.counts[1], 1)
    mean = (tables.rewards[1] + tables.following[1] @ value) / n
    q = np.where(tables.counts[1] > 0, np.minimum(1, mean + numbers.spread / np.sqrt(n)), 1)
    assert np.allclose(tables.critic[1], q)


def test_optimism_holds_with_the_width_of_the_theory():
    above = []
    for seed in range(100):
        mdp = random_mdp(3, 2, 3, seed=seed)
        agent = NORA("tabular", mdp, c=1.0, seed=seed)
        for _ in range(5):
            agent.run(mdp, 20)
            above.append((agent.critic.tables.critic >= mdp.optimal_q() - 1e-9).all())
    assert np.mean(above) >= 0.95


@pytest.mark.parametrize(("horizon", "bar"), [(5, 300), (10, 600), (20, 2000)])
def test_the_lock_opens_within_the_bar_and_sooner_with_data(horizon, bar):
    for seed in range(5):
        mdp = lock(horizon, seed)
        alone = NORA("tabular", mdp, seed=seed).run(mdp, bar).solved_after()
        data = near_optimal(mdp, 200, seed)
        hybrid = NORA("tabular", mdp, seed=seed, offline_dataset=data).run(mdp, bar).solved_after()
        assert hybrid < alone <= bar


def test_regret_grows_more_slowly_than_a_root():
    for seed in range(3):
        mdp = random_mdp(5, 4, 5, seed=seed)
        log = NORA("tabular", mdp, seed=seed).run(mdp, 20_000)
        assert log.slope() < 0.6
        assert (log.regrets >= -1e-9).all()
        # 3 S A H log2 T
        assert log.switches <= 3 * 5 * 4 * 5 * math.log2(20_000)


def test_between_switches_the_critic_does_not_move():
    mdp = random_mdp(4, 3, 4, seed=5)
    agent = NORA("tabular", mdp, seed=0)
    still = 0
    for _ in range(200):
        before = agent.critic.tables.critic.copy()
        log = agent.run(mdp, 1)
        same = np.array_equal(before, agent.critic.tables.critic)
        still += same
        assert same or log.switched[0]
    assert still > 50


def test_after_a_switch_the_policy_is_that_of_the_new_critic_alone():
    mdp = random_mdp(4, 3, 4, seed=5)
    agent = NORA("tabular", mdp, eta=7.0, seed=0)
    agent.run(mdp, 30)
    while not kernels.begin_episode(agent.critic.tables, agent.numbers):
        agent.run(mdp, 1)
    tables = agent.critic.tables
    assert np.array_equal(tables.logits, 7.0 * tables.critic)
    assert np.allclose(agent.critic.probabilities(agent.numbers, 1, 2).sum(), 1.0)


@pytest.mark.parametrize(("reset", "kept"), [("full", 0.0), ("partial", 0.5), ("none", 1.0)])
def test_a_reset_keeps_its_share_of_the_logits(reset, kept):
    mdp = random_mdp(3, 2, 2, seed=0)
    agent = NORA("tabular", mdp, reset=reset, switch="episode", eta=2.0, seed=0)
    agent.run(mdp, 10)
    before = agent.critic.tables.logits.copy()
    kernels.begin_episode(agent.critic.tables, agent.numbers)
    tables = agent.critic.tables
    assert np.allclose(tables.logits, kept * before + 2.0 * tables.critic)


def test_without_optimism_data_decide():
    mdp = lock(10)
    blind = NORA("tabular", mdp, optimism=0.0, seed=0).run(mdp, 2500)
    assert blind.solved_after() is None and blind.slope() > 0.95
    data = near_optimal(mdp, 50)
    led = NORA("tabular", mdp, optimism=0.0, offline_dataset=data, seed=0).run(mdp, 100)
    assert led.solved_after() <= 50


def test_useless_data_do_no_harm():
    mdp = lock(5)
    uniform = np.full(mdp.rewards.shape, 1.0 / mdp.n_actions)
    data = offline_rows(mdp, uniform, 200, seed=1)
    alone = NORA("tabular", mdp, seed=0).run(mdp, EPISODES).solved_after()
    with_data = NORA("tabular", mdp, offline_dataset=data, seed=0).run(mdp, EPISODES)
    assert with_data.solved_after() <= 1.2 * alone


def test_random_rewards_are_paid_as_often_as_the_mdp_says():
    mdp = random_mdp(3, 2, 4, seed=1)
    uniform = np.full(mdp.rewards.shape, 0.5)
    data = offline_rows(mdp, uniform, 4000)
    assert data.n_episodes == 4000 and (data.lengths == 4).all()
    assert data.rewards.sum() / 4000 == pytest.approx(mdp.policy_value(uniform), abs=0.02)
    assert set(np.unique(data.rewards).tolist()) <= {0.0, 0.25}


def test_the_same_seed_gives_the_same_run():
    mdp = random_mdp(4, 3, 3, seed=1)
    logs = [NORA("tabular", mdp, seed=s).run(mdp, 50) for s in (4, 4, 5)]
    assert np.array_equal(logs[0].returns, logs[1].returns)
    assert not np.array_equal(logs[0].returns, logs[2].returns)


def test_slope_and_solution_are_read_off_a_run():
    episodes = np.arange(1, 2001)
    root = np.diff(np.sqrt(episodes), prepend=0.0)
    none = np.zeros(2000, bool)
    assert RegretLog(root, root, none).slope() == pytest.approx(0.5, abs=0.01)
    assert RegretLog(np.ones(2000), root, none).slope() == pytest.approx(1.0)
    returns = np.zeros(200)
    returns[100:] = 1.0
    assert RegretLog(root[:200], returns, none[:200]).solved_after() == 126
    assert RegretLog(root[:40], returns[:40], none[:40]).solved_after() is None
    with pytest.raises(ScenarioError, match="episodes"):
        RegretLog(root[:5], root[:5], none[:5]).slope()


def test_the_step_of_the_theory_shrinks_with_the_number_of_episodes():
    rules = Rules(eta="theory")
    steps = [rules.numbers((5, 3, 10), 30, False, t).eta for t in (100, 10_000)]
    assert 0 < steps[1] < steps[0] / 5
    assert Rules(eta=20.0, v_max=4.0).numbers((1, 1, 2), 2, False, 10).eta == 5.0


@pytest.mark.parametrize(
    ("rule", "value"), [("c", -1.0), ("eta", 0.0), ("v_max", 0.0), ("ridge", 0.0), ("delta", 1.0)]
)
def test_numbers_out_of_range_are_refused_by_name(rule, value):
    with pytest.raises(ScenarioError, match=rule):
        NORA(**{rule: value})


@pytest.mark.parametrize("rule", ["eta", "reset", "switch", "target", "policy"])
def test_unknown_words_are_refused_by_name(rule):
    with pytest.raises(UnknownNameError, match=rule):
        NORA(**{rule: "nonsense"})


def test_features_and_problems_that_do_not_fit_are_refused():
    mdp = random_mdp(3, 2, 2, seed=0)
    with pytest.raises(ScenarioError, match="features"):
        NORA("linear", mdp)
    with pytest.raises(ScenarioError, match="features"):
        NORA("linear", mdp, features=one_hot_features(4, 2))
    with pytest.raises(ScenarioError, match="critic"):
        NORA("tabular", mdp).run(random_mdp(4, 2, 2, seed=0), 1)
    long = offline_rows(random_mdp(3, 2, 5, seed=0), np.full((5, 3, 2), 0.5), 2)
    with pytest.raises(ValueError, match="2"):
        NORA("tabular", mdp, offline_dataset=long)


def test_an_mdp_without_random_rewards_is_played_too():
    random = random_mdp(3, 2, 2, seed=0)
    mdp = TabularMDP(transitions=random.transitions, rewards=random.rewards, initial=random.initial)
    assert NORA("tabular", mdp, seed=0).run(mdp, 200).regrets[-1] < 0.1
