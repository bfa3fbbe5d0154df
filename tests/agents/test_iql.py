"""IQL: its losses with numbers worked by hand, and the algorithm as Stable-Baselines3 knows it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from hybridrl.agents import IQL
from hybridrl.agents.iql import losses
from hybridrl.agents.registry import agent_class, resolve
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

SMALL = {"policy_kwargs": {"net_arch": [16]}, "batch_size": 32, "device": "cpu", "seed": 0}


def test_expectile_loss_by_hand():
    difference = torch.tensor([2.0, -2.0])
    assert losses.expectile_loss(difference, 0.7) == pytest.approx((0.7 * 4 + 0.3 * 4) / 2)
    assert losses.expectile_loss(difference, 0.9) == pytest.approx((0.9 * 4 + 0.1 * 4) / 2)


@given(st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=20), st.floats(0.1, 0.9))
def test_the_minimiser_of_the_expectile_loss_is_the_expectile(values, expectile):
    sample = torch.tensor(values, dtype=torch.float64)
    low, high = sample.min().item() - 1, sample.max().item() + 1
    for _ in range(80):  # bisection on the closed-form condition
        middle = (low + high) / 2
        above, below = (sample - middle).clamp(min=0).sum(), (middle - sample).clamp(min=0).sum()
        low, high = (middle, high) if expectile * above > (1 - expectile) * below else (low, middle)
    value = torch.tensor(middle, dtype=torch.float64, requires_grad=True)
    losses.expectile_loss(sample - value, expectile).backward()
    assert abs(value.grad.item()) < 1e-9


def test_td_target_bootstraps_unless_terminated():
    target = losses.td_target(
        torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([10.0, 10.0]), 0.9
    )
    assert target.tolist() == [10.0, 1.0]


def test_critic_loss_sums_over_critics_and_averages_over_rows():
    values = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    assert losses.critic_loss(values, torch.tensor([0.0, 2.0])) == (1 + 0) / 2 + (0 + 4) / 2


def test_weights_are_clipped_exponentials_without_gradient():
    advantages = torch.tensor([0.0, 1.0, 1e6], requires_grad=True)
    weights = losses.advantage_weights(advantages, 3.0)
    np.testing.assert_allclose(weights, [1.0, math.exp(3.0), 100.0], rtol=1e-5)
    assert not weights.requires_grad
    assert losses.actor_loss(torch.tensor([-1.0, -2.0, 0.0]), weights) == pytest.approx(
        (1.0 + 2.0 * math.exp(3.0)) / 3
    )


def test_log_prob_is_that_of_torch():
    actions, mean, log_std = torch.randn(5, 3), torch.randn(5, 3), torch.randn(3)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(actions).sum(-1)
    torch.testing.assert_close(losses.gaussian_log_prob(actions, mean, log_std), expected)


def test_cosine_share_falls_from_one_to_zero():
    assert [losses.cosine_share(k, 4) for k in (0, 2, 4, 9)] == pytest.approx([1, 0.5, 0, 0])
    assert losses.cosine_share(3, 0) == 1.0


def test_polyak_moves_by_its_share():
    target, source = [torch.zeros(2)], [torch.ones(2)]
    losses.polyak(target, source, 0.25)
    assert target[0].tolist() == [0.25, 0.25]


def test_one_update_does_what_the_equations_say(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), **SMALL)
    batch = model.sample_batch(32)
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    with torch.no_grad():
        target_q = model.critic_target.values(batch.observations, batch.actions).min(0).values
        expected = losses.expectile_loss(target_q - model.value(batch.observations), 0.7)
    metrics = model.update(batch)
    assert metrics["value_loss"] == pytest.approx(float(expected), rel=1e-5)
    after = model.policy.state_dict()
    name = next(k for k in after if k.startswith("critic_target.") and "weight" in k)
    online = after[name.replace("critic_target", "critic")]
    torch.testing.assert_close(after[name], before[name] + 0.005 * (online - before[name]))
    assert all((before[k] != after[k]).any() for k in after if k.startswith("value.net"))


def test_offline_learning_finds_the_way_to_zero(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(1500), learning_rate=5e-3,
                gamma=0.5, beta=30.0, **SMALL)  # fmt: skip
    model.pretrain(300)
    left, right = (model.predict(np.array([x]), deterministic=True)[0][0] for x in (1.0, -1.0))
    assert left < -0.5 and right > 0.5
    assert model.num_timesteps == 0


def test_the_actors_rate_decays_offline_and_not_online(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), **SMALL)
    model.pretrain(10)
    last = model.actor.optimizer.param_groups[0]["lr"]
    assert last == pytest.approx(3e-4 * losses.cosine_share(9, 10))
    assert model.critic.optimizer.param_groups[0]["lr"] == 3e-4
    model.learn(5)
    assert model.actor.optimizer.param_groups[0]["lr"] == 3e-4


def test_fine_tuning_draws_from_all_rows_alike(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(100), **SMALL)
    model.learn(100)
    assert model.sample_batch(32).n_offline == 16
    model = IQL(
        "MlpPolicy", line.Env(), offline_dataset=line.data(), offline_fraction=0.25, **SMALL
    )
    model.learn(40)
    assert model.sample_batch(32).n_offline == 8


def test_the_first_learn_pretrains_when_asked(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), pretrain_steps=7, **SMALL)
    model.learn(10)
    steps = model._n_updates
    assert steps == 7 + 10
    model.learn(10, reset_num_timesteps=False)
    assert model._n_updates == steps + 10


def test_rewards_of_both_sources_are_transformed(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), reward_scale=0.0,
                reward_bias=-1.0, gamma=0.0, learning_rate=1e-2, **SMALL)  # fmt: skip
    model.pretrain(150)
    batch = model.sample_batch(64)
    values = model.critic.values(batch.observations, batch.actions)
    np.testing.assert_allclose(values.detach(), -1.0, atol=0.1)


def test_actions_come_in_the_units_of_the_action_space(line):
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), **SMALL)
    actions = np.concatenate([model.predict(np.array([0.5]))[0] for _ in range(50)])
    assert np.abs(actions).max() > 1.0 and np.abs(actions).max() <= 2.0
    assert model.replay_buffer.offline_rows[:, model.replay_buffer.layout.actions].abs().max() <= 1


@pytest.mark.parametrize("n_envs", [1, 3])
def test_it_learns_online_without_data_in_any_number_of_environments(n_envs, line):
    model = IQL("MlpPolicy", DummyVecEnv([line.Env] * n_envs), learning_starts=12, **SMALL)
    model.learn(48)
    assert model.num_timesteps == 48
    with pytest.raises(ScenarioError, match="offline_dataset"):
        model.pretrain(1)


def test_dictionary_observations(line):
    flat = line.data()
    nested = OfflineDataset(
        observations={"x": flat.observations}, next_observations={"x": flat.next_observations},
        actions=flat.actions, rewards=flat.rewards, terminations=flat.terminations,
        truncations=flat.truncations,
    )  # fmt: skip
    model = IQL("MultiInputPolicy", line.Nested(), offline_dataset=nested, **SMALL)
    model.pretrain(5).learn(20)


def test_normalised_observations(line):
    env = VecNormalize(DummyVecEnv([line.Env]))
    IQL("MlpPolicy", env, offline_dataset=line.data(), **SMALL).learn(30)


def test_saving_keeps_predictions_and_leaves_the_data_behind(tmp_path, line):
    sizes = []
    for rows in (50, 800):
        model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(rows), **SMALL)
        model.pretrain(5)
        model.learn(10)
        model.save(tmp_path / f"{rows}.zip")
        sizes.append((tmp_path / f"{rows}.zip").stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 2000
    seen = np.linspace(-1, 1, 7)[:, None]
    expected = model.predict(seen, deterministic=True)[0]
    again = IQL.load(tmp_path / "800.zip")
    np.testing.assert_array_equal(again.predict(seen, deterministic=True)[0], expected)
    resumed = IQL.load(tmp_path / "800.zip", env=line.Env(), offline_dataset=line.data())
    resumed.pretrain(3)
    other = resumed.get_parameters()
    resumed.set_parameters(other)


def test_the_same_seed_gives_the_same_weights(line):
    def weights():
        model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), **SMALL)
        model.pretrain(10)
        model.learn(20)
        return torch.cat([p.flatten() for p in model.policy.parameters()])

    assert torch.equal(weights(), weights())


def test_a_callback_can_stop_pretraining(line):
    class Stop(BaseCallback):
        def _on_step(self):
            return self.n_calls < 3

    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), **SMALL)
    model.pretrain(50, Stop())
    assert model._n_updates == 3


def test_dropout_acts_in_training_only(line):
    kwargs = {**SMALL, "policy_kwargs": {"net_arch": [16], "dropout": 0.5}}
    model = IQL("MlpPolicy", line.Env(), offline_dataset=line.data(), **kwargs)
    model.pretrain(2)
    seen = np.array([[0.3]])
    assert model.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]


def test_bad_options_are_refused(line):
    with pytest.raises(ScenarioError, match=r"expectile is 1\.0"):
        IQL("MlpPolicy", line.Env(), expectile=1.0)
    with pytest.raises(ScenarioError, match="use_sde"):
        IQL("MlpPolicy", line.Env(), use_sde=True)


def test_it_is_registered_with_a_preset():
    assert agent_class("iql") is IQL
    assert resolve("iql", "HalfCheetah-v5")["pretrain_steps"] > 0
