"""Agents learn from pictures: shifts, one encoder, data with channels last."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

import hybridrl  # noqa: F401
from hybridrl.agents import MOORL, RLPD
from hybridrl.agents.common.pixels import PixelEncoder, channels_first, random_shift
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

TASK = "hybridrl/SparsePoint-Pixels-v0"
TINY = {"net_arch": [16], "features_extractor_kwargs": {"features_dim": 8}}
SMALL = {"batch_size": 8, "gradient_steps": 1, "buffer_size": 100, "seed": 0, "device": "cpu"}
AGENTS = [
    (RLPD, {"n_critics": 3, "n_target_critics": 1, "learning_starts": 4}),
    (MOORL, {"learning_starts": 4, "inner_steps": 2, "meta_step": 0.5}),
    (MOORL, {"learning_starts": 4, "inner_steps": 2, "meta_update": "fomaml"}),
]


def walks(episodes=2, noise=0.5, seed=0, **options):
    """Pictures of noisy walks straight to the goal."""
    env, rng = gym.make(TASK, **options), np.random.default_rng(seed)
    rows = []
    for episode in range(episodes):
        seen, ended = env.reset(seed=seed + episode)[0], False
        while not ended:
            action = np.clip([1.0, 0.0] + noise * rng.normal(size=2), -1, 1).astype(np.float32)
            later, reward, terminated, truncated, _ = env.step(action)
            rows.append((seen, action, reward, later, terminated, truncated))
            seen, ended = later, terminated or truncated
    names = ("observations", "actions", "rewards", "next_observations", "terminations")
    columns = dict(
        zip((*names, "truncations"), map(np.array, zip(*rows, strict=True)), strict=True)
    )
    return OfflineDataset(**columns)


@pytest.fixture(scope="module")
def data():
    return walks()


def agent(kind, own, data=None, **settings):
    settings = {**SMALL, "policy_kwargs": dict(TINY), **own, **settings}
    return kind("CnnPolicy", gym.make(TASK), offline_dataset=data, **settings)


def test_a_shift_moves_each_picture_by_its_own_whole_pixels_and_repeats_the_edge():
    torch.manual_seed(0)
    images = torch.arange(64 * 2 * 6 * 5, dtype=torch.float32).reshape(64, 2, 6, 5)
    shifted = random_shift(images, pad=2)
    edged = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    places = set()
    for picture, found in zip(edged, shifted.numpy(), strict=True):
        places.add(
            next(
                (y, x)
                for y in range(5)
                for x in range(5)
                if np.array_equal(picture[:, y : y + 6, x : x + 5], found)
            )
        )
    assert len(places) > 15  # of 25, in 64 draws


def test_no_shift_leaves_pictures_alone():
    images = torch.rand(3, 1, 5, 5)
    assert torch.equal(random_shift(images, 0), images)


@pytest.mark.parametrize(("kind", "own"), AGENTS)
def test_the_critics_train_the_encoder_and_the_actor_does_not(kind, own, data):
    model = agent(kind, own, data).learn(8)
    encoder = model.critic.features_extractor
    assert model.actor.features_extractor is encoder
    assert model.critic_target.features_extractor is not encoder
    mine = {id(p) for p in encoder.parameters()}
    of = [
        {id(p) for group in network.optimizer.param_groups for p in group["params"]}
        for network in (model.actor, model.critic)
    ]
    assert mine <= of[1] and not mine & of[0]
    batch = model.sample_batch(4)
    for parameter in encoder.parameters():
        parameter.grad = None
    _, log_prob = model.actor.action_log_prob(batch.observations)
    log_prob.sum().backward()
    assert all(p.grad is None for p in encoder.parameters())
    head = model.actor.head.weight.grad
    assert head is not None and head.abs().sum() > 0


@pytest.mark.parametrize(("kind", "own"), AGENTS)
def test_pictures_are_learnt_from_saved_and_loaded(kind, own, data, tmp_path):
    model = agent(kind, own, data)
    before = [p.detach().clone() for p in model.critic.features_extractor.parameters()]
    model.learn(24)
    after = list(model.critic.features_extractor.parameters())
    assert all(torch.isfinite(p).all() for p in after)
    assert not any(torch.equal(a, b) for a, b in zip(before[::2], after[::2], strict=True))
    seen = gym.make(TASK).reset(seed=3)[0]
    model.save(tmp_path / "model.zip")
    loaded = kind.load(tmp_path / "model.zip", env=gym.make(TASK), offline_dataset=data)
    loaded.learn(4, reset_num_timesteps=False)
    again = kind.load(tmp_path / "model.zip")
    expected = model.predict(seen, deterministic=True)[0]
    assert np.array_equal(again.predict(seen, deterministic=True)[0], expected)


def test_equal_seeds_learn_equal_encoders(data):
    runs = [
        torch.cat([p.flatten() for p in agent(*AGENTS[1], data).learn(12).policy.parameters()])
        for _ in range(2)
    ]
    assert torch.equal(*runs)


def test_rows_of_data_are_the_pictures_that_the_environment_shows(data):
    model = agent(*AGENTS[0], data)
    assert model.observation_space.shape == (3, 24, 24)
    rows = model.replay_buffer.sample(500, source="offline").observations.numpy()
    known = {picture.tobytes() for picture in np.moveaxis(data.observations, -1, 1)}
    assert {row.astype(np.uint8).tobytes() for row in rows} <= known
    assert channels_first(data, gym.make(TASK).observation_space) is data
    assert channels_first(None, model.observation_space) is None


@pytest.mark.parametrize(
    "space", [Box(0, 255, (3, 12, 12), np.uint8), Box(-1.0, 1.0, (3, 24, 24), np.float32)]
)
def test_what_is_no_picture_or_too_small_is_refused(space):
    with pytest.raises(ScenarioError, match="uint8 pictures of at least 15 x 15"):
        PixelEncoder(space)


def test_a_negative_shift_is_refused():
    with pytest.raises(ScenarioError, match="shift"):
        agent(*AGENTS[0], policy_kwargs={**TINY, "shift": -1})


@pytest.mark.slow
@pytest.mark.parametrize("kind", [RLPD, MOORL])
def test_a_few_walks_and_pictures_alone_are_enough_to_cross_the_room(kind):
    own = {"n_critics": 2, "learning_starts": 0, "gradient_steps": 1, "batch_size": 64}
    own |= {"ent_coef": "auto_0.1", "backup_entropy": False, "tau": 0.01, "buffer_size": 3000}
    own |= {"learning_rate": 1e-3, "policy_kwargs": {"net_arch": [64, 64], "shift": 2}}
    model = agent(kind, own, walks(20, seed=100)).learn(1500)
    env, reached = gym.make(TASK), 0
    for episode in range(10):
        seen, ended = env.reset(seed=1000 + episode)[0], False
        while not ended:
            action = model.predict(seen, deterministic=True)[0]
            seen, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        reached += info["is_success"]
    assert reached >= 8
