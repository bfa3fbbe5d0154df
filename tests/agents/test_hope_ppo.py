"""HopePPO keeps Stable-Baselines3's contract and never takes a motion that is not free."""

import inspect

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import StopTrainingOnMaxEpisodes
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import hybridrl  # noqa: F401
from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO, ParkingTokens
from hybridrl.agents.hope.features import feature_rows
from hybridrl.envs.parking.task import CLASS_NAMES
from hybridrl.planners.errors import ScenarioError

HARD = "hybridrl/Parking-Hard-v0"
MOTIONS = {"action_type": "discrete", "rs": "auto", "ego": True}
SMALL = {"n_steps": 8, "batch_size": 16, "seed": 0, "device": "cpu"}
TINY = {"net_arch": [16]}


def vector(count=2, **options):
    return make_vec(HARD, count, 0, **{**MOTIONS, **options})


def model_of(env=None, policy="MultiInputPolicy", **settings):
    settings = {**SMALL, "policy_kwargs": dict(TINY), **settings}
    return HopePPO(policy, vector() if env is None else env, **settings)


def observations(count=32, steps=5, **options):
    """What random driving sees, one row a scene."""
    env = vector(count, **options)
    seen = env.reset()
    rng = np.random.default_rng(0)
    for _ in range(steps):
        masks = np.asarray(env.env_method("action_masks"))
        seen = env.step((rng.random(masks.shape) * masks).argmax(axis=1))[0]
    return seen


def tensors(seen):
    return {key: torch.from_numpy(value) for key, value in seen.items()}


@pytest.fixture(scope="module")
def seen():
    return observations()


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.policy.parameters()])


@pytest.mark.parametrize("policy", ["MultiInputPolicy", "TokenPolicy"])
def test_log_probs_are_those_of_a_softmax_over_the_free_motions(seen, policy):
    model = model_of(policy=policy)
    rows = torch.from_numpy(feature_rows(seen, np))
    with torch.no_grad():
        encoded = model.policy.features_extractor(tensors(seen))
        logits = model.policy.action_net(model.policy.mlp_extractor.forward_actor(encoded))
        log_probs = model.policy.log_probs(rows).double()
    masked = np.where(seen["action_mask"] > 0, np.exp(logits.double().numpy()), 0.0)
    expected = masked / masked.sum(axis=1, keepdims=True)
    assert (seen["action_mask"] == 0).any()
    assert np.allclose(log_probs.exp().numpy(), expected, atol=1e-6)
    assert (log_probs.exp().numpy()[seen["action_mask"] == 0] == 0.0).all()


def test_every_way_to_a_log_prob_agrees(seen):
    policy = model_of().policy
    torch.manual_seed(0)
    with torch.no_grad():
        rows = torch.from_numpy(feature_rows(seen, np))
        actions, values, taken = policy.act(rows)
        again = policy.evaluate_actions(tensors(seen), actions)
        forward = policy(tensors(seen), deterministic=True)
        distribution = policy.get_distribution(tensors(seen))
    assert torch.allclose(taken, again[1], atol=1e-6)
    assert torch.allclose(values, again[0][:, 0], atol=1e-6)
    assert torch.allclose(taken, distribution.log_prob(actions), atol=1e-6)
    assert torch.allclose(again[2], distribution.entropy(), atol=1e-5)
    assert torch.equal(forward[0], distribution.mode())
    assert torch.allclose(forward[1], policy.predict_values(tensors(seen)))


def test_sampled_motions_have_the_frequencies_of_the_distribution(seen):
    policy = model_of().policy
    row = torch.from_numpy(feature_rows(seen, np))[:1]
    torch.manual_seed(1)
    with torch.no_grad():
        actions = policy.act(row.expand(20_000, -1))[0]
        expected = policy.log_probs(row).exp()[0].numpy()
    found = np.bincount(actions.numpy(), minlength=42) / 20_000
    assert np.abs(found - expected).max() < 0.01


@pytest.mark.parametrize("deterministic", [True, False])
def test_motions_that_are_not_free_are_never_chosen(deterministic):
    model = model_of(vector(16))
    env = vector(16)
    env.reset()
    seen = env.reset()
    for _ in range(40):
        masks = np.asarray(env.env_method("action_masks"))
        actions, _ = model.predict(seen, deterministic=deterministic, action_masks=masks)
        assert masks[np.arange(16), actions].all()
        seen = env.step(actions)[0]


def test_where_nothing_is_free_the_environments_choice_is_taken(seen):
    model = model_of()
    stuck = {key: value[0] for key, value in seen.items()}
    stuck["action_mask"] = np.full(42, 0.01, np.float32)
    allowed = np.zeros(42, bool)
    allowed[17] = True
    for deterministic in (True, False):
        action, _ = model.predict(stuck, deterministic=deterministic, action_masks=allowed)
        assert action == 17
    stuck["action_mask"][:] = 0.0
    assert 0 <= model.predict(stuck)[0] < 42


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("policy", ["MultiInputPolicy", "TokenPolicy"])
def test_it_learns_on_one_and_on_three_environments(count, policy):
    model = model_of(vector(count), policy)
    before = weights_of(model)
    model.learn(64)
    assert model.num_timesteps >= 64
    assert not torch.equal(before, weights_of(model))
    assert torch.isfinite(weights_of(model)).all()


def test_it_learns_on_single_environments_and_without_ego():
    env = DummyVecEnv([lambda: gym.make(HARD, action_type="discrete", rs="auto")] * 2)
    model = model_of(env)
    model.learn(32)
    assert model.policy.features_extractor.inputs == 291
    assert model.scenes.active == ("complex-bay", "complex-parallel", "extreme-parallel")
    assert len(evaluate_policy(model, env, 2, return_episode_rewards=True, warn=False)[0]) == 2


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    runs = [weights_of(model_of(vector(), seed=seed).learn(48)) for seed in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_saved_and_loaded_it_predicts_the_same_and_keeps_its_curriculum(tmp_path, seen):
    model = model_of().learn(64)
    for k in range(10):
        model.scenes.add(4, k < 7)
    model.save(tmp_path / "model.zip")
    loaded = HopePPO.load(tmp_path / "model.zip", env=vector(), device="cpu")
    assert loaded.scenes.success(CLASS_NAMES[4]) == model.scenes.success(CLASS_NAMES[4]) >= 0.1
    assert loaded.scenes.probabilities() == model.scenes.probabilities()
    assert (
        loaded.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]
    ).all()
    torch.manual_seed(5)
    drawn = model.predict(seen)[0]
    torch.manual_seed(5)
    assert (loaded.predict(seen)[0] == drawn).all()
    loaded.learn(32, reset_num_timesteps=False)
    assert loaded.num_timesteps == model.num_timesteps + 32


def test_loaded_without_an_environment_it_still_predicts(tmp_path, seen):
    model = model_of()
    model.save(tmp_path / "model.zip")
    loaded = HopePPO.load(tmp_path / "model.zip", device="cpu")
    assert (
        loaded.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]
    ).all()


def test_a_checkpoint_without_pickle_holds_networks_counters_and_curriculum(tmp_path):
    model = model_of().learn(64)
    model.scenes.add(2, True)
    save_training_state(model, tmp_path / "checkpoint")
    other = model_of(seed=9)
    load_training_state(other, tmp_path / "checkpoint")
    assert torch.equal(weights_of(other), weights_of(model))
    assert torch.equal(other.scenes.record, model.scenes.record)
    assert other.num_timesteps == model.num_timesteps


def test_the_curriculum_counts_episodes_and_steers_the_environment():
    env = vector(32, max_decisions=5)
    model = model_of(env).learn(512)
    classes = [CLASS_NAMES.index(name) for name in model.scenes.active]
    assert (model.scenes.record[classes] >= 0).any(dim=1).all()
    assert (model.scenes.record[[0, 1, 5, 6, 7]] == -1).all()
    env.env_method("set_class_weights", {"complex-bay": 1.0})
    model.collect_rollouts(env, model._init_callback(None), model.rollout_buffer, 1)
    ladder = env.env.unwrapped.task._ladder
    assert np.allclose(np.diff(ladder, prepend=0.0), list(model.scenes.probabilities().values()))
    without = model_of(vector(2), curriculum=False)
    assert without.scenes.active == ()


def test_only_running_out_of_time_adds_the_value_of_what_would_follow(seen):
    model = model_of(vector(3))
    end = {key: value[0] for key, value in seen.items()}
    infos = [
        {"terminal_observation": end, "TimeLimit.truncated": True},
        {"terminal_observation": end, "TimeLimit.truncated": False},
        {},
    ]
    extra = model._beyond_timeout(infos, np.array([True, True, False]))
    with torch.no_grad():
        rows = torch.from_numpy(feature_rows({k: v[None] for k, v in end.items()}, np))
        value = float(model.policy.values(rows))
    assert extra.tolist() == pytest.approx([0.98 * value, 0.0, 0.0], rel=1e-5)


def test_stored_log_probs_are_exact(seen):
    model = model_of(vector(4))
    model.learn(8)
    buffer = model.rollout_buffer
    model.collect_rollouts(model.env, model._init_callback(None), buffer, 8)
    rows = torch.from_numpy(buffer.observations.reshape(32, -1))
    actions = torch.from_numpy(buffer.actions.reshape(32)).long()
    with torch.no_grad():
        values, log_probs, _ = model.policy.evaluate_rows(rows, actions)
    assert np.allclose(log_probs.numpy(), buffer.log_probs.reshape(32), atol=1e-5)
    assert np.allclose(values.numpy(), buffer.values.reshape(32), atol=1e-5)
    assert (rows[torch.arange(32), actions] > 0).all()


def test_a_callback_can_stop_it_and_the_learning_rate_decays():
    model = model_of(vector(2, max_decisions=3), learning_rate=1e-3, final_lr_share=0.1)
    model.learn(10_000, StopTrainingOnMaxEpisodes(4))
    assert model.num_timesteps < 1000
    assert model.lr_schedule(1.0) == pytest.approx(1e-3)
    assert model.lr_schedule(0.5) == pytest.approx(5.5e-4)
    assert model.lr_schedule(0.0) == pytest.approx(1e-4)
    assert model_of(learning_rate=lambda progress: 2.0 * progress).lr_schedule(0.25) == 0.5


def test_an_update_stops_when_the_policy_has_moved_too_far():
    model = model_of(vector(8), learning_rate=0.05, target_kl=1e-6, n_epochs=10).learn(64)
    assert model.logger.name_to_value["train/gradient_steps"] < 40


def test_the_stall_breaker_moves_only_what_stands_still(seen):
    model = model_of(stall_breaker=True)
    batch = {key: value[:4] for key, value in seen.items()}
    first, state = model.predict(batch, deterministic=True)
    moved = {**batch, "target": batch["target"].copy()}
    moved["target"][1:, 0] += 0.1
    start = np.zeros(4, bool)
    stuck = set()
    for seed in range(30):
        torch.manual_seed(seed)
        actions, _ = model.predict(moved, state, start, deterministic=True)
        assert (actions[1:] == model.predict(moved, deterministic=True)[0][1:]).all()
        assert batch["action_mask"][0, actions[0]] > 0
        stuck.add(int(actions[0]))
    assert len(stuck) > 5
    again, _ = model.predict(moved, state, ~start, deterministic=True)
    assert (again == model.predict(moved, deterministic=True)[0]).all()
    assert first.shape == (4,)


def test_torch_threads_are_as_before_after_learning():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    model_of(threads=1).learn(16)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_other_actions_and_observations_are_refused_with_the_fix():
    with pytest.raises(ScenarioError, match='action_type="discrete"'):
        model_of(make_vec(HARD, 2, 0))
    with pytest.raises(ScenarioError, match="observation_space"):
        HopePPO(env=gym.make("CartPole-v1"), policy="MultiInputPolicy")


def test_the_token_extractor_serves_plain_stable_baselines_too():
    policy_kwargs = {"features_extractor_class": ParkingTokens, "net_arch": [8]}
    env = vector(2)
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=16, policy_kwargs=policy_kwargs)
    model.learn(16)
    assert model.policy.features_dim == 128


def test_every_own_argument_has_a_default():
    for name, parameter in inspect.signature(HopePPO.__init__).parameters.items():
        assert name == "self" or parameter.default is not inspect.Parameter.empty, name


def test_the_class_is_found_in_the_agents_package_by_its_name():
    import hybridrl.agents as agents

    assert agents.HopePPO is HopePPO
    assert "HopePPO" in dir(agents)
    with pytest.raises(AttributeError, match="HopePPPO"):
        _ = agents.HopePPPO
