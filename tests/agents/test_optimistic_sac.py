"""OptimisticSAC: its formulas, its exactness as plain SAC, its switches and its stacked form."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise

from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.stacked import StackedCritic
from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.agents.optimistic_sac import OptimisticSAC
from hybridrl.agents.optimistic_sac.formulas import (
    bound_slopes,
    critic_slopes,
    divergence,
    doubled,
    doubt,
    ramp,
    shift,
    tilt,
)
from hybridrl.agents.optimistic_sac.stacked import METHODS, Method, StackedOptimisticSAC
from hybridrl.agents.optimistic_sac.switching import DataGrowth, LogDet, make_switch
from hybridrl.agents.registry import agent_class, load_preset
from hybridrl.agents.rlpd import RLPD
from hybridrl.envs.sparse.point import SparsePointVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SMALL = {"policy_kwargs": {"net_arch": [16]}, "buffer_size": 1000, "device": "cpu", "seed": 5}
PLAIN = {"n_critics": 2, "layer_norm": False}


def agent(cls=OptimisticSAC, policy="MlpPolicy", **options):
    merged = {**SMALL, "learning_starts": 20, "batch_size": 16, **options}
    merged["policy_kwargs"] = dict(merged["policy_kwargs"])
    model = cls(policy, "Pendulum-v1", **merged)
    model.set_logger(configure(None, []))
    return model


def weights(model):
    return torch.cat([t.flatten().float() for t in model.policy.state_dict().values()])


numbers = st.floats(-3, 3, allow_nan=False, width=32)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5),
    st.floats(0.01, 30.0),
    st.sampled_from([1e-20, 1e-3, 1.0, 1e15]),
)
def test_the_shift_spends_exactly_the_divergence(pairs, delta, scale):
    gradient = torch.tensor([p[0] for p in pairs]) * scale
    log_std = torch.tensor([p[1] for p in pairs])
    moved = shift(log_std, gradient, delta)
    spent = float(divergence(moved, log_std))
    normal = float((gradient / max(scale, 1e-30)).abs().max()) > 1e-3
    if normal:
        assert spent == pytest.approx(delta, rel=1e-4)
        distribution = torch.distributions
        here = distribution.Normal(torch.zeros_like(moved), log_std.exp())
        there = distribution.Normal(moved, log_std.exp())
        kl = distribution.kl_divergence(there, here).sum()
        assert float(kl) == pytest.approx(delta, rel=1e-4)
    assert torch.isfinite(moved).all()


def test_no_gradient_means_no_shift():
    moved = shift(torch.zeros(3, 2), torch.zeros(3, 2), 23.5)
    assert torch.equal(moved, torch.zeros(3, 2))


def upper_bound(q, beta):
    """Mean of E critics plus deviations of the population, ``(E, B)`` to ``(B,)``."""
    return q.mean(0) + beta * q.std(0, correction=0)


def slopes_of(model, obs, mean):
    def values(seen, actions):
        return model.explorer.values(seen, actions)

    return critic_slopes(values, model.explorer.n_critics, obs, mean)


def test_both_parts_of_the_bound_have_the_slopes_that_autograd_finds():
    model = agent(n_critics=4)
    obs, mean = torch.randn(5, 3), torch.randn(5, 1) * 0.3
    q, slopes = slopes_of(model, obs, mean)
    at = mean.clone().requires_grad_()
    live = model.explorer.values(obs, torch.tanh(at))
    assert torch.allclose(q, live, atol=1e-6)
    of_mean, of_bonus = bound_slopes(q, slopes, 2.0)
    (expected,) = torch.autograd.grad(live.mean(0).sum(), at, retain_graph=True)
    assert torch.allclose(of_mean, expected, atol=1e-6)
    (expected,) = torch.autograd.grad(upper_bound(live, 2.0).sum(), at)
    assert torch.allclose(of_mean + of_bonus, expected, atol=1e-5)
    equal = bound_slopes(torch.ones(2, 5), slopes[:2], 4.66)
    assert torch.equal(equal[1], torch.zeros(5, 1))  # no doubt where they agree
    assert ramp(5, 10) == 0.5 and ramp(50, 10) == 1.0 and ramp(0, 0) == 1.0
    assert doubled(0.7, 0.0) and not doubled(0.69, 0.0)


def test_the_slopes_are_those_of_finite_differences():
    model = agent(n_critics=4, beta_ub=2.0)
    obs, mean = torch.randn(5, 3), torch.randn(5, 1) * 0.3

    def value(at):
        return upper_bound(model.explorer.values(obs, torch.tanh(at)).double(), 2.0)

    step = 1e-3
    slope = (value(mean + step) - value(mean - step)) / (2 * step)
    found = sum(bound_slopes(*slopes_of(model, obs, mean), 2.0))
    assert torch.allclose(found[:, 0].double(), slope, atol=2e-3)


@pytest.mark.parametrize("policy", ["MlpPolicy", "ListPolicy"])
def test_a_batch_is_shifted_state_by_state(policy):
    model = agent(policy=policy, **PLAIN).learn(30)
    model.switch_test.since += 1000
    obs = torch.randn(6, 3)

    def means(seen):  # the same noise for every state
        torch.manual_seed(0)
        log_std = model.actor.get_action_dist_params(seen)[1]
        noise = torch.randn_like(log_std) * log_std.exp()
        torch.manual_seed(0)
        return torch.atanh(model.explore(seen).double()) - noise

    together = means(obs)
    for k in range(6):
        one = means(obs[k : k + 1])
        assert torch.allclose(one, together[k : k + 1], atol=1e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(numbers, min_size=6, max_size=6), st.sampled_from([1e-25, 1.0, 1e25]))
def test_doubt_is_the_share_of_the_bonus_and_no_more_than_the_divergence_is_spent(drawn, scale):
    log_std, known, bonus = torch.tensor(drawn).view(3, 2)
    share = doubt(log_std, known * scale, bonus * scale)
    lengths = [float((log_std.exp() * part).norm()) for part in (known, bonus)]
    if sum(lengths) > 1e-3:
        assert float(share) == pytest.approx(lengths[1] / sum(lengths), abs=1e-4)
    q, slopes = torch.tensor([[1.0], [0.0]]), torch.stack([known + bonus, known - bonus])[:, None]
    moved = tilt(q, slopes, log_std, 1.0, 3.0, True)
    assert torch.isfinite(moved).all()
    assert float(divergence(moved, log_std)) <= 3.0 * (1 + 1e-4)
    if float((known + bonus).abs().max()) > 1e-3:  # else there is no direction
        spent = 3.0 * float(doubt(log_std, known, bonus)) ** 2
        assert float(divergence(moved, log_std)) == pytest.approx(spent, rel=1e-3, abs=1e-6)


def test_critics_that_agree_about_the_direction_leave_the_policy_alone():
    slope = torch.randn(1, 4, 2)
    q = torch.tensor([[1.0] * 4, [3.0] * 4])
    same = slope.expand(2, 4, 2)
    log_std = torch.zeros(4, 2)
    assert torch.equal(tilt(q, same, log_std, 4.66, 4.0, True), torch.zeros(4, 2))
    whole = tilt(q, same, log_std, 4.66, 4.0, False)
    assert divergence(whole, log_std).tolist() == pytest.approx([4.0] * 4)


@pytest.mark.parametrize("off", [{"delta": 0.0}, {"optimism": 0.0}])
@pytest.mark.parametrize("policy", ["MlpPolicy", "ListPolicy"])
def test_without_shift_it_is_the_shared_sac_bit_for_bit(off, policy):
    steps = 520 if policy == "MlpPolicy" and "delta" in off else 60
    ours = agent(policy=policy, **PLAIN, **off).learn(steps)
    shared = agent(HybridSAC, policy).learn(steps)
    assert ours._n_updates >= steps - 20 and torch.equal(weights(ours), weights(shared))
    assert torch.equal(ours.log_ent_coef, shared.log_ent_coef)
    assert np.array_equal(ours.replay_buffer.actions, shared.replay_buffer.actions)


def test_without_optimism_and_with_data_it_is_rlpd_at_one_update_a_step():
    rng = np.random.default_rng(0)
    data = {
        "observations": rng.normal(size=(50, 3)),
        "actions": rng.uniform(-2, 2, (50, 1)),
        "rewards": rng.normal(size=50),
        "next_observations": rng.normal(size=(50, 3)),
        "terminations": np.zeros(50, bool),
        "truncations": np.zeros(50, bool),
    }
    same = {"n_critics": 4, "n_target_critics": 2, "layer_norm": True, "mean_of_critics": True}
    ours = agent(optimism=0.0, offline_dataset=data, **same).learn(60)
    theirs = agent(RLPD, gradient_steps=1, target_entropy="auto", offline_dataset=data, **same)
    theirs.learn(60)
    assert torch.equal(weights(ours), weights(theirs))
    begun = agent(offline_dataset=data, pretrain_steps=5, **same)
    before, actor = begun.critic.net.head.weight.clone(), begun.actor.head.weight.clone()
    begun.learn(1)
    assert not torch.equal(before, begun.critic.net.head.weight)
    assert torch.equal(actor, begun.actor.head.weight)


def test_the_shift_changes_what_is_collected_and_not_what_is_predicted():
    model = agent().learn(40)
    obs = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    expected = np.tanh(model.actor.gaussian(torch.as_tensor(obs))[0].detach().numpy()) * 2.0
    assert np.allclose(model.predict(obs, deterministic=True)[0], expected, atol=1e-6)
    plain = agent(delta=0.0).learn(40)
    assert not np.array_equal(model.replay_buffer.actions, plain.replay_buffer.actions)


def test_oac_explores_with_the_live_critics_and_moves_by_its_published_divergence():
    preset = {k: v for k, v in load_preset("oac")["default"].items() if k != "total_timesteps"}
    assert agent_class("oac") is OptimisticSAC
    model = agent(**{**preset, "buffer_size": 500}).learn(40)
    assert model.explorer is model.critic and model.n_switches == 0
    assert model.beta_ub == 4.66 and (2 * model.delta) ** 0.5 == pytest.approx(6.86, abs=0.01)
    obs = torch.randn(8, 3)
    mean, log_std, _ = model.actor.get_action_dist_params(obs)
    gradient = sum(bound_slopes(*slopes_of(model, obs, mean), 4.66))
    moved = shift(log_std, gradient, 23.53)
    torch.manual_seed(0)
    explored = model.explore(obs)
    torch.manual_seed(0)
    noise = torch.randn_like(mean)
    assert torch.allclose(explored, torch.tanh(mean + moved + log_std.exp() * noise), atol=1e-6)


def test_after_a_switch_the_tilt_begins_at_the_policy():
    model = agent(warm_steps=1000).learn(30)
    model.renew()
    obs = torch.randn(4, 3)
    torch.manual_seed(1)
    tilted = model.explore(obs)
    torch.manual_seed(1)
    assert torch.equal(tilted, model.actor(obs))
    model.switch_test.since += 1000
    assert not torch.equal(tilted, model.explore(obs))


def test_the_exploration_critic_is_frozen_between_switches_and_switches_are_rare():
    model = agent(switch_growth=2.0, learning_starts=10)
    seen, kept = [], []

    def look(_locals, _globals):
        seen.append(model.n_switches)
        kept.append(model.explorer.net.head.weight.clone())
        return True

    model.learn(200, callback=look)
    for k in range(seen.index(1) + 1, len(seen)):  # the first one copies untrained critics
        assert torch.equal(kept[k], kept[k - 1]) == (seen[k] == seen[k - 1])
    assert 4 <= seen[-1] <= 6  # at 10, 20, 40, 80, 160
    assert not any(p.requires_grad for p in model.explorer.parameters())


@pytest.mark.parametrize("switch", ["logdet", "every_step", "replay_doubling"])
def test_saved_and_loaded_it_keeps_its_exploration_critic(switch, tmp_path):
    model = agent(switch=switch).learn(60)
    model.save(tmp_path / "model.zip")
    again = OptimisticSAC.load(tmp_path / "model.zip", device="cpu")
    obs, action = torch.randn(5, 3), torch.rand(5, 1)
    assert torch.equal(again.explorer.values(obs, action), model.explorer.values(obs, action))
    assert int(again.switch_test.since) == int(model.switch_test.since)
    assert again.n_switches == model.n_switches
    for name, buffer in model.switch_test.named_buffers():
        assert torch.equal(dict(again.switch_test.named_buffers())[name], buffer)


@pytest.mark.parametrize("switch", ["logdet", "replay_doubling"])
def test_a_resumed_training_is_the_uninterrupted_one(switch, tmp_path):
    whole, cut = (agent(switch=switch).learn(60) for _ in range(2))
    save_training_state(cut, tmp_path)
    whole.learn(60, reset_num_timesteps=False)
    fresh = agent(switch=switch, seed=9)
    assert load_training_state(fresh, tmp_path)["exact"]
    fresh.learn(60, reset_num_timesteps=False)
    assert torch.equal(weights(fresh), weights(whole))
    assert fresh.n_switches == whole.n_switches > 1


def test_the_determinant_grows_as_dense_algebra_says():
    test = LogDet(8, ridge=0.5, seed=1)
    features = torch.randn(20, 8, dtype=torch.float64)
    assert test.due(1.0)  # there was no switch yet
    test.done(1.0)
    assert not test.due(1.0)
    test.observe(features)
    psi = features @ test.projection
    matrix = 0.5 * torch.eye(8, dtype=torch.float64) + psi.T @ psi
    grown = torch.logdet(matrix) - 8 * np.log(0.5)
    assert float(test.log_det) == pytest.approx(float(grown))
    assert torch.allclose(test.inverse, torch.linalg.inv(matrix)) and test.due(21.0)


def test_the_data_must_grow_by_the_factor():
    test = DataGrowth(2.0)
    assert test.due(10.0)
    test.done(10.0)
    assert not test.due(19.0) and test.due(20.0)


def test_many_critics_several_environments_and_noise_are_fine():
    model = agent(n_critics=5, n_target_critics=2, switch="logdet", train_freq=2)
    model.action_noise = NormalActionNoise(np.zeros(1), np.full(1, 0.3))
    model.learn(60)
    assert np.abs(model.replay_buffer.actions).max() <= 1.0
    assert torch.isfinite(weights(model)).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delta": -1.0}, "delta"),
        ({"warm_steps": -1}, "warm_steps"),
        ({"switch": "sometimes"}, "switch"),
        ({"reset": "all"}, "reset"),
        ({"switch_growth": 1.0}, "switch_growth"),
        ({"switch": "logdet", "switch_ridge": 0.0}, "switch_ridge"),
        ({"policy": "ListPolicy", "layer_norm": False, "switch": "logdet"}, "logdet"),
        ({"use_sde": True, "layer_norm": False, "policy": "ListPolicy"}, "use_sde"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(options, says):
    with pytest.raises((ScenarioError, UnknownNameError), match=says):
        agent(**options)


# ------------------------------------------------------------------ seeds side by side


def stack(method="optimistic-sac", seeds=3, **options):
    env = SparsePointVectorEnv(seeds, horizon=10)
    merged = {"net_arch": (8,), "batch_size": 8, "learning_starts": 20, **options}
    return StackedOptimisticSAC(method, env, **merged)


@pytest.mark.parametrize("method", METHODS)
def test_seeds_side_by_side_learn(method):
    made = stack(method).learn(60)
    assert made.steps == 60 and made.replay.size == 60
    assert np.abs(made.act(np.zeros((3, 2, 2)))).max() <= 1.0
    assert torch.isfinite(made.sac.critic.net.head.weight).all()
    assert (made.switches > 0) == method.startswith("optimistic-sac")


def test_a_seed_in_a_stack_is_shifted_as_the_single_agent_is():
    made = stack("oac", seeds=2)
    single = agent(**PLAIN, switch="every_step", reset="none", delta=23.53)
    single.policy = None
    obs = torch.randn(2, 1, 2)
    mean, log_std = made.sac.actor.gaussian(obs)
    torch.manual_seed(0)
    noise = torch.randn_like(mean)
    torch.manual_seed(0)
    found = made.explore(obs)
    for k in range(2):
        at = mean[k].detach().requires_grad_()
        q = made.sac.critic.values(obs, torch.tanh(torch.stack([at, at])))[k]
        (gradient,) = torch.autograd.grad(upper_bound(q, 4.66).sum(), at)
        moved = mean[k] + shift(log_std[k], gradient, 23.53)
        assert torch.allclose(found[k], torch.tanh(moved + log_std[k].exp() * noise[k]), atol=1e-5)


def test_some_members_of_stacked_critics_are_the_same_of_every_problem():
    critic = StackedCritic(3, 2, 1, (8,), n_critics=4, layer_norm=True)
    obs, actions = torch.randn(3, 5, 2), torch.rand(3, 5, 1)
    everything = critic.values(obs, actions)
    some = critic.values(obs, actions, torch.tensor([2, 0]))
    assert everything.shape == (3, 4, 5)
    assert torch.allclose(some, everything[:, [2, 0]], atol=1e-6)


def test_subsets_give_the_targets_of_a_stack():
    method = Method(delta=1.0, n_critics=3, n_target_critics=2, layer_norm=True)
    made = stack(method).learn(40)
    assert made.rules.n_target_critics == 2
    with pytest.raises(UnknownNameError, match="method"):
        stack("sacc")


def test_every_name_of_a_switch_makes_one():
    assert make_switch("every_step", 1.5, 1.0, 4, 0).due(0.0)
    copied = copy.deepcopy(make_switch("logdet", 1.5, 1.0, 4, 0))
    assert copied.needs_features and copied.fresh
