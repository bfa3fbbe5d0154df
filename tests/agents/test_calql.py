"""Cal-QL and CQL: losses by hand, calibration, returns of online episodes."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from hybridrl.agents import CalQL
from hybridrl.agents.calql import losses
from hybridrl.agents.registry import resolve
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

SMALL = {"policy_kwargs": {"net_arch": [16]}, "batch_size": 32, "device": "cpu", "seed": 0}


class Ten(gym.Env):
    """Ten steps with reward 1 each, then the end."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.array([self.left / 10, 0], np.float32), 1.0, self.left == 0, False, {}


def data(rows=200, spread=0.2):
    """One state; actions near 0; every step ends its episode with reward ``-a^2``."""
    rng = np.random.default_rng(0)
    actions = np.clip(spread * rng.normal(size=(rows, 1)), -2, 2)
    return OfflineDataset(
        observations=np.zeros((rows, 2)),
        actions=actions,
        rewards=-np.square(actions[:, 0]),
        next_observations=np.zeros((rows, 2)),
        terminations=np.ones(rows, bool),
        truncations=np.zeros(rows, bool),
    )


def make(**kwargs):
    model = CalQL("MlpPolicy", Ten(), **{**SMALL, "offline_dataset": data(), **kwargs})
    model.set_logger(configure(None, []))
    return model


def test_soft_maximum_by_hand():
    uniform, proposed = torch.tensor([[[1.0]]]), torch.tensor([[[2.0, 0.0]]])
    log_prob = torch.tensor([[math.log(0.25), math.log(2.0)]])
    expected = math.log(math.exp(1.0) / 0.25 + math.exp(2.0) / 0.25 + math.exp(0.0) / 2.0)
    found = losses.soft_maximum(uniform, proposed, log_prob, action_dim=2)
    assert found.item() == pytest.approx(expected, rel=1e-6)
    cold = losses.soft_maximum(uniform, proposed, torch.zeros(1, 2), 0, temperature=1e-3)
    assert cold.item() == pytest.approx(2.0, abs=1e-2)


def test_with_the_exact_density_the_soft_maximum_of_equal_values_is_their_integral():
    """All actions are worth c: the importance weighted sum of n samples is ``n 2^d exp(c)``."""
    values = torch.full((1, 1, 8), 3.0)
    uniform = losses.soft_maximum(values, values[..., :0], torch.zeros(1, 0), action_dim=3)
    assert uniform.item() == pytest.approx(3.0 + math.log(8) + 3 * math.log(2.0), rel=1e-6)


def test_calibration_lifts_values_to_the_return_and_leaves_unknown_ones():
    values = torch.tensor([[[1.0, 5.0], [1.0, 5.0]]])
    lifted = losses.calibrated(values, torch.tensor([3.0, -math.inf]))
    assert lifted.tolist() == [[[3.0, 5.0], [1.0, 5.0]]]


def test_the_gap_is_clipped_row_by_row():
    soft, own = torch.tensor([[4.0, -9.0]]), torch.zeros(1, 2)
    assert losses.conservative_gap(soft, own, -1.0, 2.0).tolist() == [0.5]
    assert losses.conservative_gap(soft, own, -math.inf, math.inf).tolist() == [-2.5]


def test_bellman_error_and_backup_by_hand():
    q = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    assert losses.bellman_error(q, torch.tensor([0.0, 2.0])) == 1 / 2 + 4 / 2
    next_q = torch.tensor([[[1.0, 5.0]], [[2.0, 0.0]]])  # two critics, one row, two actions
    assert losses.backup_values(next_q).tolist() == [1.0]


def test_a_penalty_below_the_known_return_pushes_nothing_down():
    q = torch.tensor([[[0.0, 0.0]]], requires_grad=True)
    soft = losses.soft_maximum(
        torch.full((1, 1, 1), -50.0),
        losses.calibrated(q, torch.tensor([2.0])),
        torch.zeros(1, 2),
        1,
    )
    soft.sum().backward()
    assert q.grad.abs().sum() == 0.0


def test_the_multiplier_rises_while_the_gap_is_above_its_target():
    model = make(target_gap=0.8, penalty_weight=2.0)
    gap = torch.tensor([3.0, 3.0], requires_grad=True)
    before = losses.lagrange_weight(model.log_multiplier).item()
    penalty = model._multiplied(gap, {})
    after = losses.lagrange_weight(model.log_multiplier).item()
    assert after > before
    assert penalty.item() == pytest.approx(after * 2.0 * 2 * (3.0 - 0.8), rel=1e-5)


def test_finished_online_episodes_have_their_returns_and_others_none():
    model = make(gamma=0.9, learning_starts=0).learn(25)
    column = model.replay_buffer._ring[:25, model.replay_buffer.layout.mc_return]
    expected = [(1 - 0.9**left) / (1 - 0.9) for left in range(10, 0, -1)]
    np.testing.assert_allclose(column[:10], expected, rtol=1e-5)
    np.testing.assert_allclose(column[10:20], expected, rtol=1e-5)
    assert torch.isinf(column[20:]).all() and not (column == 0.0).any()


def test_cql_and_calql_differ_only_where_returns_are_known():
    models = [make(calibrated=flag) for flag in (True, False)]
    batch = models[0].replay_buffer.sample(16, generator=np.random.default_rng(0))
    unknown = batch._replace(mc_returns=torch.full_like(batch.mc_returns, -math.inf))
    gaps = []
    for model, rows in ((models[0], batch), (models[0], unknown), (models[1], batch)):
        torch.manual_seed(0)
        proposed, densities = model._proposals(rows)
        gaps.append(model._penalised(rows, proposed, densities)[1])
    assert torch.equal(gaps[1], gaps[2]) and (gaps[0] >= gaps[1]).all()


@pytest.mark.parametrize("calibrated", [True, False])
def test_actions_outside_the_data_are_valued_lower(calibrated):
    model = make(calibrated=calibrated, learning_rate=5e-3, n_actions=4)
    model.pretrain(150)
    seen = torch.zeros(2, 2)
    q = model.critic.values(seen, torch.tensor([[0.0], [0.95]]))
    assert (q[:, 0] > q[:, 1]).all()


def test_returns_of_data_use_the_transformed_rewards():
    model = make(reward_scale=2.0, reward_bias=1.0)
    rows = model.replay_buffer.offline_rows
    layout = model.replay_buffer.layout
    np.testing.assert_allclose(rows[:, layout.reward], 2 * data().rewards + 1, rtol=1e-5)
    np.testing.assert_allclose(rows[:, layout.mc_return], rows[:, layout.reward], rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"max_backup": False, "backup_entropy": True}, {"target_gap": 0.5}, {"n_steps": 3}]
)
def test_every_switch_trains(options):
    model = make(**options).learn(30)
    assert model._n_updates > 0
    assert all(torch.isfinite(p).all() for p in model.policy.parameters())


def test_actor_and_critics_have_rates_of_their_own():
    model = make(actor_learning_rate=2e-4).learn(12)
    assert model.actor.optimizer.param_groups[0]["lr"] == 2e-4
    assert model.critic.optimizer.param_groups[0]["lr"] == 3e-4


def test_the_first_learn_pretrains_and_the_multiplier_is_kept(tmp_path):
    model = make(pretrain_steps=5, target_gap=0.1).learn(10)
    assert model._n_updates == 15
    model.save(tmp_path / "model.zip")
    loaded = CalQL.load(tmp_path / "model.zip")
    assert torch.equal(loaded.log_multiplier, model.log_multiplier)


def test_bad_options_are_refused_and_cql_is_a_preset():
    with pytest.raises(ScenarioError, match="n_actions"):
        make(n_actions=0)
    assert resolve("cql", "Pendulum-v1")["calibrated"] is False
