"""MOORL: its meta-update by hand, its identities, and what each switch changes."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from hybridrl.agents import MOORL
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.agents.moorl.meta import (
    SlowWeights,
    annealed,
    chooses_offline,
    forget_moments,
    outer_tau,
    reptile_step,
    sac_gradients,
)
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SMALL = {"policy_kwargs": {"net_arch": [12]}, "batch_size": 16, "device": "cpu", "seed": 5}


def data(rows=200):
    rng = np.random.default_rng(0)
    return OfflineDataset(
        observations=rng.normal(size=(rows, 3)),
        actions=rng.uniform(-2, 2, (rows, 1)),
        rewards=rng.normal(size=rows),
        next_observations=rng.normal(size=(rows, 3)),
        terminations=np.zeros(rows, bool),
        truncations=np.arange(rows) % 50 == 49,
    )


def make(cls=MOORL, offline=True, **kwargs):
    given = {"offline_dataset": data()} if offline else {}
    model = cls("MlpPolicy", "Pendulum-v1", **{**SMALL, **given, **kwargs})
    model.set_logger(configure(None, []))
    return model


def vector(tensors):
    return torch.cat([t.detach().flatten() for t in tensors]).clone()


def weights(model):
    return vector([*model.actor.parameters(), *model.critic.parameters()])


def everything(model):
    return vector([*model.policy.state_dict().values(), model.log_ent_coef])


def test_with_meta_step_1_and_no_offline_data_it_is_the_shared_sac_bit_for_bit_for_500_updates():
    options = {"learning_starts": 40, "gradient_steps": 4, "policy_kwargs": {"net_arch": [16, 16]}}
    plain = make(HybridSAC, offline=False, **options).learn(165)
    ours = make(meta_step=1.0, offline_prob=0.0, **options).learn(165)
    assert plain._n_updates == ours._n_updates == 500
    assert torch.equal(everything(plain), everything(ours))


def test_the_meta_update_goes_its_share_of_the_way():
    slow, fast = [torch.tensor([0.0, 2.0])], [torch.tensor([1.0, 4.0])]
    reptile_step(slow, fast, 0.25)
    assert slow[0].tolist() == fast[0].tolist() == [0.25, 2.5]
    reptile_step(slow, fast, 0.25)
    assert slow[0].tolist() == [0.25, 2.5]  # nothing to go


def test_a_whole_meta_step_changes_no_bit_of_the_adapted_weights():
    fast = [torch.randn(1000)]
    before, slow = fast[0].clone(), [torch.randn(1000)]
    reptile_step(slow, fast, 1.0)
    assert torch.equal(fast[0], before) and torch.equal(slow[0], before)


def test_after_k_inner_steps_the_weights_are_between_the_start_and_the_adapted_ones():
    whole, half = make(meta_step=1.0), make(meta_step=0.5)
    start = weights(half)
    for model in (whole, half):
        torch.manual_seed(3)
        model.train(3, 16)
    assert torch.equal(weights(whole), weights(half))  # the loop is not over
    for model in (whole, half):
        torch.manual_seed(4)
        model.train(1, 16)
    torch.testing.assert_close(weights(half), 0.5 * (start + weights(whole)))
    assert torch.equal(vector(half.slow_weights.tensors), weights(half))


@pytest.mark.parametrize(("p", "low", "high"), [(0.0, 0, 0), (0.5, 440, 560), (1.0, 1000, 1000)])
def test_sources_are_drawn_with_their_probability_and_again_the_same(p, low, high):
    drawn = [chooses_offline(3, n, p) for n in range(1000)]
    assert low <= sum(drawn) <= high
    assert drawn == [chooses_offline(3, n, p) for n in range(1000)]


def sources(model, updates=16):
    """Where the batches of so many updates came from, one letter each."""
    seen, draw = [], model.sample_batch
    model.sample_batch = lambda size: seen.append(model._source[:2]) or draw(size)
    model.train(updates, 16)
    return "".join(seen).replace("of", "F").replace("on", "N")


def test_a_meta_iteration_stays_with_one_source():
    model = make().learn(20)
    found = sources(model)
    assert {found[i : i + 4] for i in range(0, 16, 4)} == {"FFFF", "NNNN"}


def test_alternating_batches_change_their_source_each_step():
    assert sources(make(inner_source="alternate").learn(20)) == "FNFNFNFN" * 2


def test_while_there_is_no_online_batch_the_dataset_gives_all():
    assert sources(make(offline_prob=0.01).learn(10)) == "F" * 16


def test_without_a_dataset_it_is_sac_with_slow_weights():
    model = make(offline=False).learn(120)
    assert model.learning_starts == 100 and sources(model) == "N" * 16
    assert make().learning_starts == 0


def test_pretraining_uses_the_dataset_alone_and_comes_first():
    model = make(pretrain_steps=7).learn(4)
    assert model._n_updates == 7 + 4 * 4
    assert "train/online_critic_loss" not in model.logger.name_to_value


def test_one_batch_serves_all_inner_steps_where_asked():
    model = make(reuse_batch=True).learn(20)
    assert len(sources(model, 16)) == 4
    assert len(sources(make().learn(20), 16)) == 16
    assert sources(make(reuse_batch=True, inner_source="alternate").learn(20), 8) == "FNFN"


def test_schedules_fall_linearly_or_are_asked():
    assert [annealed(1.0, 0.2, left) for left in (1.0, 0.5, 0.0)] == pytest.approx([1.0, 0.6, 0.2])
    assert annealed(0.3, None, 0.1) == 0.3
    model = make(meta_step=1.0, meta_step_end=0.5, offline_prob=lambda left: 0.25 * left)
    model._current_progress_remaining = 0.5
    assert model.meta_share() == 0.75 and model.offline_probability() == 0.125


def test_outer_targets_move_once_as_far_as_k_inner_steps():
    rate = outer_tau(0.1, 3)
    target = 0.0
    for _ in range(3):
        target += 0.1 * (1.0 - target)
    assert rate == pytest.approx(target)
    model = make(target_follow="outer", tau=0.1, inner_steps=3)
    start = vector(model.critic_target.parameters())
    model.train(2, 16)
    assert torch.equal(vector(model.critic_target.parameters()), start)
    model.train(1, 16)
    expected = start + rate * (vector(model.critic.parameters()) - start)
    torch.testing.assert_close(vector(model.critic_target.parameters()), expected)


def test_the_gradients_of_the_other_reading_are_those_of_the_losses():
    model = make()
    batch = model.sample_batch(16)
    torch.manual_seed(0)
    actor, critic = sac_gradients(model, batch, model.rules)
    torch.manual_seed(0)
    from hybridrl.agents.common import sac_core
    from hybridrl.agents.common.sac_losses import bellman_loss

    alpha = sac_core.entropy_coefficient(model)
    target = sac_core.target_values(model, batch, model.rules, alpha)
    q = model.critic.values(batch.observations, batch.actions)
    bellman_loss(q, target).backward()
    for found, parameter in zip(critic, model.critic.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad)
    assert any(g.abs().sum() > 0 for g in actor)


def test_the_other_reading_steps_from_the_meta_parameters_by_adams_rate():
    model = make(meta_update="fomaml", learning_rate=1e-3)
    start = weights(model)
    model.train(3, 16)
    assert (weights(model) - start).abs().max() > 1.5e-3  # three inner steps
    model.train(1, 16)
    moved = (weights(model) - start).abs()
    assert moved.max() <= 1e-3 * 1.01 and moved.median() > 5e-4  # the first step of one Adam
    assert torch.equal(vector(model.slow_weights.tensors), weights(model))


def test_adam_forgets_at_the_start_of_a_loop_where_asked():
    model = make(reset_inner_optim=True)
    model.train(4, 16)
    optimizer = model.critic.optimizer
    assert optimizer.state[next(model.critic.parameters())]["step"] == 4
    model.train(1, 16)
    assert optimizer.state[next(model.critic.parameters())]["step"] == 1
    forget_moments([optimizer])
    assert all(t.abs().sum() == 0 for s in optimizer.state.values() for t in s.values())


def test_beta1_and_the_temperatures_part_can_be_chosen():
    model = make(inner_beta1=0.0, meta_alpha=True, meta_step=0.5)
    assert model.actor.optimizer.param_groups[0]["betas"] == (0.0, 0.999)
    first = model.log_ent_coef.item()
    model.train(3, 16)
    adapted = model.log_ent_coef.item()
    model.train(1, 16)
    assert abs(model.log_ent_coef.item() - first) < abs(adapted - first)


def test_losses_are_logged_for_each_source():
    model = make().learn(60)
    names = set(model.logger.name_to_value)
    assert {"train/offline_critic_loss", "train/online_critic_loss", "train/critic_loss"} <= names


def test_slow_weights_are_saved_and_travel_in_the_middle_of_a_loop(tmp_path):
    model = make(gradient_steps=3).learn(5)
    slow = vector(model.slow_weights.tensors)
    assert not torch.equal(slow, weights(model))
    model.save(tmp_path / "model.zip")
    loaded = MOORL.load(tmp_path / "model.zip", offline_dataset=data(), env=model.get_env())
    assert torch.equal(vector(loaded.slow_weights.tensors), slow)
    assert torch.equal(weights(loaded), weights(model))


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    options = {"gradient_steps": 3, "meta_update": "fomaml"}
    whole = make(**options).learn(20)
    whole.learn(20, reset_num_timesteps=False)
    first = make(**options).learn(20)
    save_training_state(first, tmp_path)
    second = make(**options)
    assert load_training_state(second, tmp_path)["exact"]
    second.learn(20, reset_num_timesteps=False)
    assert torch.equal(everything(second), everything(whole))
    assert torch.equal(vector(second.slow_weights.tensors), vector(whole.slow_weights.tensors))


def test_slow_weights_are_copies():
    fast = [torch.ones(2)]
    slow = SlowWeights(fast)
    fast[0].add_(1)
    assert slow.tensors[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"inner_steps": 0}, "inner_steps"),
        ({"meta_step": 0.0}, "meta_step"),
        ({"meta_step_end": 1.5}, "meta_step_end"),
        ({"offline_prob": -0.1}, "offline_prob"),
        ({"inner_beta1": 1.0}, "inner_beta1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, says):
    with pytest.raises(ScenarioError, match=says):
        make(**options)


@pytest.mark.parametrize("switch", ["inner_source", "meta_update", "target_follow"])
def test_unknown_switches_are_refused_with_the_known_ones(switch):
    with pytest.raises(UnknownNameError, match=switch):
        make(**{switch: "nonsense"})
