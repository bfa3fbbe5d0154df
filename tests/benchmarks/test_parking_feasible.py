"""What can be known of a scene: stuck, solved or not solved by anything."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridrl.benchmarks import parking_feasible
from hybridrl.benchmarks.metrics import wilson
from hybridrl.benchmarks.parking_feasible import Verdict, judge, start_freedom, summary, survey
from hybridrl.cli import app
from hybridrl.envs.parking.scenes import fixed_scene
from hybridrl.planners.path import PlanResult
from hybridrl.planners.scenario import Scenario


def box(xmin, xmax, ymin, ymax):
    return np.array([(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)], float)


def walls(x, y, gap, thick=0.2):
    """Four walls around the default car with its axle at ``(x, y)``, heading along x."""
    left, right = x - 0.93 - gap, x + 3.76 + gap
    low, high = y - 0.97 - gap, y + 0.97 + gap
    return (
        box(left - thick, left, low, high),
        box(right, right + thick, low, high),
        box(left - thick, right + thick, low - thick, low),
        box(left - thick, right + thick, high, high + thick),
    )


def test_a_car_between_walls_is_stuck_without_any_search(monkeypatch):
    monkeypatch.setattr(parking_feasible, "solve", None)  # would raise
    scene = Scenario(start=(0, 0, 0), goal=(0, 8, 0), obstacles=walls(0, 0, 0.001))
    verdict = judge(scene)
    assert verdict.verdict == "stuck" and verdict.only_creeps
    assert verdict.longest == pytest.approx(0.001, abs=1e-6)
    assert verdict.solver is None and verdict.seconds == 0.0


def test_a_car_that_can_only_creep_is_told_apart_from_a_stuck_one():
    scene = Scenario(start=(0, 0, 0), goal=(0, 8, 0), obstacles=walls(0, 0, 0.05))
    ((longest, only_creeps),) = start_freedom([scene])
    assert only_creeps and longest == pytest.approx(0.05, abs=1e-6)
    ((longest, only_creeps),) = start_freedom([fixed_scene("normal-bay", 0)])
    assert not only_creeps and longest > 0.125


def test_an_open_scene_is_solved_and_a_walled_goal_is_not():
    solved = judge(Scenario(start=(0, 0, 0), goal=(6, 1, 0)), budget=1.0)
    assert solved.verdict == "solved" and solved.solver == "hope-ppo-16"
    closed = Scenario(start=(0, 0, 0), goal=(0, 8, 0), obstacles=walls(0, 8, 0.1))
    verdict = judge(closed, budget=0.2)
    assert verdict.verdict == "unsolved" and verdict.solver is None
    assert verdict.seconds > 0.0 and not verdict.only_creeps


def test_a_survey_goes_on_where_it_stopped(tmp_path, monkeypatch):
    asked = []

    def solve(scene, budget, seed):
        asked.append(scene.id)
        return PlanResult(path=None, seconds=1.0, planner="x"), 1.0

    monkeypatch.setattr(parking_feasible, "solve", solve)
    out = tmp_path / "deep" / "verdicts.jsonl"
    survey("ultra-parallel", 2, budget=3.0, out=out)
    out.write_text(out.read_text() + '{"scene": "cut sho')
    more = survey("ultra-parallel", 3, budget=3.0, out=out)
    assert asked == [f"ultra-parallel-{seed:05d}" for seed in range(3)]
    assert [v.verdict for v in more] == ["unsolved"] * 3
    survey("ultra-parallel", 1, budget=4.0, out=out)
    assert len(asked) == 4  # another budget is another question


def test_the_summary_lists_what_is_not_solved_with_an_interval():
    def one(scene, verdict, solver=None, only_creeps=False):
        return Verdict(
            scene=scene, verdict=verdict, only_creeps=only_creeps, longest=0.1, solver=solver,
            seconds=2.0, budget=10.0,
        )  # fmt: skip

    told = summary(
        [one("a", "solved", "best-of"), one("b", "unsolved"), one("c", "stuck", None, True)]
    )
    assert told["feasible_share"] == pytest.approx(1 / 3)
    assert told["feasible_95"] == list(wilson(1, 3))
    assert told["solved_by"] == {"best-of": 1}
    assert (told["stuck"], told["unsolved"], told["only_creeps"]) == (["c"], ["b"], ["c"])
    assert told["seconds"] == 6.0


def test_the_command_prints_the_shares(tmp_path):
    out = tmp_path / "v.jsonl"
    words = ["parking", "feasible", "normal-bay", "--scenes", "1", "--json", "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["scenes"] == 1 and told["feasible_share"] == 1.0
    assert json.loads(out.read_text())["verdict"] == "solved"
