"""The planner that rolls copies of the simulator, and the student beside the real scenes."""

import numpy as np
import pytest
import torch

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.tell_drive.drawing import draw_attention, positions
from hybridrl.agents.tell_drive.guide import scenes_of
from hybridrl.agents.tell_drive.teachers.lookahead import DEPTH, plans
from hybridrl.agents.tell_drive.teachers.registry import make_teacher
from hybridrl.agents.tell_drive.tell_drive import TellDrive
from hybridrl.benchmarks.driving_drivers import untrained
from hybridrl.benchmarks.driving_rollouts import drive
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.envs.driving.scene import Scene
from hybridrl.planners.errors import ScenarioError

SETTINGS = {"observation": "dict", "expose_scene": True}


@pytest.fixture(scope="module")
def venv():
    env = make_vec("hybridrl/Driving-Merge-v0", 6, seed=3, **SETTINGS)
    env.reset()
    for _ in range(3):
        env.step(np.ones(6, np.int64))
    return env


def test_plans_begin_with_every_action_that_can_be_open():
    assert set(plans(True)[:, 0]) == set(range(5)) and plans(True).shape[1] == DEPTH
    assert {ACTIONS[a] for a in plans(False).ravel()} == {"IDLE", "FASTER", "SLOWER"}
    assert len(np.unique(plans(True), axis=0)) == len(plans(True))


def test_advice_is_a_function_of_the_scene_and_leaves_it_alone(venv):
    arrays = venv.get_attr("arrays")
    before = arrays[0].cars.copy(), arrays[0].rows.copy()
    teacher = make_teacher("lookahead", samples=1)
    rows = teacher.rows_in(arrays, np.arange(6))
    assert np.array_equal(rows, make_teacher("lookahead", samples=1).rows_in(arrays, np.arange(6)))
    assert np.array_equal(rows[[1, 4]], teacher.rows_in(arrays, np.array([1, 4])))
    for old, new in zip(before, (arrays[0].cars, arrays[0].rows), strict=True):
        for name in old.dtype.names:
            assert np.array_equal(old[name], new[name], equal_nan=old[name].dtype.kind == "f")
    closed = arrays[0].rows["mask"] == 0
    assert (rows[:, :5][closed] == 0).all() and rows[:, :5].sum(axis=1) == pytest.approx(np.ones(6))


def test_a_higher_temperature_says_less_about_small_differences(venv):
    arrays = venv.get_attr("arrays")
    cool, warm = (
        make_teacher("lookahead", samples=1, temperature=t).rows_in(arrays, np.arange(6))
        for t in (0.1, 1.0)
    )
    assert np.array_equal(cool[:, :5].argmax(axis=1), warm[:, :5].argmax(axis=1))
    assert (warm[:, 5] < cool[:, 5] + 1e-6).all() and (warm[:, 5] < cool[:, 5] - 0.01).any()
    with pytest.raises(ScenarioError, match="temperature"):
        make_teacher("lookahead", temperature=0.0)


def test_scenes_apart_or_together_get_the_same_advice(venv):
    arrays = venv.get_attr("arrays")
    teacher = make_teacher("lookahead", samples=1)
    worth = teacher.worth(arrays[0], np.arange(6))
    alone = np.concatenate([teacher.worth(arrays[0], np.array([i])) for i in range(6)])
    assert np.allclose(worth, alone, equal_nan=True)
    assert len(teacher.rows_in(arrays, np.array([], np.int64))) == 0


@pytest.mark.slow
def test_it_drives_better_than_chance_where_chance_crashes():
    seeds = range(20_000, 20_010)
    planned = drive(untrained("lookahead", "merge", 0), "merge", seeds)
    chance = drive(untrained("random", "merge", 0), "merge", seeds)
    good, bad = (sum(e.outcome == "success" for e in done) for done in (planned, chance))
    assert good >= 8 and bad <= 5


def test_a_scene_alone_is_not_enough_for_it(venv):
    (said,) = make_teacher("lookahead").advise([Scene.from_vector(scenes_of(venv)[0])])
    assert not said.valid and "simulator" in said.reason
    with pytest.raises(ScenarioError, match="samples"):
        make_teacher("lookahead", samples=0)
    with pytest.raises(ScenarioError, match="rate"):
        make_teacher("lookahead", rate=0)


def test_copies_move_as_the_environment_does_unless_told_otherwise(venv):
    arrays = venv.get_attr("arrays")[0]
    own, same, coarse = (
        make_teacher("lookahead", samples=1, rate=rate).worth(arrays, np.arange(6))
        for rate in (None, 15, 3)
    )
    assert np.array_equal(own, same) and not np.array_equal(own, coarse)


def test_the_student_is_guided_in_real_scenes_and_its_attention_can_be_drawn(venv):
    settings = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "device": "cpu"}
    guidance = {"until": 1.0, "share": 0.5, "risk": 0.5}
    model = TellDrive(env=venv, teacher="forecast", guidance=guidance, seed=0, **settings)
    model.learn(96)
    advice = model.rollout_buffer.observations["advice"]
    assert 0.2 < (advice[..., 7] > 0).mean() <= 1.0
    arrays = venv.get_attr("arrays")[0]
    seen = {key: value[0] for key, value in arrays.observations().items()}
    weights = model.attention_weights(seen)
    assert weights.shape == (2, 10)
    picture = draw_attention(arrays, 0, weights)
    assert picture.shape[2] == 3 and picture.dtype == np.uint8
    plain = draw_attention(arrays, 0, np.zeros((0, 10)))
    assert (picture != plain).any()
    ego = arrays.cars[0][int(arrays.rows[0]["ego"])]
    assert positions(arrays, 0)[0] == pytest.approx([float(ego["x"]), float(ego["y"])])


def test_a_student_that_sees_the_clock_ships_with_it(tmp_path):
    from hybridrl.agents.tell_drive.weights import load_policy

    env = make_vec("hybridrl/Driving-Merge-v0", 3, seed=0, clock=True, **SETTINGS)
    model = TellDrive(env=env, n_steps=8, batch_size=24, n_epochs=1, seed=0, device="cpu")
    model.learn(24)
    model.save_weights(tmp_path)
    alone = load_policy(tmp_path)
    obs, _ = alone.obs_to_tensor(env.reset())
    values = alone.predict_values(obs)
    assert torch.equal(values, model.policy.predict_values(obs))
    obs["clock"] = obs["clock"] - 0.5
    assert not torch.allclose(values, alone.predict_values(obs))
    blind = make_vec("hybridrl/Driving-Merge-v0", 1, seed=0, **SETTINGS)
    with pytest.raises(ScenarioError, match="clock"):
        TellDrive(env=blind, seed=0, device="cpu").load_weights(tmp_path)


def test_scenes_are_made_while_somebody_is_asked_and_not_after():
    env = make_vec("hybridrl/Driving-Merge-v0", 2, seed=0, **SETTINGS)
    settings = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "device": "cpu", "seed": 0}
    TellDrive(env=env, teacher="rule", guidance={"until": 1.0}, **settings).learn(32)
    assert env.get_attr("arrays")[0].told
    TellDrive(env=env, teacher="rule", guidance={"until": 0.5}, **settings).learn(32)
    assert not env.get_attr("arrays")[0].told
    TellDrive(env=env, teacher="rule", guidance={"until": 1.0}, **settings).learn(16)
    assert env.get_attr("arrays")[0].told


@pytest.mark.parametrize("teacher", ["forecast", "lookahead"])
def test_a_training_that_was_interrupted_goes_on_bit_for_bit(tmp_path, teacher):
    from hybridrl.agents.common.training_state import load_training_state

    settings = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "device": "cpu"}

    def made():
        env = make_vec("hybridrl/Driving-Merge-v0", 2, seed=0, **SETTINGS)
        guidance = {"until": 1.0, "share": 0.5}
        return TellDrive(env=env, teacher=teacher, guidance=guidance, seed=0, **settings)

    whole = made()
    whole.learn(96)
    made().learn(96, callback=_saves_at(48, tmp_path))
    other = made()
    meta = load_training_state(other, tmp_path)
    other.learn(48, reset_num_timesteps=False)
    for a, b in zip(whole.policy.parameters(), other.policy.parameters(), strict=True):
        assert np.array_equal(a.detach().numpy(), b.detach().numpy()) == meta["exact"]


def _saves_at(step, folder):
    from stable_baselines3.common.callbacks import BaseCallback

    from hybridrl.agents.common.training_state import save_training_state

    class Saves(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_start(self):
            if self.num_timesteps == step:
                save_training_state(self.model, folder)

    return Saves()
