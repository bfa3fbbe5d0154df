"""Many seeds of MOORL and its rivals in one stack."""

import numpy as np
import pytest
import torch

from hybridrl.agents.moorl.stacked import Method, StackedHybrid
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.sparse.point import SparsePointVectorEnv
from hybridrl.planners.errors import ScenarioError

SIZES = {"net_arch": (8,), "batch_size": 8, "random_steps": 6, "steps": 40, "gradient_steps": 2}


def data(seed=0, rows=60):
    rng = np.random.default_rng(seed)
    return OfflineDataset(
        observations=rng.uniform(-1, 1, (rows, 2)),
        actions=rng.uniform(-1, 1, (rows, 2)),
        rewards=np.full(rows, 7.0),  # marks offline rows
        next_observations=rng.uniform(-1, 1, (rows, 2)),
        terminations=np.zeros(rows, bool),
        truncations=np.arange(rows) % 20 == 19,
    )


def stack(methods, n_seeds=2, **kwargs):
    env = SparsePointVectorEnv(len(methods) * n_seeds)
    return StackedHybrid(methods, env, data(), n_seeds, seed=1, **{**SIZES, **kwargs})


def parameters(model):
    return [t.detach().clone() for t in model._fast]


def test_batches_hold_the_rows_that_a_method_asks_for():
    model = stack(
        {
            "sac": Method("none"),
            "half": Method("half"),
            "uniform": Method("uniform"),
            "p1": Method("meta", offline_prob=1.0),
            "alternate": Method("meta", alternate=True),
        }
    ).learn(20)
    counts = model.offline_counts()
    assert counts.tolist() == [0, 0, 4, 4, 6, 6, 8, 8, 8, 8]  # 60 of 80 rows are offline
    rows = model.replay.sample_mixed(counts, 8)
    marked = (rows[..., model.replay.layout.reward] == 7.0).sum(dim=1)
    assert marked.tolist() == counts.tolist()
    model.update()
    assert model.offline_counts()[-2:].tolist() == [0, 0]


def test_a_whole_meta_step_is_none():
    left = stack({"half": Method("half", 1, 1.0)}).learn(20)
    right = stack({"half": Method("half", 4, 1.0)}).learn(20)
    assert all(torch.equal(a, b) for a, b in zip(left._fast, right._fast, strict=True))


def test_only_problems_whose_steps_are_over_move_back():
    model = stack({"k2": Method("half", 2, 0.5), "k3": Method("half", 3, 0.5)}, 1)
    start = parameters(model)
    with torch.no_grad():
        for tensor in model._fast:
            tensor.add_(1.0)
    model.updates = 2
    model._meta_steps()
    for before, fast in zip(start, model._fast, strict=True):
        first, second = (fast - before).detach().reshape(2, -1)
        torch.testing.assert_close(first, torch.full_like(first, 0.5))
        torch.testing.assert_close(second, torch.ones_like(second))


def test_an_annealed_step_falls_with_the_steps_of_the_environment():
    model = stack({"anneal": Method("half", 1, 1.0, 0.5)}, 1)
    start = parameters(model)
    with torch.no_grad():
        for tensor in model._fast:
            tensor.add_(1.0)
    model.updates, model.steps = 1, 20  # half-way
    model._meta_steps()
    torch.testing.assert_close(model._fast[0] - start[0], torch.full_like(start[0], 0.75))


def test_seeds_of_a_method_are_different_and_repeatable():
    first, again = (stack({"moorl": Method()}).learn(20) for _ in range(2))
    left, right = first.sac.actor.net.head.weight
    assert not torch.equal(left, right)
    assert torch.equal(again.sac.actor.net.head.weight, first.sac.actor.net.head.weight)


def test_evaluation_gives_a_row_of_episodes_a_seed():
    model = stack({"sac": Method("none"), "moorl": Method()})
    grids = model.evaluate(SparsePointVectorEnv, 3, seed=5)
    assert set(grids) == {"sac", "moorl"} and grids["sac"].shape == (2, 3)
    assert set(np.unique(np.concatenate(list(grids.values())))) <= {0.0, 1.0}


def test_normalised_critics_and_subsets_train_too():
    options = {"n_critics": 3, "n_target_critics": 2, "layer_norm": True, "mean_of_critics": True}
    model = stack({"rlpd": Method("half")}, **options).learn(12)
    assert model.updates and all(torch.isfinite(t).all() for t in model._fast)


def test_wrong_numbers_of_rows_and_datasets_are_refused():
    with pytest.raises(ScenarioError, match="methods times seeds"):
        StackedHybrid({"sac": Method("none")}, SparsePointVectorEnv(3), data(), 2, **SIZES)
    with pytest.raises(ScenarioError, match="datasets"):
        StackedHybrid({"sac": Method("none")}, SparsePointVectorEnv(3), [data()] * 2, 3, **SIZES)
