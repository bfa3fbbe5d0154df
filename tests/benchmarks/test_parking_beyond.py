"""The suite of real-world demands: what each column means, on answers known beforehand."""

import math

import numpy as np

from hybridrl.benchmarks import parking_beyond, runner
from hybridrl.benchmarks.parking import Episode
from hybridrl.benchmarks.parking_beyond import DEMANDS, DRIVEN, LONG, run_chunk
from hybridrl.benchmarks.rows_file import read_rows
from hybridrl.benchmarks.suites import get_suite
from hybridrl.envs.parking.config import make_config
from hybridrl.envs.parking.vehicles import STANDARD
from hybridrl.planners.path import Path, PlanResult
from hybridrl.planners.registry import PLANNERS
from hybridrl.planners.scenario import Scenario

SUITE = "parking-beyond"


class Short:
    """Stops 0.2 m before the goal: parked by overlap, not by pose."""

    def plan(self, scenario, budget=2.0, seed=0):
        way = math.dist(scenario.start[:2], scenario.goal[:2]) - 0.2
        return PlanResult(path=Path.from_arcs(scenario.start, [(0.0, way)]), seconds=0.5)


def request(tmp_path, **changes):
    options = {"tier": "smoke", "envs": "default", "agents": "hope-ppo"}
    return runner.make_request(SUITE, **{**options, **changes})


def test_every_column_and_row_of_the_suite_is_known():
    suite = get_suite(SUITE)
    assert suite.envs == tuple(DEMANDS)
    assert {*DRIVEN, LONG} <= {*suite.agents}
    assert {*suite.agents} - {*DRIVEN, LONG} <= {*PLANNERS}
    for demand in DEMANDS.values():
        make_config(demand.options)


def test_a_column_drives_its_own_scenes_and_vehicles():
    ranged = DEMANDS["vehicle-range"].scenes(2, 4)
    assert all(scene.vehicle in STANDARD for scene in ranged)
    assert ranged[0].vehicle != ranged[1].vehicle
    assert {scene.task for scene in DEMANDS["pull-out"].scenes(0, 3)} == {"out"}
    same = [DEMANDS[name].scenes(0, 2) for name in ("default", "pose", "rate-limits")]
    assert [s.id for s in same[0]] == [s.id for s in same[1]] == [s.id for s in same[2]]


def test_tuned_rows_exist_where_weights_do(tmp_path):
    (tmp_path / "pose").mkdir()
    asked = request(
        tmp_path, envs="default,pose", agents="hope-ppo,hope-ppo-tuned", tuned=str(tmp_path)
    )
    made = [(t.env, t.agent) for t in parking_beyond.trials(asked)]
    assert made == [("default", "hope-ppo"), ("pose", "hope-ppo"), ("pose", "hope-ppo-tuned")]
    bare = request(tmp_path, agents="hope-ppo-tuned")
    assert parking_beyond.trials(bare) == []


def test_a_path_that_ends_short_is_parked_by_overlap_and_not_by_pose(monkeypatch, tmp_path):
    scene = Scenario(start=(0.0, 0.0, 0.0), goal=(5.0, 0.0, 0.0))
    monkeypatch.setattr(parking_beyond, "_planner", lambda name: Short())
    monkeypatch.setattr(parking_beyond.Demand, "scenes", lambda self, first, last: [scene])
    clean = {}
    for env in ("default", "pose"):
        (trial,) = parking_beyond.trials(request(tmp_path, envs=env, agents="best-of"))
        run_chunk(trial, tmp_path)
        (episode,) = read_rows(tmp_path / "episodes.csv", Episode)
        clean[env] = episode.clean
        assert episode.found and episode.decisions == 4
    assert clean == {"default": True, "pose": False}


def test_rate_limits_charge_standing_starts_and_turning_wheels():
    scene = Scenario(start=(0.0, 0.0, 0.0), goal=(4.0, 0.0, 0.0))
    options = DEMANDS["rate-limits"].options
    straight = Path.from_arcs(scene.start, [(0.0, 4.0)])
    # 4 m at 1 m/s2 up and down: 4 s. A quarter of a metre there and back: 1 s each.
    assert parking_beyond._decisions(straight, scene, options) == 8
    turns = Path.from_arcs(scene.start, [(0.0, 0.25), (scene.vehicle.max_curvature, -0.25)])
    # The wheels take 0.75 rad / 0.5 rad/s = 1.5 s between the two.
    assert parking_beyond._decisions(turns, scene, options) == 2 + 3 + 2
    assert parking_beyond._decisions(turns, scene, DEMANDS["default"].options) == 2


def test_the_shipped_policy_is_driven_in_every_kind_of_column(tmp_path):
    asked = request(tmp_path, envs="default,vehicle-range,pull-out,lidar-noise")
    report = runner.run_suite(asked, tmp_path, engine="serial")
    assert not report.failed
    success = {row.env: row for row in report.rows if row.metric == "success"}
    assert set(success) == {*asked.envs}
    assert all(row.n == 1 and 0.0 <= row.value <= 1.0 for row in success.values())
    headline, costs = report.tables[-1], report.tables[-2]
    assert headline.columns[1:] == tuple(env.replace("-", " ") for env in asked.envs)
    assert costs.rows[0][0] == "hope-ppo"


def test_random_drives_obey_the_mask():
    rows = np.zeros(3, [("allowed", np.int8, (42,))])
    rows["allowed"][0, 5] = rows["allowed"][1, :] = 1
    logits = parking_beyond._Uniform().masked_logits(rows, 200)
    assert np.flatnonzero(np.isfinite(logits[0])).tolist() == [5]
    assert (logits[1] == 0.0).all()
