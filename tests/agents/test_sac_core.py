import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import configure

from hybridrl.agents.common import sac_core
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.metrics import MetricMeans
from hybridrl.agents.common.sac_core import SACRules, critic_update, sac_update
from hybridrl.agents.common.sac_losses import actor_loss, bellman_loss, soft_value, td_target
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

SMALL = {"net_arch": [24, 24]}
OPTIONS = {"policy_kwargs": SMALL, "buffer_size": 300, "device": "cpu", "seed": 5}


def agent(cls, policy="MlpPolicy", **kwargs):
    model = cls(policy, "Pendulum-v1", **{**OPTIONS, **kwargs})
    model.set_logger(configure(None, []))
    return model


@pytest.fixture(scope="module")
def experience():
    model = agent(SAC, learning_starts=200)
    model.learn(200)
    return model.replay_buffer


def twin(model, other):
    """Give ``other`` the weights and optimiser states of ``model``."""
    other.set_parameters(copy.deepcopy(model.get_parameters()))
    if model.log_ent_coef is not None:
        other.log_ent_coef.data.copy_(model.log_ent_coef.data)


def train(model, buffer, updates, batch_size, seed=11):
    model.replay_buffer = buffer
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    model.train(updates, batch_size)


def same_weights(left, right):
    pairs = zip(left.policy.state_dict().items(), right.policy.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for (_, a), b in pairs)


@pytest.mark.parametrize(
    ("updates", "batch", "extra"), [(500, 32, {}), (40, 30, {"ent_coef": 0.1})]
)
def test_with_list_critics_the_shared_update_is_that_of_stable_baselines3_bit_for_bit(
    experience, updates, batch, extra
):
    theirs, ours = agent(SAC, **extra), agent(HybridSAC, "ListPolicy", **extra)
    twin(theirs, ours)
    for model in (theirs, ours):
        train(model, experience, updates, batch)
    assert same_weights(ours, theirs)
    if theirs.log_ent_coef is not None:
        assert torch.equal(ours.log_ent_coef, theirs.log_ent_coef)


def test_a_whole_run_without_dataset_equals_stable_baselines3(experience):
    options = {"replay_buffer_class": ReplayBuffer, "learning_starts": 20, "batch_size": 16}
    theirs = agent(SAC, **options).learn(60)
    ours = agent(HybridSAC, "ListPolicy", **options).learn(60)
    assert same_weights(ours, theirs) and ours.num_timesteps == 60


def ensemble_of(model):
    """A :class:`HybridSAC` with ensemble critics and the weights of a list policy."""
    other = agent(HybridSAC)
    for name in ("critic", "critic_target"):
        nets = [getattr(getattr(model, name), f"qf{i}") for i in range(2)]
        layers = [layer for layer in getattr(other, name).net.layers if hasattr(layer, "weight")]
        for k, layer in enumerate(layers):
            linear = [[m for m in net if isinstance(m, torch.nn.Linear)][k] for net in nets]
            layer.weight.data = torch.stack([m.weight.data.T for m in linear])
            layer.bias.data = torch.stack([m.bias.data[None] for m in linear])
    theirs, ours = model.actor, other.actor
    ours.latent_pi.load_state_dict(theirs.latent_pi.state_dict())
    ours.head.weight.data = torch.cat([theirs.mu.weight.data, theirs.log_std.weight.data])
    ours.head.bias.data = torch.cat([theirs.mu.bias.data, theirs.log_std.bias.data])
    return other


def test_with_ensemble_critics_it_is_the_same_update_to_rounding(experience):
    theirs = agent(SAC)
    ours = ensemble_of(theirs)
    for model in (theirs, ours):
        train(model, experience, 10, 32)
    obs, action = torch.randn(50, 3), torch.rand(50, 1)
    for mine, reference in zip(ours.critic(obs, action), theirs.critic(obs, action), strict=True):
        assert torch.allclose(mine, reference, atol=1e-5)
    for mine, reference in zip(
        ours.actor.gaussian(obs), theirs.actor.get_action_dist_params(obs)[:2], strict=True
    ):
        assert torch.allclose(mine, reference, atol=1e-5)
    assert torch.allclose(ours.log_ent_coef, theirs.log_ent_coef, atol=1e-6)


def test_nothing_is_computed_for_the_critics_in_the_actor_step(experience):
    model = agent(HybridSAC)
    model.replay_buffer = experience
    sac_update(model, model.sample_batch(16), SACRules())
    grads = [p.grad.clone() for p in model.critic.parameters()]
    batch = model.sample_batch(16)
    actions, log_prob = model.actor.action_log_prob(batch.observations)
    loss = sac_core._actor_loss(
        model, batch.observations, actions, log_prob, torch.ones(1), SACRules()
    )
    sac_core.actor_step(model, loss, {})
    assert all(
        torch.equal(a, p.grad) for a, p in zip(grads, model.critic.parameters(), strict=True)
    )


def test_losses_are_those_worked_by_hand():
    q = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    log_prob, alpha = torch.tensor([-1.0, 1.0]), torch.tensor([0.5])
    assert soft_value(q, log_prob, alpha, True).tolist() == [1.5, -0.5]
    assert soft_value(q, log_prob, alpha, False).tolist() == [1.0, 0.0]
    three = torch.cat([q, q - 1])
    assert soft_value(three, log_prob, alpha, False).tolist() == [0.0, -1.0]
    dones = torch.tensor([0.0, 1.0])
    assert td_target(torch.ones(2), dones, 0.5, torch.tensor([2.0, 5.0])).tolist() == [2.0, 1.0]
    # 1/2 ((1 + 4) / 2 + (9 + 0) / 2)
    assert float(bellman_loss(q, torch.zeros(2))) == 3.5
    assert float(actor_loss(log_prob, q, alpha, mean_of_critics=False)) == -0.5
    assert float(actor_loss(log_prob, q, alpha, mean_of_critics=True)) == -1.5


def test_problems_side_by_side_do_not_mix():
    torch.manual_seed(0)
    q = torch.randn(3, 2, 5, requires_grad=True)
    target, log_prob = torch.randn(3, 5), torch.randn(3, 5)
    alpha = torch.rand(3, 1)
    losses = (
        lambda x, s: bellman_loss(x, target[s]),
        lambda x, s: actor_loss(log_prob[s], x, alpha[s], False),
    )
    for loss in losses:
        (together,) = torch.autograd.grad(loss(q, slice(None)), q)
        for k in range(3):
            alone = q[k].detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(alone, k), alone)
            assert torch.allclose(together[k], gradient, atol=1e-7)


def test_many_critic_steps_may_stand_before_an_actor_step(experience):
    model = agent(HybridSAC, policy_kwargs={**SMALL, "n_critics": 5})
    model.replay_buffer = experience
    before = [p.clone() for p in model.actor.parameters()]
    rules = SACRules(n_target_critics=2, mean_of_critics=True)
    metrics = critic_update(model, model.sample_batch(16), rules)
    assert all(torch.equal(a, b) for a, b in zip(before, model.actor.parameters(), strict=True))
    assert metrics["critic_loss"] > 0
    sac_update(model, model.sample_batch(16), rules)
    assert not torch.equal(before[0], next(iter(model.actor.parameters())))


def dataset(rows=100):
    rng = np.random.default_rng(0)
    return OfflineDataset(
        observations=rng.normal(size=(rows, 3)),
        actions=rng.uniform(-2, 2, (rows, 1)),
        rewards=np.full(rows, 7.0),
        next_observations=rng.normal(size=(rows, 3)),
        terminations=np.ones(rows, bool),
        truncations=np.zeros(rows, bool),
    )


def test_metrics_of_a_mixed_batch_are_told_apart_by_source():
    model = agent(HybridSAC, offline_dataset=dataset(), learning_starts=20, batch_size=16).learn(40)
    values = model.logger.name_to_value
    assert values["train/offline_td_error"] > 20 > values["train/online_q_value"]
    assert {"train/critic_loss", "train/actor_loss", "train/ent_coef"} <= set(values)


def test_pretraining_learns_the_dataset_without_a_step():
    kwargs = {"learning_rate": 3e-3, "batch_size": 50, "offline_dataset": dataset()}
    model = agent(HybridSAC, **kwargs).pretrain(150)
    assert model.num_timesteps == 0 and model._n_updates == 150
    data = model.replay_buffer.unpacked(model.replay_buffer.offline_rows)
    q = model.critic.values(data.observations, data.actions)
    assert (q - 7.0).abs().mean() < 1.0  # every row ends with a reward of 7
    with pytest.raises(ScenarioError, match="offline_dataset"):
        agent(HybridSAC).pretrain(1)


def test_the_dataset_needs_a_buffer_that_holds_it():
    with pytest.raises(ScenarioError, match="replay_buffer_class"):
        agent(HybridSAC, offline_dataset=dataset(), replay_buffer_class=ReplayBuffer)
    with pytest.raises(ScenarioError, match="offline_fraction"):
        agent(HybridSAC, offline_fraction=2.0)


def test_means_are_read_once_and_over_the_updates_that_had_the_name():
    means = MetricMeans()
    for k in range(2500):
        means.add({"a": torch.tensor(float(k)), **({"b": torch.tensor(2.0)} if k % 2 else {})})
    assert means.flush() == {"a": 1249.5, "b": 2.0}
    assert means.flush() == {}


def test_learning_rates_follow_their_schedule(experience):
    model = agent(HybridSAC, learning_rate=lambda left: 1e-3 * left)
    model.replay_buffer = experience
    model._current_progress_remaining = 0.25
    model.train(1, 8)
    rates = {group["lr"] for o in model.optimizers() for group in o.param_groups}
    assert rates == {2.5e-4}


def test_actions_of_every_space_are_stored_in_the_unit_range():
    class Uneven(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (2,))
        action_space = gym.spaces.Box(np.array([-2.0, 1.0]), np.array([2.0, 9.0]), dtype=np.float64)

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(2, np.float32), {}

        def step(self, action):
            assert self.action_space.contains(action.astype(np.float64))
            return np.zeros(2, np.float32), 0.0, False, False, {}

    model = HybridSAC("MlpPolicy", Uneven(), **{**OPTIONS, "learning_starts": 5}).learn(20)
    assert np.abs(model.replay_buffer.actions).max() <= 1.0
