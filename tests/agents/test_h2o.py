import numpy as np
import pytest
import torch

from hybridrl.agents.darc import DARC
from hybridrl.agents.h2o import H2O
from hybridrl.agents.h2o.guard import RealEnvGuard
from hybridrl.agents.h2o.stacked import METHODS, Method, StackedH2O
from hybridrl.benchmarks.gap_estimator import estimate, spearman
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.gap.pendulum import GapPendulumEnv, GapPendulumVectorEnv
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SMALL = {
    "policy_kwargs": {"net_arch": [16, 16]},
    "disc_net_arch": (16, 16),
    "disc_batch_size": 16,
    "batch_size": 32,
    "buffer_size": 500,
    "learning_starts": 40,
    "device": "cpu",
    "seed": 0,
}


def real_rows(rows=120, seed=0):
    env, rng = GapPendulumEnv(), np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    columns = []
    for _ in range(rows):
        action = rng.uniform(-1, 1, 1)
        after, reward, _, truncated, _ = env.step(action)
        columns.append((obs, action, reward, after, truncated))
        obs = env.reset()[0] if truncated else after
    obs, action, reward, after, truncated = (np.array(c) for c in zip(*columns, strict=True))
    return OfflineDataset(
        observations=obs,
        actions=action,
        rewards=reward,
        next_observations=after,
        terminations=np.zeros(rows, bool),
        truncations=truncated,
    )


def simulator():
    return GapPendulumEnv(gain=2.5)


def h2o(**kwargs):
    return H2O("MlpPolicy", simulator(), **{**SMALL, "offline_dataset": real_rows(), **kwargs})


def test_training_takes_no_step_of_the_real_system():
    guard = RealEnvGuard(GapPendulumEnv())
    model = h2o().learn(60)
    assert guard.steps_outside == 0
    with guard.evaluating():
        obs, _ = guard.reset(seed=0)
        for _ in range(5):
            obs = guard.step(model.predict(obs, deterministic=True)[0])[0]
    assert (guard.steps_outside, guard.steps_evaluating) == (0, 5)
    with pytest.raises(ScenarioError, match="real"):
        guard.step(np.zeros(1))
    loose = RealEnvGuard(GapPendulumEnv(), forbid=False)
    loose.reset()
    loose.step(np.zeros(1))
    assert loose.steps_outside == 1


def test_the_update_changes_every_network_and_logs_where_the_gap_went():
    model = h2o()
    before = [p.clone() for p in model.discriminators.parameters()]
    model.learn(60)
    changed = zip(before, model.discriminators.parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in changed)
    values = model.logger.name_to_value
    expected = {"disc_loss", "weight_mean", "weight_ess", "gap_mean", "gap_clipped"}
    assert {f"train/{name}" for name in expected} <= set(values)
    assert 0 < values["train/weight_mean"] <= 1 and 0 < values["train/weight_ess"] <= 1 + 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"use_ratio": False},
        {"use_gap": False},
        {"use_ratio": False, "use_gap": False, "beta": 0.0},
        {"mean_penalty": True, "soft_gap": True, "normalise_w": True},
        {"public": True},
        {"u_samples": 0, "disc_every": 4, "disc_next": "delta"},
    ],
)
def test_every_switch_trains(options):
    assert h2o(**options).learn(50)._n_updates == 10


def test_the_naive_mixture_is_the_mixture_of_plain_errors():
    model = h2o(use_ratio=False, use_gap=False, beta=0.0)
    model.learn(45)
    batch = model.sample_batch(8)
    terms = model.gap_terms(batch)
    assert (terms.weight == 1).all()
    before = [p.clone() for p in model.discriminators.parameters()]
    model.train(3, 32)
    after = model.discriminators.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_public_switch_is_the_public_estimator():
    public = h2o(public=True)
    assert public.u_jitter == 1.0 and public.std_mode == "public" and not public.standardise
    assert (public.discriminators.obs_scale == 1).all()
    assert (h2o().discriminators.obs_scale != 1).any()
    states = public.offline_dataset.observations
    padded = np.concatenate([states, np.zeros((10 * len(states), 3))])
    assert np.allclose(public._spread[0, 0], padded.std(axis=0), rtol=1e-2)


@pytest.mark.parametrize("cls", [H2O, DARC])
def test_without_real_data_it_says_what_is_missing(cls):
    model = cls("MlpPolicy", simulator(), **SMALL)
    with pytest.raises(ScenarioError, match="offline_dataset"):
        model.learn(60)
    with pytest.raises(ScenarioError, match="simulated"):
        h2o().pretrain(1)


def test_darc_adds_the_log_ratio_to_the_simulators_reward():
    options = {"correction_starts": 0, "correction": 2.0}
    model = DARC("MlpPolicy", simulator(), offline_dataset=real_rows(), **options, **SMALL)
    model.learn(60)
    batch = model.replay_buffer.sample(20, source="online")
    g = model.log_ratios(batch.observations, batch.actions, batch.next_observations)
    assert torch.allclose(model._log_real(batch), -g)
    assert "train/reward_correction" in model.logger.name_to_value


def as_stacked(model):
    """A stack of one problem with the networks and data of an agent."""
    sim = GapPendulumVectorEnv(1, gain=2.5)
    stack = StackedH2O(
        ["h2o"], sim, model.offline_dataset, 1, 0, (16, 16), 32, 16, 3e-4, 0.99, capacity=500
    )
    pairs = [(stack.sac.critic, model.critic), (stack.sac.critic_target, model.critic_target)]
    for ours, theirs in pairs:
        ours.net.load_state_dict(theirs.net.state_dict())
    linear = [m for m in model.actor.latent_pi if isinstance(m, torch.nn.Linear)]
    layers = [m for m in stack.sac.actor.net.layers if hasattr(m, "weight")]
    for ours, theirs in zip(layers, [*linear, model.actor.head], strict=True):
        ours.weight.data, ours.bias.data = (
            theirs.weight.data.T[None].clone(),
            theirs.bias.data[None, None].clone(),
        )
    stack.discriminators.load_state_dict(model.discriminators.state_dict())
    return stack


def test_a_stack_of_one_problem_makes_the_updates_of_the_agent():
    model = h2o(learning_starts=1000)
    model.learn(200)
    stack = as_stacked(model)
    rng = np.random.default_rng(0)
    buffer = model.replay_buffer
    drawn = [buffer.sample_rows(n, "mixed", 0.5)[0] for n in (32, 32) * 10]
    torch.manual_seed(7)
    for disc, rows in zip(drawn[::2], drawn[1::2], strict=True):
        stack.discriminator_step(disc[None])
        stack.sac_step(rows[None])
    torch.manual_seed(7)
    feed = iter(drawn)
    buffer.sample_rows = lambda *args, **kwargs: (next(feed), 16)
    model.train(10, 32)
    obs, action = torch.randn(1, 50, 3), torch.rand(1, 50, 1)
    assert torch.allclose(
        stack.sac.critic.values(obs, action)[0], model.critic.values(obs[0], action[0]), atol=1e-6
    )
    for ours, theirs in zip(
        stack.sac.actor.gaussian(obs), model.actor.gaussian(obs[0]), strict=True
    ):
        assert torch.allclose(ours[0], theirs, atol=1e-6)
    assert torch.allclose(stack.sac.log_ent_coef[0], model.log_ent_coef, atol=1e-6)
    after = rng.normal(size=(1, 50, 3))
    ratio = stack.discriminators.log_ratio(obs, action, torch.as_tensor(after).float())
    assert torch.allclose(ratio[0], model.log_ratios(obs[0], action[0], after[0]), atol=1e-6)


def test_problems_of_a_stack_do_not_touch_each_other():
    data = [real_rows(60, s) for s in range(2)]
    make = lambda names: StackedH2O(  # noqa: E731
        names,
        GapPendulumVectorEnv(2 * len(names), gain=2.5),
        data,
        2,
        0,
        (8,),
        8,
        4,
        learning_starts=5,
    )
    stack = make(["sac-sim", "h2o", "darc", "sac-offline", "mixture"])
    assert stack.names[:2] == ["h2o", "darc"] and stack.n_disc == 4
    stack.learn(15, every=5, callback=lambda step: None)
    rows = stack.replay.sample_rows(stack._real, 4)
    loss = stack.sac.critic.values(rows[..., :3], rows[..., 6:7])[3].sum()
    (gradient,) = torch.autograd.grad(loss, stack.sac.critic.net.layers[0].weight)
    touched = gradient.abs().sum(dim=(1, 2)).nonzero().ravel().tolist()
    assert touched == [6, 7]  # the two critics of the fourth problem
    returns = stack.evaluate(lambda n: GapPendulumVectorEnv(n, time_limit=4), episodes=3)
    assert {name: r.shape for name, r in returns.items()} == dict.fromkeys(stack.names, (2, 3))


def test_rows_of_a_stack_come_from_where_its_methods_want_them():
    data = [real_rows(30, 100 + s) for s in range(2)]
    names = ["sac-sim", "sac-offline"]
    stack = StackedH2O(
        names, GapPendulumVectorEnv(4, gain=2.5), data, 2, 0, (8,), 8, 4, learning_starts=99
    )
    stack.learn(20)
    halves = [stack.replay.sample_rows(flags, 50) for flags in (stack._real, ~stack._sim)]
    for problem, name in enumerate(["sac-sim"] * 2 + ["sac-offline"] * 2):
        known = data[problem % 2].observations
        for half in halves:
            seen = half[problem, :, :3].numpy()
            inside = (seen[:, None] == known[None]).all(-1).any(1)
            assert inside.all() if name == "sac-offline" else not inside.any()


def test_bad_stacks_are_refused():
    data = real_rows(30)
    with pytest.raises(UnknownNameError, match="h2o"):
        StackedH2O(["h20"], GapPendulumVectorEnv(5), data)
    with pytest.raises(ScenarioError, match="10 rows"):
        StackedH2O(["h2o", "mixture"], GapPendulumVectorEnv(5), data)
    with pytest.raises(ScenarioError, match="datasets"):
        StackedH2O({"own": Method()}, GapPendulumVectorEnv(5), [data, data])
    assert METHODS["h2o"].discriminates and not METHODS["mixture"].discriminates


def measured(world, agent="h2o", seed=0, **settings):
    config = RunConfig(
        suite="gap-estimator", env=world, agent=agent, work="", seed=seed, settings=settings
    )
    return estimate(config, None)


def test_ranks_of_equal_values_are_shared():
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 9.0])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([3.0, 3.0, 1.0])) == pytest.approx(-1.0)


@pytest.mark.slow
def test_the_planted_gap_is_ranked_the_zero_gap_is_flat_and_a_known_ratio_is_found():
    size = {"updates": 1000, "rows": 100_000, "fresh": 2000}
    ranks = [measured("planted", seed=s, **size)["spearman"] for s in range(5)]
    public = [measured("planted", "h2o-public", s, **size)["spearman"] for s in range(5)]
    assert np.median(ranks) >= 0.65
    assert np.median(ranks) > np.median(public)
    assert measured("zero", **size)["mean_abs_g"] < 0.1
    assert measured("ratio", **size)["correlation"] >= 0.9
