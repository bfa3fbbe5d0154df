"""HopeSAC keeps Stable-Baselines3's contract, its densities are exact, and steps stay free."""

import inspect

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC

from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopeSAC
from hybridrl.agents.hope.features import MASK, feature_rows
from hybridrl.agents.hope.replay import RowReplay, demonstration_buffer
from hybridrl.agents.hope.step_scaling import free_share, unscale_step
from hybridrl.planners.errors import ScenarioError

HARD = "hybridrl/Parking-Hard-v0"
MOTIONS = {"rs": "auto", "ego": True}
SMALL = {"learning_starts": 16, "batch_size": 16, "buffer_size": 400, "gradient_steps": 2}


def vector(count=2, **options):
    return make_vec(HARD, count, 0, **{**MOTIONS, **options})


def model_of(env=None, policy="MultiInputPolicy", **settings):
    settings = {**SMALL, "policy_kwargs": {"net_arch": [16]}, "seed": 0, **settings}
    return HopeSAC(policy, vector() if env is None else env, device="cpu", **settings)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.policy.parameters()])


@pytest.fixture(scope="module")
def seen():
    env = vector(32)
    env.reset()
    return env.step(np.random.default_rng(0).uniform(-1, 1, (32, 2)))[0]


@pytest.fixture(scope="module")
def trained():
    return model_of().learn(96)


def test_it_is_a_stable_baselines_sac_with_a_default_for_every_argument():
    assert issubclass(HopeSAC, SAC)
    for name, parameter in inspect.signature(HopeSAC.__init__).parameters.items():
        assert name == "self" or parameter.default is not inspect.Parameter.empty, name


def test_log_probs_are_the_change_of_variables_of_the_gaussian(seen):
    actor = model_of().policy.actor
    rows = torch.from_numpy(feature_rows(seen, np))
    torch.manual_seed(2)
    with torch.no_grad():
        actions, log_probs = actor.draw(rows)
        latent = actor.latent_pi(rows)
        mean, std = actor.mu(latent).double(), actor.log_std(latent).clamp(-20, 2).exp().double()
    usable = free_share(rows[:, :MASK], actions[:, 0], actions[:, 1] >= 0) > 0.05
    masks = rows[:, :MASK].double()
    z = unscale_step(actions.double(), masks).requires_grad_()
    from hybridrl.agents.hope.step_scaling import scale_step

    jacobian = torch.stack(
        [
            torch.autograd.grad(scale_step(z, masks)[0][:, k].sum(), z, retain_graph=True)[0]
            for k in range(2)
        ],
        dim=1,
    )
    gaussian = torch.distributions.Normal(mean, std).log_prob(z.detach()).sum(dim=1)
    expected = gaussian - jacobian.det().abs().log()
    assert usable.sum() > 10
    assert torch.allclose(log_probs.double()[usable], expected[usable], atol=2e-3)


def test_steps_stay_within_the_mask_and_hardly_ever_bump():
    env = vector(32)
    model = model_of(env)
    seen = env.reset()
    bumps = steps = 0
    for _ in range(30):
        actions, _ = model.predict(seen)
        masks = torch.from_numpy(seen["action_mask"])
        steer, step = torch.from_numpy(actions).T
        assert (step.abs() <= free_share(masks, steer, step >= 0) + 1e-6).all()
        seen = env.step(actions)[0]
        bumps += int(env.env.unwrapped.task.rows["bump"].sum())
        steps += 32
    assert bumps < 0.1 * steps


@pytest.mark.parametrize("policy", ["MultiInputPolicy", "TokenPolicy"])
def test_it_learns_and_predicts(policy, seen):
    model = model_of(policy=policy)
    before = weights_of(model)
    model.learn(64)
    assert model.num_timesteps >= 64 and model._n_updates > 0
    assert not torch.equal(before, weights_of(model))
    assert torch.isfinite(weights_of(model)).all()
    one = {key: value[0] for key, value in seen.items()}
    assert model.predict(one, deterministic=True)[0].shape == (2,)
    assert model.predict(seen)[0].shape == (32, 2)


def test_equal_seeds_give_equal_weights():
    runs = [weights_of(model_of(seed=seed).learn(48)) for seed in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_saved_and_loaded_it_predicts_the_same(tmp_path, seen, trained):
    trained.save(tmp_path / "model.zip")
    expected = trained.predict(seen, deterministic=True)[0]
    for env in (None, vector()):
        loaded = HopeSAC.load(tmp_path / "model.zip", env=env, device="cpu")
        assert (loaded.predict(seen, deterministic=True)[0] == expected).all()
        assert torch.equal(loaded.curriculum_record, trained.curriculum_record)
    loaded.learn(32, reset_num_timesteps=False)
    assert loaded.num_timesteps == trained.num_timesteps + 32


def test_a_checkpoint_keeps_networks_temperature_and_replay(tmp_path, trained):
    save_training_state(trained, tmp_path / "checkpoint")
    other = model_of(seed=9)
    load_training_state(other, tmp_path / "checkpoint")
    assert torch.equal(weights_of(other), weights_of(trained))
    assert torch.equal(other.log_ent_coef, trained.log_ent_coef)
    assert other.replay_buffer.pos == trained.replay_buffer.pos > 0
    mine, theirs = (m.replay_buffer.observations[:48] for m in (other, trained))
    assert np.array_equal(mine, theirs)


def test_replay_holds_the_true_ends_of_episodes():
    env = vector(2, max_decisions=3)
    model = model_of(env, learning_starts=1000).learn(40)
    buffer = model.replay_buffer
    ended = np.argwhere(buffer.timeouts[: buffer.pos] > 0)
    assert len(ended) > 3
    for step, i in ended[:-1]:
        if step + 1 < buffer.pos:
            follows, begins = buffer.next_observations[step, i], buffer.observations[step + 1, i]
            assert follows[-1] == 0.0 and begins[-1] == 1.0  # the remaining time
    for batch in buffer.batches(3, 32):
        assert batch.rows.shape == (32, 293) and batch.dones.max() <= 1.0
        late = (batch.next_rows[:, -1] == 0.0) & (batch.rewards < 1.0)
        assert (batch.dones[late] == 0.0).all()


def demonstrations(env, count=50):
    columns = {"observations": [], "next_observations": [], "actions": [], "rewards": []}
    rng, seen = np.random.default_rng(0), env.reset()
    for _ in range(count):
        action = rng.uniform(-1, 1, (1, 2)).astype(np.float32)
        following, reward, _, _ = env.step(action)
        for name, value in zip(columns, (seen, following, action[0], reward[0]), strict=True):
            columns[name].append(value)
        seen = following
    for name in ("observations", "next_observations"):
        columns[name] = {k: np.concatenate([s[k] for s in columns[name]]) for k in seen}
    flags = np.zeros(count, bool)
    flags[-1] = True
    arrays = {name: v if isinstance(v, dict) else np.array(v) for name, v in columns.items()}
    return {**arrays, "terminations": flags, "truncations": np.zeros(count, bool)}


def test_demonstrations_are_part_of_every_batch_and_not_of_the_file(tmp_path):
    env = vector(1)
    data = demonstrations(env)
    model = model_of(vector(2), demonstrations=data, demonstration_share=0.5)
    model.learn(40)
    shown = set(map(bytes, feature_rows(data["observations"], np)))
    for batch in model._draw(3, 16):
        assert batch.rows.shape == (16, 293)
        assert sum(bytes(row) in shown for row in batch.rows.numpy()) >= 8
    model.save(tmp_path / "with.zip")
    model_of(vector(2)).learn(40).save(tmp_path / "without.zip")
    sizes = [(tmp_path / name).stat().st_size for name in ("with.zip", "without.zip")]
    assert abs(sizes[0] - sizes[1]) < 20_000
    loaded = HopeSAC.load(tmp_path / "with.zip", env=vector(2), demonstrations=data, device="cpu")
    loaded.learn(16)
    assert loaded._shown is not None and len(loaded._shown.rewards) == 50


def test_demonstrations_of_another_task_are_refused():
    env = vector(1)
    data = demonstrations(env, 5)
    spaces = env.observation_space, env.action_space
    with pytest.raises(ScenarioError, match="steering"):
        demonstration_buffer({**data, "actions": np.arange(5)}, *spaces)
    plain = {key: value for key, value in data["observations"].items() if key != "ego"}
    with pytest.raises(ScenarioError, match="ego"):
        demonstration_buffer({**data, "observations": plain, "next_observations": plain}, *spaces)
    assert demonstration_buffer(None, *spaces) is None
    assert isinstance(demonstration_buffer(data, *spaces), RowReplay)


def test_other_actions_are_refused_with_the_fix():
    with pytest.raises(ScenarioError, match='action_type="continuous"'):
        model_of(make_vec(HARD, 2, 0, action_type="discrete", **MOTIONS))


def test_the_actor_takes_fewer_steps_than_the_critics(trained):
    model = model_of(policy_delay=4, gradient_steps=4).learn(32)
    taken = {
        name: int(next(iter(optimizer.state.values()))["step"])
        for name, optimizer in (
            ("actor", model.actor.optimizer),
            ("critic", model.critic.optimizer),
        )
    }
    assert taken["critic"] == 4 * taken["actor"] == model._n_updates
