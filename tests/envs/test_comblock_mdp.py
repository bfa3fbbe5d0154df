"""Exact values against enumeration, simulation and closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.envs.comblock.linear import (
    action_features,
    decode_latent,
    one_hot_features,
    random_linear_mdp,
)
from hybridrl.envs.comblock.lock import LockOptions, draw_codes, expected_return
from hybridrl.envs.comblock.mdp import TabularMDP, combination_lock_mdp, random_mdp
from hybridrl.planners.errors import ScenarioError


def test_the_optimum_is_the_best_of_all_deterministic_policies():
    mdp = random_mdp(2, 2, 2, seed=3)
    values = [
        mdp.policy_value(np.array(choice).reshape(2, 2))
        for choice in itertools.product(range(2), repeat=4)
    ]
    assert mdp.optimal_value() == pytest.approx(max(values))
    assert mdp.policy_value(mdp.optimal_policy()) == pytest.approx(max(values))


@given(st.integers(0, 1000))
def test_no_policy_beats_the_optimum(seed):
    mdp = random_mdp(3, 2, 4, seed)
    policy = np.random.default_rng(seed).dirichlet(np.ones(2), size=(4, 3))
    assert 0 <= mdp.policy_value(policy) <= mdp.optimal_value() + 1e-12 <= 1 + 1e-9
    assert (mdp.policy_q(policy) <= mdp.optimal_q() + 1e-12).all()


@given(st.integers(0, 1000))
def test_a_value_is_the_reward_over_the_occupancy(seed):
    mdp = random_mdp(4, 3, 3, seed)
    policy = np.random.default_rng(seed).dirichlet(np.ones(3), size=(3, 4))
    reached = mdp.occupancy(policy)
    assert reached.sum((1, 2)) == pytest.approx(np.ones(3))
    assert (reached * mdp.rewards).sum() == pytest.approx(mdp.policy_value(policy))


def test_simulated_episodes_earn_the_exact_value(rng):
    mdp = random_mdp(3, 2, 3, seed=1)
    policy, total, count = mdp.optimal_policy(), 0.0, 4000
    for _ in range(count):
        state = mdp.sample_start(rng)
        for h in range(mdp.horizon):
            reward, state = mdp.sample_step(h, state, policy[h, state], rng)
            total += reward
    assert total / count == pytest.approx(mdp.optimal_value(), abs=4 * 0.5 / np.sqrt(count))


@pytest.mark.parametrize("mode", ["on_exit", "terminal"])
@given(horizon=st.integers(1, 6), lock_seed=st.integers(0, 99))
def test_the_lock_has_its_closed_form_values(mode, horizon, lock_seed):
    options = LockOptions(horizon=horizon, lock_seed=lock_seed, anti_mode=mode)
    mdp, codes = combination_lock_mdp(options), draw_codes(horizon, 10, lock_seed)
    q = mdp.optimal_q()
    for z in (0, 1):
        correct = q[np.arange(horizon), z, codes[z]]
        assert correct == pytest.approx(np.ones(horizon))
        wrong = np.delete(q[0, z], codes[z, 0])
        assert wrong == pytest.approx(np.full(9, 0.05))
    assert q[:, 2] == pytest.approx(0.0 if mode == "on_exit" else 0.05)
    uniform = np.full((horizon, 3, 10), 0.1)
    assert mdp.policy_value(uniform) == pytest.approx(expected_return(10.0**-horizon))


def test_the_gap_under_the_uniform_policy_shrinks_as_published():
    mdp = combination_lock_mdp(LockOptions(horizon=4, lock_seed=0))
    q = mdp.policy_q(np.full((4, 3, 10), 0.1))
    codes = draw_codes(4, 10, 0)
    for h in range(4):
        gap = q[h, 0, codes[0, h]] - np.delete(q[h, 0], codes[0, h]).max()
        assert gap == pytest.approx(0.95 * 10.0 ** -(3 - h))


def test_a_discount_would_make_an_early_exit_the_better_failure():
    """Why gamma has to be 1: the same failure earns more, the earlier it happens."""
    mdp = combination_lock_mdp(LockOptions(horizon=3, lock_seed=0))
    codes = draw_codes(3, 10, 0)
    early, late = (mdp.rewards[h, 0, (codes[0, h] + 1) % 10] * 0.99**h for h in (0, 2))
    assert early > late


@given(st.integers(0, 500))
def test_a_linear_mdp_is_linear_in_its_features(seed):
    linear = random_linear_mdp(5, 3, 4, dim=3, seed=seed)
    mdp = linear.mdp
    assert np.einsum("sad,hdt->hsat", linear.features, linear.measures) == pytest.approx(
        mdp.transitions
    )
    found = np.einsum("sad,hd->hsa", linear.features, linear.optimal_weights())
    assert found == pytest.approx(mdp.optimal_q())


def test_one_hot_features_tell_every_pair_apart():
    features = one_hot_features(3, 2).reshape(6, 6)
    assert np.array_equal(features, np.eye(6))


def test_action_features_put_the_observation_where_its_action_is(rng):
    seen = rng.normal(size=(4, 3))
    features = action_features(seen, 2)
    assert features.shape == (4, 2, 6)
    assert np.array_equal(features[:, 0, :3], seen) and not features[:, 0, 3:].any()
    assert np.array_equal(features[:, 1, 3:], seen) and not features[:, 1, :3].any()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"transitions": np.ones((1, 2, 2))}, "transitions"),
        ({"transitions": np.full((1, 2, 2, 2), 0.6)}, "sum to 1"),
        ({"rewards": np.zeros((1, 2, 3))}, "rewards"),
        ({"initial": np.array([0.5, 0.6])}, "initial"),
        ({"sizes": np.full((1, 2, 2), 0.1)}, "sizes"),
    ],
)
def test_tables_that_do_not_fit_are_named(changes, says):
    tables = {
        "transitions": np.full((1, 2, 2, 2), 0.5),
        "rewards": np.full((1, 2, 2), 0.2),
        "initial": np.array([0.5, 0.5]),
    }
    TabularMDP(**tables)
    with pytest.raises(ScenarioError, match=says):
        TabularMDP(**{**tables, **changes})


def test_shapes_that_do_not_fit_are_named():
    mdp = random_mdp(2, 2, 2, seed=0)
    with pytest.raises(ScenarioError, match="policy"):
        mdp.policy_value(np.zeros((2, 3)))
    with pytest.raises(ScenarioError, match="observations"):
        action_features(np.zeros(3), 2)
    with pytest.raises(ScenarioError, match="observations"):
        decode_latent(np.zeros((2, 8)), horizon=10)
