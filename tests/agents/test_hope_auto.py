"""Without a planner's name the policy plans what it knows and the search the rest."""

import json

import pytest

from hybridrl.agents.hope.auto import AutoPlanner
from hybridrl.benchmarks.planning import segments
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.planners.path_check import check_path
from hybridrl.planners.registry import make_planner
from hybridrl.planners.scenario import Scenario, save_scenarios
from hybridrl.planners.smoothing import cost_of
from hybridrl.planners.vehicle import VehicleSpec


@pytest.fixture(scope="module")
def scene():
    return fixed_scenes("normal-bay", 1, 7000)[0]


def of_another_vehicle(scene):
    shorter = VehicleSpec(wheelbase=2.7)
    return Scenario.from_json({**scene.to_json(), "vehicle": shorter.to_json()}, shorter)


def test_the_policy_plans_for_the_vehicle_it_knows(scene):
    planner = make_planner("auto")
    result = planner.plan(scene, budget=5.0)
    assert result.planner == "hope-ppo-16" and result.info["asked"] == ["hope-ppo-16"]
    assert check_path(result.path, scene).clean


def test_another_vehicle_or_a_distance_is_left_to_the_search(scene):
    other = of_another_vehicle(scene)
    for planner, asked in ((AutoPlanner(), other), (AutoPlanner(clearance=0.05), scene)):
        assert not planner.fits(asked)
        result = planner.plan(asked, budget=3.0)
        assert result.planner == "best-of" and result.info["asked"] == ["best-of"]
        assert result.success


def test_where_the_policy_finds_nothing_the_search_is_asked(scene, monkeypatch):
    planner = AutoPlanner()
    policy = planner._policy_planner(0.0)
    monkeypatch.setattr(policy, "_max_decisions", 1)
    monkeypatch.setattr(policy, "_simulators", {})
    hard = fixed_scenes("complex-parallel", 1, 3)[0]
    result = planner.plan(hard, budget=5.0)
    assert result.info["asked"] == ["hope-ppo-16", "best-of"]
    assert result.planner == "best-of"


def test_segments_add_up_to_the_path(scene):
    path = make_planner("auto").plan(scene, budget=5.0).path
    parts = segments(path, scene)
    assert len(parts) == len(path.lengths)
    assert sum(part["length"] for part in parts) == pytest.approx(path.length)
    assert min(part["clearance"] for part in parts) == pytest.approx(
        check_path(path, scene).clearance, abs=0.02
    )
    for part, length in zip(parts, path.lengths, strict=True):
        assert part["gear"] == ("forward" if length > 0 else "reverse")
        assert part["seconds"] >= part["length"] / scene.vehicle.max_speed - 1e-9


def test_the_command_says_who_planned(hybridrl, scene, tmp_path):
    save_scenarios(tmp_path / "lot.json", [scene])
    done = hybridrl("plan", "lot.json", "--json", "--budget", 5)
    assert done.exit_code == 0, done.output
    (answer,) = json.loads(done.stdout)
    assert answer["planner"] == "hope-ppo-16" and answer["segments"]
    assert "hope-ppo-16" in hybridrl("plan", "lot.json", "--budget", 5).stdout


def test_shortcuts_shorten_the_best_of_16_without_touching_anything():
    scenes = fixed_scenes("extreme-parallel", 4)
    plain, smooth = make_planner("hope-ppo-16"), make_planner("hope-ppo-16-smooth")
    for scene in scenes:
        before, after = plain.plan(scene, seed=1), smooth.plan(scene, seed=1)
        assert after.success and check_path(after.path, scene, spacing=0.01).clean
        assert cost_of(after.path) <= cost_of(before.path) + 1e-9
