"""Scaled steps: inside what is free, invertible, and with the density that calculus gives them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.agents.hope.step_scaling import FLOOR, free_share, scale_step, unscale_step
from hybridrl.envs.parking.kernels.records import ACTION_SPEED, ACTION_STEER


def masks_of(count, seed=0):
    drawn = np.random.default_rng(seed).random((count, 42))
    drawn[drawn < 0.2] = 0.0
    return torch.from_numpy(drawn)


def test_at_the_motions_themselves_the_share_is_the_mask():
    mask = masks_of(1)
    steer, forward = torch.from_numpy(ACTION_STEER), torch.from_numpy(ACTION_SPEED > 0)
    shares = free_share(mask.expand(42, -1), steer, forward)
    assert torch.allclose(shares, mask[0].clamp(min=FLOOR), atol=1e-12)


@given(st.floats(-1, 1), st.booleans(), st.integers(0, 9))
def test_between_the_motions_it_is_their_interpolation(steer, forward, seed):
    mask = masks_of(1, seed)
    first = 0 if forward else 21
    expected = np.interp(-steer, -ACTION_STEER[:21], mask[0, first : first + 21].numpy())
    found = free_share(mask, torch.tensor([steer], dtype=torch.float64), torch.tensor([forward]))
    assert float(found) == pytest.approx(max(expected, FLOOR), abs=1e-9)


def test_no_step_is_longer_than_what_is_free():
    masks = masks_of(500)
    actions, _ = scale_step(4.0 * torch.randn(500, 2, dtype=torch.float64), masks)
    shares = free_share(masks, actions[:, 0], actions[:, 1] >= 0)
    assert (actions[:, 0].abs() <= 1).all()
    assert (actions[:, 1].abs() <= shares + 1e-12).all()


def test_log_determinant_is_that_of_the_numerical_jacobian():
    torch.manual_seed(0)
    masks, z = masks_of(60), torch.randn(60, 2, dtype=torch.float64)
    _, log_det = scale_step(z, masks)
    h = 1e-6
    for i in range(60):
        columns = []
        for axis in range(2):
            step = torch.zeros(1, 2, dtype=torch.float64)
            step[0, axis] = h
            ends = [scale_step(z[i : i + 1] + s * step, masks[i : i + 1])[0] for s in (1, -1)]
            columns.append((ends[0] - ends[1])[0] / (2 * h))
        expected = torch.stack(columns, dim=1).det().abs().log()
        assert float(log_det[i]) == pytest.approx(float(expected), abs=2e-4)


def test_densities_integrate_to_one_over_the_actions():
    """Monte-Carlo free: the exact log-density on a fine grid of actions, summed."""
    mask = masks_of(1, 3)
    mask[mask < 0.3] = 0.3  # so that a grid resolves every step
    edges = torch.linspace(-1, 1, 801, dtype=torch.float64)
    centre = (edges[1:] + edges[:-1]) / 2
    steer, step = torch.meshgrid(centre, centre, indexing="ij")
    actions = torch.stack([steer.flatten(), step.flatten()], dim=1)
    masks = mask.expand(len(actions), -1)
    inside = actions[:, 1].abs() < free_share(masks, actions[:, 0], actions[:, 1] >= 0)
    z = unscale_step(actions, masks)
    _, log_det = scale_step(z, masks)
    gaussian = -0.5 * z.square().sum(dim=1) - np.log(2 * np.pi)
    total = (gaussian - log_det).exp()[inside].sum() * (2 / 800) ** 2
    assert float(total) == pytest.approx(1.0, abs=0.01)


def test_unscaling_undoes_scaling():
    torch.manual_seed(1)
    masks, z = masks_of(200), torch.randn(200, 2, dtype=torch.float64)
    actions, _ = scale_step(z, masks)
    assert torch.allclose(unscale_step(actions, masks), z, atol=1e-6)
    out_of_range = torch.tensor([[1.0, -1.0], [2.0, 5.0]], dtype=torch.float64)
    assert torch.isfinite(unscale_step(out_of_range, masks[:2])).all()


def test_gradients_reach_both_numbers_through_the_mask():
    masks, z = masks_of(8), torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    actions, log_det = scale_step(z, masks)
    (actions.sum() + log_det.sum()).backward()
    assert torch.isfinite(z.grad).all() and (z.grad != 0).all()


def test_where_nothing_is_free_numbers_stay_finite():
    masks = torch.zeros(5, 42)
    actions, log_det = scale_step(20.0 * torch.randn(5, 2), masks)
    assert (actions[:, 1].abs() <= FLOOR).all()
    assert torch.isfinite(log_det).all()
