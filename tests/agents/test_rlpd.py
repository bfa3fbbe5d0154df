"""RLPD and its presets: rlpd-lite, HyQ-SAC and SACfD."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from hybridrl.agents import RLPD
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.sac_core import target_values
from hybridrl.agents.registry import agent_class, resolve
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

SMALL = {"policy_kwargs": {"net_arch": [12]}, "batch_size": 16, "device": "cpu", "seed": 5}
SMALL["learning_starts"] = 20


def data(rows=60):
    rng = np.random.default_rng(0)
    return OfflineDataset(
        observations=rng.normal(size=(rows, 3)),
        actions=rng.uniform(-2, 2, (rows, 1)),
        rewards=rng.normal(size=rows),
        next_observations=rng.normal(size=(rows, 3)),
        terminations=np.zeros(rows, bool),
        truncations=np.arange(rows) % 50 == 49,
    )


def make(cls=RLPD, **kwargs):
    model = cls("MlpPolicy", "Pendulum-v1", **{**SMALL, "offline_dataset": data(), **kwargs})
    model.set_logger(configure(None, []))
    return model


def weights(model):
    return torch.cat([t.flatten() for t in model.policy.state_dict().values()])


def test_the_defaults_are_those_of_the_paper():
    model = make(learning_starts=5000)
    assert model.policy.critic.n_critics == 10 and model.gradient_steps == 20
    assert model.target_entropy == -0.5 and model.rules.mean_of_critics
    assert any("LayerNorm" in type(layer).__name__ for layer in model.policy.critic.net.layers)


def steps_of(optimizer):
    return int(next(iter(optimizer.state.values()))["step"])


@pytest.mark.parametrize(("delay", "actor"), [(None, 1), (2, 3), (1, 6)])
def test_many_critic_updates_are_followed_by_few_of_the_actor(delay, actor):
    model = make(policy_delay=delay).learn(20)
    model.train(6, 16)
    assert steps_of(model.critic.optimizer) == 6
    assert steps_of(model.actor.optimizer) == steps_of(model.ent_coef_optimizer) == actor


def test_half_of_every_batch_is_offline():
    model = make().learn(20)
    batch = model.sample_batch(16)
    assert batch.n_offline == 8


def test_as_sacfd_it_draws_from_all_rows_alike():
    model = make(offline_fraction="uniform").learn(20)
    assert model.sample_batch(16).n_offline == 12  # 60 of 80
    assert make(offline_fraction=None).uniform


def test_a_target_is_the_lowest_of_a_random_pair():
    model = make(n_critics=4, n_target_critics=2, backup_entropy=False, gamma=1.0)
    batch = model.sample_batch(8)
    seen = set()
    for k in range(20):
        torch.manual_seed(k)
        target = target_values(model, batch, model.rules, torch.ones(1))
        torch.manual_seed(k)
        actions, _ = model.actor.action_log_prob(batch.next_observations)
        q = model.critic_target.values(batch.next_observations, actions)
        value = target - batch.rewards.squeeze(1)
        pairs = {
            (i, j): torch.minimum(q[i], q[j]).detach() for i in range(4) for j in range(i + 1, 4)
        }
        found = [pair for pair, lowest in pairs.items() if torch.allclose(lowest, value, atol=1e-5)]
        assert found
        seen.add(found[0])
    assert len(seen) > 2


def test_with_everything_off_it_is_the_shared_update_on_mixed_batches():
    plain = {"n_critics": 2, "n_target_critics": None, "layer_norm": False, "gradient_steps": 1}
    ours = make(mean_of_critics=False, target_entropy="auto", **plain).learn(60)
    shared = make(HybridSAC, gradient_steps=1).learn(60)
    assert torch.equal(weights(ours), weights(shared))


@pytest.mark.parametrize(
    ("name", "critics", "norm"), [("rlpd-lite", 2, True), ("hyq-sac", 2, False)]
)
def test_presets_are_small_forms_of_it(name, critics, norm):
    assert agent_class(name) is RLPD
    settings = resolve(name, "Pendulum-v1", {"buffer_size": 100})
    settings = {k: v for k, v in settings.items() if k not in ("total_timesteps", "n_envs")}
    model = make(**settings)
    assert model.policy.critic.n_critics == critics and model.gradient_steps == 1
    assert model.policy.critic_layer_norm is norm and model.target_entropy == -1.0


def test_the_number_of_critics_is_remembered(tmp_path):
    make(n_critics=3).learn(20).save(tmp_path / "model.zip")
    loaded = RLPD.load(tmp_path / "model.zip")
    assert loaded.policy.critic.n_critics == 3 and loaded.target_entropy == -0.5


def test_bad_options_are_refused():
    with pytest.raises(ScenarioError, match="n_critics"):
        make(n_critics=0)
    with pytest.raises(ScenarioError, match="layer_norm"):
        RLPD("ListPolicy", "Pendulum-v1")
    with pytest.raises(ScenarioError, match="offline_fraction"):
        make(offline_fraction="most")
