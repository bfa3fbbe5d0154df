"""The students that ship drive as well as their descriptions say."""

import numpy as np
import pytest

from hybridrl.agents.tell_drive.weights import SHIPPED, read_description, shipped, shipped_policy
from hybridrl.benchmarks.driving_drivers import untrained
from hybridrl.benchmarks.driving_rollouts import SELECTION_SEED, drive
from hybridrl.envs.driving.names import NATIVE_ACTIONS, SCENARIOS
from hybridrl.planners.errors import ScenarioError

SCENES = [name for name in SCENARIOS if (SHIPPED / name).is_dir()]
EPISODES = {"highway": 20}  # dear ones; others 60


@pytest.mark.parametrize("scenario", SCENES)
def test_a_shipped_student_drives_as_well_as_it_did(scenario):
    """Within three standard errors of the success on 500 other episodes that was noted down."""
    noted = read_description(shipped(scenario))["selection_success"]
    count = EPISODES.get(scenario, 60)
    seeds = range(SELECTION_SEED, SELECTION_SEED + count)
    driven = drive(untrained("shipped", scenario, 0), scenario, seeds)
    success = np.mean([e.outcome == "success" for e in driven])
    assert success > noted - 3.0 * np.sqrt(max(noted * (1.0 - noted), 0.02) / count)


@pytest.mark.parametrize("scenario", SCENES)
def test_it_is_small_and_takes_only_open_actions(scenario):
    policy = shipped_policy(scenario)
    assert policy.action_space.n == len(NATIVE_ACTIONS[scenario])
    assert sum(file.stat().st_size for file in shipped(scenario).iterdir()) < 5e6
    policy.observation_space.seed(0)
    for _ in range(20):
        seen = policy.observation_space.sample()
        seen["action_mask"][1] = 1
        assert seen["action_mask"][policy.predict(seen, deterministic=True)[0]]


def test_a_scene_without_one_is_refused():
    with pytest.raises(ScenarioError, match="shipped weights"):
        shipped("motorway")
