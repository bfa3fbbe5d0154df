"""A stacked training that is stopped and goes on."""

from functools import partial

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hybridrl.agents.common.stack_state import load_stack, save_stack
from hybridrl.agents.h2o.stacked import StackedH2O
from hybridrl.agents.moorl.stacked import Method, StackedHybrid
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.gap.env import GapEnv
from hybridrl.envs.gap.pendulum import GapPendulumVectorEnv
from hybridrl.envs.sparse.point import SparsePointVectorEnv
from hybridrl.planners.errors import ScenarioError

ROBOT = partial(GapEnv, robot="halfcheetah", time_limit=8, gravity=2.0)


def data(obs_dim, action_dim, rows=40):
    rng = np.random.default_rng(0)
    return OfflineDataset(
        observations=rng.uniform(-1, 1, (rows, obs_dim)),
        actions=rng.uniform(-1, 1, (rows, action_dim)),
        rewards=rng.normal(size=rows),
        next_observations=rng.uniform(-1, 1, (rows, obs_dim)),
        terminations=np.zeros(rows, bool),
        truncations=np.arange(rows) % 20 == 19,
    )


def hybrid():
    methods = {"moorl": Method("meta", inner_steps=2, meta_step=0.5), "sac": Method("none")}
    sizes = {"net_arch": (8,), "batch_size": 8, "random_steps": 4, "steps": 40, "n_seeds": 2}
    return StackedHybrid(methods, SparsePointVectorEnv(4), data(2, 2), seed=1, **sizes)


def h2o(env, obs_dim, action_dim):
    return StackedH2O(
        ["h2o", "sac-sim"],
        env(4),
        data(obs_dim, action_dim),
        n_seeds=2,
        net_arch=(8,),
        batch_size=8,
        disc_batch_size=4,
        learning_starts=4,
        capacity=30,
    )


def robots(count):
    return SyncVectorEnv([ROBOT] * count, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize(
    "make",
    [
        hybrid,
        partial(h2o, partial(GapPendulumVectorEnv, gain=2.0), 3, 1),
        partial(h2o, robots, 17, 6),
    ],
    ids=["hybrid", "pendulum", "robot"],
)
def test_a_stack_goes_on_as_if_it_had_never_stopped(tmp_path, make):
    whole = make().learn(12).learn(12)  # each seeds torch's one generator
    save_stack(make().learn(12), tmp_path)
    again = make()
    assert load_stack(again, tmp_path)
    again.learn(12)
    assert again.steps == whole.steps and again.updates == whole.updates > 0
    for left, right in zip(
        whole.sac.critic.parameters(), again.sac.critic.parameters(), strict=True
    ):
        assert torch.equal(left, right)
    assert np.array_equal(whole.last_obs, again.last_obs)


def test_without_a_state_a_stack_begins_afresh_and_an_older_state_is_replaced(tmp_path):
    stack = hybrid()
    assert not load_stack(stack, tmp_path / "none")
    for _ in range(2):
        save_stack(stack.learn(6), tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["000000012"]


def test_a_state_of_another_stack_is_refused(tmp_path):
    save_stack(hybrid().learn(6), tmp_path)
    with pytest.raises(ScenarioError, match="a state of this very stack"):
        load_stack(h2o(robots, 17, 6), tmp_path)


def test_code_in_a_state_is_not_run(tmp_path):
    save_stack(hybrid().learn(6), tmp_path)
    file = tmp_path / "000000006" / "parameters.pth"
    torch.save({"actor": Trap(tmp_path / "run")}, file)
    with pytest.raises(ScenarioError):
        load_stack(hybrid(), tmp_path)
    assert not (tmp_path / "run").exists()


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return type(self.file).touch, (self.file,)
