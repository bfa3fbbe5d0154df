"""The compiled roll-out says what torch, the observation and the exact path check say."""

import numpy as np
import pytest

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePlanner, HopePPO
from hybridrl.agents.hope.compiled import simulator_features
from hybridrl.agents.hope.features import feature_rows
from hybridrl.agents.hope.forward import BLOCK
from hybridrl.agents.hope.planner import _clean
from hybridrl.agents.hope.weights import network_of
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.envs.parking.vector_env import ParkingVectorEnv
from hybridrl.planners.path import Path
from hybridrl.planners.path_check import check_path


@pytest.mark.parametrize("policy", ["MultiInputPolicy", "TokenPolicy"])
@pytest.mark.parametrize("ego", [True, False])
def test_rows_score_alike_alone_and_together(policy, ego):
    keywords = {"action_type": "discrete", "rs": "auto", "ego": ego}
    env = make_vec("hybridrl/Parking-Hard-v0", 2, 0, **keywords)
    settings = {"n_steps": 8, "batch_size": 16, "normalize": True, "device": "cpu"}
    network = network_of(HopePPO(policy, env, seed=0, **settings).learn(32))
    scenes = ParkingVectorEnv(2 * BLOCK + 1, level="hard", **keywords)
    scenes.reset(seed=0)
    scenes.step(scenes.action_masks().argmax(axis=1))
    rows = scenes.task.rows
    expected = network.masked_logits(rows, 200)
    assert not np.isfinite(expected).all()
    for i in range(len(rows)):
        found = network.masked_logits(rows[i : i + 1], 200)
        allowed = np.isfinite(expected[i])
        assert (np.isfinite(found[0]) == allowed).all()
        assert np.allclose(found[0, allowed], expected[i, allowed], atol=2e-4)


def test_features_of_the_simulator_are_those_of_observations():
    keywords = {"action_type": "discrete", "rs": "auto", "ego": True, "vehicles": "range"}
    scenes = ParkingVectorEnv(9, level="hard", **keywords)
    scenes.reset(seed=0)
    seen, *_ = scenes.step(scenes.action_masks().argmax(axis=1))
    masked = seen | {"action_mask": seen["action_mask"] * scenes.action_masks()}
    expected = feature_rows(masked, np)
    found = simulator_features(scenes.task.rows, 200, expected.shape[1], True, True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_clean_drive_is_what_the_path_check_calls_clean():
    planner = HopePlanner(4)
    seen = set()
    for scene in fixed_scenes("complex-parallel", 6):
        path = planner.plan(scene, budget=20.0).path
        if path is None:
            continue
        bent = [(k, 1.3 * s) for k, s in zip(path.curvatures, path.lengths, strict=True)]
        short = list(zip(path.curvatures[:-1], path.lengths[:-1], strict=True))
        for other in (path, Path.from_arcs(path.start, bent), Path.from_arcs(path.start, short)):
            clean = check_path(other, scene).clean
            assert _clean(other, scene) == clean
            seen.add(clean)
    assert seen == {True, False}
