"""Roll-outs as planners."""

import subprocess
import sys

import pytest

from hybridrl.envs.parking.rollouts import RandomRollouts, RandomRollouts64
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.planners.path_check import check_path


@pytest.mark.parametrize("name", ["normal-bay", "complex-parallel", "lot"])
def test_the_best_of_64_parks_and_its_path_touches_nothing(name):
    scene = fixed_scene(name, 0)
    result = RandomRollouts64().plan(scene, budget=10.0)
    assert result.success
    assert check_path(result.path, scene).clean


def test_equal_seeds_give_equal_paths_and_the_planner_can_be_used_again():
    planner, scene = RandomRollouts(8), fixed_scene("normal-bay", 1)
    first = planner.plan(scene, seed=3)
    planner.plan(fixed_scene("complex-bay", 1), seed=1)
    assert planner.plan(scene, seed=3).to_json()["path"] == first.to_json()["path"]


def test_a_spent_budget_ends_the_roll_outs():
    result = RandomRollouts(64).plan(fixed_scene("ultra-parallel", 0), budget=0.0)
    assert not result.success
    assert result.expansions == 0


def test_compiling_does_not_use_up_the_budget(tmp_path):
    code = (
        "from hybridrl.envs.parking.rollouts import RandomRollouts64 as R;"
        "from hybridrl.envs.parking.scenes import fixed_scene as f;"
        "r = R().plan(f('normal-bay', 0), budget=5.0); assert r.success; assert r.seconds < 5"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=tmp_path, timeout=300)
