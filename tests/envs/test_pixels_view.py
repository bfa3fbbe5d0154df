"""Pictures instead of observations."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import hybridrl  # noqa: F401
from hybridrl.envs.pixels import PixelView
from hybridrl.planners.errors import ScenarioError

TASK = "hybridrl/SparsePoint-Pixels-v0"


def test_gymnasiums_checker_passes():
    check_env(gym.make(TASK, frames=2).unwrapped, skip_render_check=True)


def test_a_picture_is_the_average_of_squares_of_what_is_drawn():
    env = gym.make(TASK, size=24)
    seen, _ = env.reset(seed=0)
    drawn = env.render().reshape(24, 10, 24, 10, 3)
    assert seen.shape == (24, 24, 3) and seen.dtype == np.uint8
    assert np.array_equal(seen, drawn.mean(axis=(1, 3)).astype(np.uint8))


def test_the_newest_frames_stand_side_by_side_and_a_reset_forgets_them():
    env, plain = gym.make(TASK, frames=3), gym.make(TASK)
    first, seen = plain.reset(seed=0)[0], env.reset(seed=0)[0]
    assert np.array_equal(seen, np.concatenate([first] * 3, axis=-1))
    step = np.array([1.0, 0.5], np.float32)
    pictures = [first] * 2
    for _ in range(4):
        pictures.append(plain.step(step)[0])
        seen = env.step(step)[0]
        assert np.array_equal(seen, np.concatenate(pictures[-3:], axis=-1))
    fresh = plain.reset(seed=1)[0]
    assert np.array_equal(env.reset(seed=1)[0], np.concatenate([fresh] * 3, axis=-1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 11}, "from 12"),
        ({"frames": 0}, "from 1"),
        ({"size": 23}, "a divisor of 240"),
        ({"render_mode": "human"}, "None or rgb_array"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ScenarioError, match=message):
        gym.make(TASK, disable_env_checker=True, **options).reset(seed=0)


def test_an_environment_that_does_not_draw_is_refused():
    with pytest.raises(ScenarioError, match="render_mode"):
        PixelView(gym.make("hybridrl/SparsePoint-v0"))
