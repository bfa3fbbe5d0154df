"""What the student is shown of the others: the relative view, by geometry done another way."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from hybridrl.agents.tell_drive.network import RELATIVE, EgoAttentionExtractor, relative
from hybridrl.planners.errors import UnknownNameError


def _cars(rng, count):
    """Rows in the world frame, well inside their bounds."""
    rows = rng.uniform(-0.4, 0.4, (3, count, 7)).astype(np.float32)
    angle = rng.uniform(-3, 3, (3, count))
    rows[..., 0], rows[..., 5], rows[..., 6] = 1.0, np.cos(angle), np.sin(angle)
    return torch.from_numpy(rows)


def test_the_relative_view_does_not_depend_on_where_the_world_begins(rng):
    rows = _cars(rng, 5)
    turned, c, s = rows.clone(), np.cos(1.1), np.sin(1.1)
    for x in (1, 3, 5):
        turned[..., x] = c * rows[..., x] - s * rows[..., x + 1]
        turned[..., x + 1] = s * rows[..., x] + c * rows[..., x + 1]
    turned[..., 1] += 0.2
    turned[..., 2] -= 0.1
    seen = relative(rows, "world")
    assert seen.shape == (3, 4, RELATIVE)
    assert torch.allclose(relative(turned, "world"), seen, atol=1e-4)


def test_the_closest_approach_is_where_a_search_finds_it(rng):
    rows = _cars(rng, 4)
    seen = relative(rows, "world").numpy()
    metres = (rows[:, 1:, 1:5] - rows[:, :1, 1:5]).numpy() * [100.0, 100.0, 20.0, 20.0]
    times = np.linspace(0.0, 8.0, 4001)
    places = metres[..., None, :2] + metres[..., None, 2:] * times[:, None]
    far = np.hypot(places[..., 0], places[..., 1])
    assert seen[..., 8] * 10.0 == pytest.approx(np.minimum(far.min(axis=-1), 40.0), abs=0.05)
    assert seen[..., 7] * 4.0 == pytest.approx(times[far.argmin(axis=-1)], abs=0.01)


def test_both_frames_tell_the_same_of_a_straight_road(rng):
    world = _cars(rng, 4)
    world[:, 0, 5], world[:, 0, 6] = 1.0, 0.0
    own = world.clone()
    own[:, 1:, 1:5] -= world[:, :1, 1:5]
    own[..., 2] *= 100.0 / 16.0
    own[..., 4] *= 20.0 / 10.0
    assert torch.allclose(relative(own, "ego"), relative(world, "world"), atol=1e-4)


def test_absent_cars_weigh_nothing_in_a_relative_view_either(rng):
    space = gym.spaces.Box(-1.0, 1.0, (5, 7), np.float32)
    for encoder in ("attention", "flat"):
        view = EgoAttentionExtractor(space, width=16, view="world", encoder=encoder).eval()
        rows = _cars(rng, 5)
        rows[0, 2] = 0.0
        rows[1, 1:] = 0.0
        assert torch.isfinite(view(rows)).all()
        if encoder == "attention":
            assert torch.allclose(view(rows), view(rows[:, [0, 4, 3, 2, 1]]), atol=1e-5)
            assert (view.weights(rows)[0, :, 2] == 0).all()
    with pytest.raises(UnknownNameError, match="view"):
        EgoAttentionExtractor(space, view="above")
