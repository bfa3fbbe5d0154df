"""Recorded lots: reading a user's pickle safely, and the reset rule."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from hybridrl.envs.parking.scenes.recorded import RecordedLot, convert_recorded, read_plain_pickle
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.scenario import body_polygon, load_scenarios

START = np.array([6.0, 3.2, 0.1])
GOAL = np.array([0.0, -3.9, np.pi / 2])


def stalls(closed: bool = False) -> list[np.ndarray[Any, Any]]:
    """A street of parked cars, listed clockwise, with the goal's stall empty."""
    rings = []
    for x in np.arange(-60.0, 61.0, 2.6):
        for y in (-5.0, 7.0):
            if abs(x) > 1.0 or y > 0:
                ring = [(x - 0.9, y), (x - 0.9, y + 4.6), (x + 0.9, y + 4.6), (x + 0.9, y)]
                rings.append(np.array(ring + ring[:1] if closed else ring))
    return rings


def cases(count: int = 3) -> list[tuple[Any, Any, Any]]:
    starts = [START, START + np.array([4.0, 0.2, 0.0]), START - np.array([12.0, 0.0, 0.2])]
    shift = np.array([0.01, 0.0, 0.0])
    return [(starts, GOAL + i * shift, stalls(closed=i == 1)) for i in range(count)]


def write(path: Path, data: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


@pytest.fixture
def lot(tmp_path: Path) -> RecordedLot:
    convert_recorded(write(tmp_path / "lot.pkl", cases()), tmp_path / "lot.json")
    return RecordedLot(tmp_path / "lot.json")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_any_protocol_are_read_as_numpy_would(tmp_path: Path, protocol: int) -> None:
    objects = np.empty(2, object)
    objects[:] = [[1, 2], np.arange(3.0)]
    data = [
        (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        {"a": np.arange(4, dtype=">i4"), "b": np.float32(0.5)},
        [objects, np.array(2.5), (1, 2.0, True)],
    ]
    found = read_plain_pickle(write(tmp_path / "data.pkl", data, protocol))
    for i in range(2):
        np.testing.assert_array_equal(found[0][i], data[0][i])  # type: ignore[index]
    np.testing.assert_array_equal(found[1][0], np.arange(4))
    assert found[1][1] == 0.5
    np.testing.assert_array_equal(found[2][0][1], np.arange(3.0))
    assert found[2][1] == 2.5 and found[2][2] == [1, 2.0, True]


class Call:
    """Pickles as a call of any function, which an ordinary unpickler would make."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("function", [os.system, eval, exec, open, np.save, np.load, getattr])
def test_a_pickle_that_names_code_is_refused_and_runs_nothing(
    tmp_path: Path, function: Any, protocol: int
) -> None:
    mark = tmp_path / "mark"
    text = {eval: f"open({str(mark)!r}, 'w')", exec: f"open({str(mark)!r}, 'w')"}
    arguments = (text.get(function, f"touch {mark}"), {}) if function in text else (str(mark), "w")
    if function is os.system:
        arguments = (f"touch {mark}",)  # type: ignore[assignment]
    path = write(tmp_path / "bad.pkl", [Call(function, *arguments)], protocol)
    with pytest.raises(ScenarioError, match="which is not plain data"):
        convert_recorded(path, tmp_path / "out.json")
    assert not mark.exists() and not (tmp_path / "out.json").exists()


def test_allowed_functions_cannot_be_changed_or_given_odd_types(tmp_path: Path) -> None:
    poison = b"cnumpy.core.multiarray\n_reconstruct\n(dS'x'\nI1\nsb."
    strange = b"cnumpy\ndtype\n(S'V8'\ntR."
    nested = pickle.dumps([[[[[[[[[[[1]]]]]]]]]]])
    for number, data in enumerate((poison, strange, nested, b"", b"not a pickle", b"\x80\x05.")):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(data)
        with pytest.raises(ScenarioError, match="a pickle of plain lists"):
            read_plain_pickle(path)
    with pytest.raises(ScenarioError, match="absent"):
        read_plain_pickle(tmp_path / "absent.pkl")


def test_a_converted_file_is_an_ordinary_scenario_file_with_all_starts(tmp_path: Path) -> None:
    path = tmp_path / "lot.json"
    assert convert_recorded(write(tmp_path / "lot.pkl", cases()), path) == 3
    scenarios = load_scenarios(path)
    assert [scenario.id for scenario in scenarios] == [f"recorded-{i:03d}" for i in range(3)]
    assert scenarios[0].start == tuple(START) and scenarios[0].limits[2] == np.floor(-3.9 - 20)
    assert len(scenarios[1].obstacles) == len(stalls()) and len(scenarios[1].obstacles[0]) == 4
    assert np.shape(json.loads(path.read_text())["starts"]) == (3, 3, 3)


@pytest.mark.parametrize(
    "case",
    [
        (),
        ([], GOAL, stalls()),
        ([START], GOAL),
        ([START], [0.0, 1.0], stalls()),
        ([START, [np.nan, 0, 0]], GOAL, stalls()),
        ([START], GOAL, [[(0, 0), (1, 1), (1, 0), (0, 1)]]),
        ("start", "goal", "rings"),
    ],
)
def test_a_case_that_cannot_be_used_is_named(tmp_path: Path, case: Any) -> None:
    path = write(tmp_path / "lot.pkl", [cases()[0], case])
    with pytest.raises(ScenarioError, match=r"cases\[1\]"):
        convert_recorded(path, tmp_path / "lot.json")


def test_pickles_without_cases_and_foreign_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="a list of cases"):
        convert_recorded(write(tmp_path / "lot.pkl", []), tmp_path / "lot.json")
    (tmp_path / "other.json").write_text('{"scenarios": []}')
    for name in ("other.json", "absent.json"):
        with pytest.raises(ScenarioError, match="convert_recorded wrote"):
            RecordedLot(tmp_path / name)


def test_resets_follow_the_rule(lot: RecordedLot) -> None:
    rng = np.random.default_rng(0)
    assert len(lot) == 3
    middle = lot.vehicle.center_offset * 2
    turned, offsets = [], []
    for _ in range(400):
        raw = lot.generate(rng, case=4)
        goal, home = raw.goal, lot.cases[1].goal
        flipped = np.cos(goal[2] - home[2]) < 0
        if flipped:
            np.testing.assert_allclose(goal[:2] - home[:2], [0.0, middle], atol=1e-9)
        back = raw.start.copy()
        if np.cos(back[2]) < 0:
            back[:2] += middle * np.array([np.cos(back[2]), np.sin(back[2])])
            back[2] += np.pi
        near = min(lot.cases[1].starts, key=lambda s: float(np.hypot(*(s - back)[:2])))
        offsets.append([*(back - near)[:2], np.sin(back[2] - near[2])])
        turned.append((flipped, np.cos(raw.start[2]) < 0))
    np.testing.assert_allclose(np.mean(turned, axis=0), 0.5, atol=0.1)
    np.testing.assert_allclose(np.mean(offsets, axis=0), 0.0, atol=0.01)
    np.testing.assert_allclose(np.std(offsets, axis=0), [0.05, 0.05, 0.02], rtol=0.15)


def test_resets_are_free_and_keep_the_obstacles_in_the_bounds(lot: RecordedLot) -> None:
    rng = np.random.default_rng(1)
    for case in (None, 0, 1, 2):
        scenario = lot.sample(rng, case)
        shapes = [shapely.Polygon(ring) for ring in scenario.obstacles]
        assert scenario.id == ("recorded" if case is None else f"recorded-{case:03d}")
        body = body_polygon(scenario.start, lot.vehicle)
        assert body.distance(shapely.union_all(shapes)) > 0.0
        xmin, xmax, ymin, ymax = scenario.limits
        area = shapely.box(xmin, ymin, xmax, ymax)
        kept = sum(area.intersects(shapely.Polygon(ring)) for ring in stalls())
        assert len(shapes) == kept < len(stalls())
        assert xmax - xmin >= 40.0


def test_the_same_seed_gives_the_same_recorded_scene(lot: RecordedLot) -> None:
    first, again = (lot.sample(np.random.default_rng(9)).to_json() for _ in range(2))
    assert first == again


def test_a_start_inside_an_obstacle_is_refused_in_words(tmp_path: Path) -> None:
    bad = [([np.array([2.6, -4.0, 1.57])], GOAL, stalls())]
    convert_recorded(write(tmp_path / "lot.pkl", bad), tmp_path / "lot.json")
    with pytest.raises(ScenarioError, match="a start free of obstacles"):
        RecordedLot(tmp_path / "lot.json").generate(np.random.default_rng(0))
