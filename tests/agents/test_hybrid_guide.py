"""A guide that begins every episode (JSRL)."""

import gymnasium as gym
import numpy as np
import pytest

from hybridrl.agents import RLPD
from hybridrl.agents.common.guide import WINDOW, Guide, predictor
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.training_state import load_training_state, save_training_state
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SMALL = {"policy_kwargs": {"net_arch": [8]}, "batch_size": 8, "device": "cpu", "seed": 0}


class Always:
    """Pulls with 1.5, which is 0.75 in [-1, 1]."""

    def predict(self, observations, deterministic=False):
        return np.full((len(observations), 1), 1.5, np.float32), None


class Short(gym.wrappers.TimeLimit):
    def __init__(self):
        super().__init__(gym.make("Pendulum-v1"), 10)


def test_it_acts_for_the_first_steps_of_an_episode():
    options = {"horizon": 4, "stages": 1000}
    model = HybridSAC("MlpPolicy", Short(), guide=Always(), guide_options=options, **SMALL)
    model.learn(30)
    actions = model.replay_buffer.actions[:30, 0, 0].reshape(3, 10)
    assert (actions[:, :4] == 0.75).all() and not (actions[:, 4:] == 0.75).any()


def test_a_curriculum_shrinks_while_returns_hold():
    guide = Guide(Always(), horizon=10, stages=5, tolerance=0.1)
    guide.begin(1)
    reach = [guide.reach]
    for value in [1.0] * WINDOW + [1.0] * WINDOW + [0.5] * WINDOW:
        guide.observe(np.array([value]), np.array([True]))
        reach.append(guide.reach)
    assert reach[WINDOW - 1] == 10 and reach[WINDOW] == 8  # after the first full window
    assert reach[-1] == 6  # the worse episodes stopped it
    for _ in range(20 * WINDOW):
        guide.observe(np.array([2.0]), np.array([True]))
    assert guide.reach == 0 and not guide.acting().any()


def test_a_random_guide_leaves_at_any_step():
    guide = Guide(Always(), horizon=3, mode="random", seed=0)
    guide.begin(200)
    assert set(guide.limits.tolist()) == {0, 1, 2, 3}
    guide.observe(np.zeros(200), np.zeros(200, bool))
    assert (guide.acting() == (guide.limits > 1)).all()


def test_its_state_travels():
    first, second = (Guide(Always(), horizon=5, mode="random", seed=s) for s in (0, 1))
    first.begin(3)
    first.observe(np.ones(3), np.array([True, False, False]))
    second.import_state(first.export_state())
    for guide in (first, second):
        guide.observe(np.ones(3), np.array([True, True, True]))
    assert (first.limits == second.limits).all() and (second.steps == 0).all()
    assert list(first.returns) == list(second.returns)


def test_a_resumed_training_has_the_guide_where_it_was(tmp_path):
    def build():
        options = {"horizon": 4, "mode": "random"}
        return HybridSAC("MlpPolicy", Short(), guide=Always(), guide_options=options, **SMALL)

    whole = build().learn(25).learn(20, reset_num_timesteps=False)
    first = build().learn(25)
    save_training_state(first, tmp_path)
    second = build()
    load_training_state(second, tmp_path)
    second.learn(20, reset_num_timesteps=False)
    rows = [model.replay_buffer.actions[:45] for model in (whole, second)]
    assert np.array_equal(*rows)


def test_shipped_policies_guide_by_name():
    act = predictor("pendulum/medium")
    assert act(np.zeros((2, 3), np.float32)).shape == (2, 1)
    model = RLPD("MlpPolicy", "hybridrl/Gap-Pendulum-GravityX2-Real-v0", guide="pendulum/expert",
                 n_critics=2, learning_starts=5, gradient_steps=1, **SMALL)  # fmt: skip
    model.learn(20)
    assert model._guide is not None and model._guide.steps.tolist() == [20]


def test_it_is_not_saved_with_the_model(tmp_path):
    model = HybridSAC("MlpPolicy", Short(), guide=Always(), **SMALL)
    model.save(tmp_path / "model.zip")
    loaded = HybridSAC.load(tmp_path / "model.zip")
    assert getattr(loaded, "guide", None) is None


def test_bad_guides_are_refused():
    with pytest.raises(UnknownNameError, match="guide mode"):
        Guide(Always(), mode="often")
    with pytest.raises(ScenarioError, match="horizon"):
        Guide(Always(), horizon=0)
    with pytest.raises(ScenarioError, match="guide"):
        Guide(3)
    with pytest.raises(ScenarioError, match="shipped"):
        Guide("teapot/medium")
