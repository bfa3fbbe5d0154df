"""Several processes learn as one: equal steps, common outcomes, and none is left behind."""

import subprocess

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO
from hybridrl.agents.hope import learners as learners_module
from hybridrl.agents.hope.learners import remade
from hybridrl.agents.hope.update import UpdateRule, gradient_steps
from hybridrl.envs.parking.task import CLASS_NAMES
from hybridrl.planners.errors import ScenarioError

HARD = "hybridrl/Parking-Hard-v0"
MOTIONS = {"action_type": "discrete", "rs": "auto", "ego": True}


def model_of(workers=1, **options):
    env = make_vec(HARD, 4, 0, **{**MOTIONS, **options})
    settings = {"n_steps": 8, "batch_size": 32, "seed": 0, "device": "cpu"}
    return HopePPO(env=env, workers=workers, policy_kwargs={"net_arch": [16]}, **settings)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.policy.parameters()])


@pytest.fixture
def started(monkeypatch):
    """The processes that a test starts."""
    found, real = [], subprocess.Popen

    def start(*args, **kwargs):
        process = real(*args, **kwargs)
        if "hybridrl.agents.hope.worker" in args[0]:
            found.append(process)
        return process

    monkeypatch.setattr(learners_module.subprocess, "Popen", start)
    return found


def test_two_processes_count_their_samples_and_episodes_together(started):
    model = model_of(workers=2, max_decisions=4).learn(256)
    assert model.num_timesteps == 256  # 4 rollouts of 8 steps, 4 scenes, 2 processes
    assert [worker.returncode for worker in started] == [0]
    assert torch.isfinite(weights_of(model)).all()
    alone = model_of(max_decisions=4).learn(128)  # as many rollouts, half the samples
    assert alone.num_timesteps == 128
    counts = [int((m.scenes.record >= 0).sum()) for m in (model, alone)]
    assert counts[0] > 1.5 * counts[1]
    assert not torch.distributed.is_initialized()


def test_a_callback_that_stops_leaves_no_process_behind(started):
    model = model_of(workers=2)
    model.learn(10_000, callback=lambda *_: False)
    assert model.num_timesteps == 8
    assert len(started) == 1 and started[0].poll() is not None


def test_averaged_gradients_are_those_of_the_joint_batch():
    """Two halves of a batch, each normalised alike, step as the whole one."""
    whole, halves = model_of(), [model_of(), model_of()]
    whole.learn(32)
    buffer = whole.rollout_buffer
    rule = UpdateRule(1, 32, 0.2, 0.5, 0.01, 1e9, None)
    for half in halves:
        half.policy.load_state_dict(whole.policy.state_dict())
    rows = next(buffer.get(32))
    rows = rows._replace(advantages=torch.sign(rows.advantages))
    order = torch.argsort(rows.advantages)
    rows = type(rows)(*(column[order] for column in rows if column is not None))
    parts = [type(rows)(*(column[k::2] for column in rows if column is not None)) for k in (0, 1)]

    def gradient(policy, batch):
        kept = []

        class Given:
            def get(self, size):
                return [batch]

        def keep(tensors):
            kept.append([t.clone() for t in tensors[1:]])

        list(gradient_steps(policy, Given(), rule, keep))
        return torch.cat([t.flatten() for t in kept[0]])

    joint = gradient(whole.policy, rows)
    mean = sum(gradient(h.policy, part) for h, part in zip(halves, parts, strict=True)) / 2
    cosine = torch.nn.functional.cosine_similarity(joint, mean, dim=0)
    assert float(cosine) > 0.999


def test_outcomes_of_all_processes_enter_the_curriculum():
    model = model_of(workers=2)

    class Twice:
        def add_up(self, counts):
            counts *= 2

    model._group = Twice()
    infos = [{"label": 3, "is_success": True}, {"label": -1, "is_success": True}, {}]
    model._count_episodes(infos, np.array([True, True, False]))
    assert model.scenes.success(CLASS_NAMES[3]) == 0.0
    model._pool_outcomes()
    assert model.scenes.success(CLASS_NAMES[3]) == 1.0
    assert int((model.scenes.record >= 0).sum()) == 2
    model._pool_outcomes()
    assert int((model.scenes.record >= 0).sum()) == 2


def test_the_environment_is_made_again_from_its_id_and_keywords():
    env = make_vec(HARD, 3, 0, **MOTIONS, max_decisions=7)
    env_id, count, kwargs = remade(env)
    again = make_vec(env_id, count, 0, **kwargs)
    assert (env_id, count) == (HARD, 3)
    assert again.env.unwrapped.task.options == env.env.unwrapped.task.options


def test_what_cannot_be_shared_is_refused():
    import gymnasium as gym

    with pytest.raises(ScenarioError, match="make_vec"):
        remade(DummyVecEnv([lambda: gym.make(HARD, **MOTIONS)]))
    with pytest.raises(ScenarioError, match="make_vec"):
        remade(None)
    with pytest.raises(ScenarioError, match="workers"):
        model_of(workers=0)
