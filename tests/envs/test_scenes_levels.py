"""Levels, classes and the published scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from hybridrl.envs.parking.scenes.levels import CLASSES, LEVELS, StreetClass, find_class, find_level
from hybridrl.envs.parking.scenes.library import (
    draw_class,
    fixed_scene,
    fixed_scenes,
    quads_of,
    sample_scenario,
    to_raw,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.scenario import Scenario, load_scenarios, save_scenarios
from hybridrl.planners.vehicle import VehicleSpec

GOLDEN = Path(__file__).parents[1] / "golden" / "scenes.json"


def summary(scenario: Scenario) -> dict[str, object]:
    """What the golden file keeps of a scene; the weights make order and every corner count."""
    corners = np.concatenate(scenario.obstacles)
    weights = np.cos(np.arange(corners.size)).reshape(corners.shape)
    return {
        "start": [round(v, 6) for v in scenario.start],
        "goal": [round(v, 6) for v in scenario.goal],
        "bounds": list(scenario.limits),
        "obstacles": len(scenario.obstacles),
        "checksum": round(float((weights * corners).sum()), 5),
    }


def test_published_scenes_never_change() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert {id.rpartition("-")[0] for id in golden} == set(CLASSES)
    for id, expected in golden.items():
        name, _, seed = id.rpartition("-")
        scenario = fixed_scene(name, int(seed))
        assert scenario.id == id
        found = summary(scenario)
        for field, value in expected.items():
            assert found[field] == pytest.approx(value, abs=2e-5), (id, field)


def test_a_published_scene_depends_on_its_own_seed_only() -> None:
    alone = fixed_scenes("extreme-parallel", 1, first_seed=7)[0]
    among = fixed_scenes("Extreme-Parallel", 9)[7]
    assert alone.to_json() == among.to_json()
    assert alone.id == "extreme-parallel-00007" and alone.seed == 7


def test_scenes_of_a_level_are_scenes_of_its_classes_in_exact_proportion() -> None:
    ids = [scenario.id for scenario in fixed_scenes("mixed", 8)]
    names = sorted(id.rpartition("-")[0] for id in ids)
    assert names == sorted(
        ["normal-bay", "normal-parallel", "complex-bay", "complex-parallel"]
        + 2 * ["extreme-parallel"]
        + 2 * ["lot"]
    )
    assert len(set(ids)) == 8
    assert [scenario.id for scenario in fixed_scenes("mixed", 3, first_seed=4)] == ids[4:7]


def test_numbers_that_seed_the_published_scenes_are_all_different() -> None:
    numbers = [spec.number for spec in CLASSES.values()]
    assert len(set(numbers)) == len(numbers)


def test_levels_are_the_decided_mixtures() -> None:
    hard = LEVELS["hard"]
    assert set(hard.classes) == {"complex-bay", "complex-parallel", "extreme-parallel"}
    assert hard.weights == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    mixed = dict(zip(LEVELS["mixed"].classes, LEVELS["mixed"].weights, strict=True))
    assert mixed["lot"] == mixed["extreme-parallel"] == 0.25
    assert mixed["normal-bay"] + mixed["normal-parallel"] == 0.25
    assert set(LEVELS["all"].classes) == set(CLASSES)
    assert len(set(LEVELS["all"].weights)) == 1
    for level in LEVELS.values():
        assert sum(level.weights) == pytest.approx(1.0)
        assert set(level.classes) <= set(CLASSES)
        assert len(level.cycle) == sum(share for _, share in level.shares)


def test_classes_are_drawn_by_their_weights() -> None:
    rng = np.random.default_rng(0)
    names = [draw_class(rng, LEVELS["mixed"]) for _ in range(4000)]
    assert names.count("lot") / 4000 == pytest.approx(0.25, abs=0.03)
    assert names.count("complex-bay") / 4000 == pytest.approx(0.125, abs=0.03)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Hard", "hard"),
        ("EXTREME", "extreme"),
        ("Extrem", "extreme"),
        ("ExtremeBay", "extreme-bay"),
        ("Complex-Bay", "complex-bay"),
    ],
)
def test_levels_are_found_in_any_case_and_by_the_other_spelling(name: str, found: str) -> None:
    assert find_level(name).name == found


@pytest.mark.parametrize(
    ("name", "near"), [("harrd", "hard"), ("complexx", "complex"), ("paralel", "ultra-parallel")]
)
def test_an_unknown_level_is_answered_with_near_names(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean .*{near}"):
        sample_scenario(name, 0)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="normal-bay"):
        find_class("normal-bai")


@pytest.mark.parametrize("arguments", [(-1, 0), (1, -1)])
def test_negative_counts_and_seeds_are_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(ScenarioError, match="0 or more"):
        fixed_scenes("normal-bay", *arguments)


def test_a_seed_repeats_a_scene_and_a_generator_goes_on() -> None:
    first = sample_scenario("normal", 3)
    assert first.to_json() == sample_scenario("Normal", 3).to_json()
    assert first.seed == 3 and first.level == "normal"
    rng = np.random.default_rng(3)
    same, other = sample_scenario("normal", rng), sample_scenario("normal", rng)
    assert same.start == first.start and same.seed is None
    assert other.start != first.start


def test_slack_ranges_are_those_of_the_table() -> None:
    def slack(name: str) -> tuple[float, float]:
        spec = CLASSES[name]
        assert isinstance(spec, StreetClass)
        return spec.slack_range(VehicleSpec())

    assert slack("normal-parallel") == pytest.approx((1.1725, 1.6725))
    assert slack("complex-parallel") == pytest.approx((0.90, 1.1725))
    assert slack("extreme-parallel") == pytest.approx((0.60, 0.90))
    assert slack("normal-bay") == pytest.approx((0.85, 1.20))
    short = CLASSES["complex-parallel"]
    assert isinstance(short, StreetClass)
    assert short.slack_range(VehicleSpec(wheelbase=1.2)) == pytest.approx((0.7725, 0.90))


def test_a_generated_scene_survives_its_file_bit_for_bit(tmp_path: Path) -> None:
    scenes = [sample_scenario(name, 5) for name in ("normal", "lot")]
    save_scenarios(tmp_path / "scenes.json", scenes, source="test")
    back = load_scenarios(tmp_path / "scenes.json")
    assert [scenario.to_json() for scenario in back] == [s.to_json() for s in scenes]


def test_raw_arrays_of_a_generated_scene_keep_every_corner() -> None:
    scenario = sample_scenario("complex", 1)
    raw = to_raw(scenario)
    assert tuple(raw.start) == scenario.start and tuple(raw.bounds) == scenario.limits
    np.testing.assert_array_equal(raw.quads, np.array(scenario.obstacles))


def test_any_simple_polygon_becomes_quads_that_cover_it_exactly() -> None:
    angles = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    heptagon = np.stack([np.cos(angles) - 5.0, np.sin(angles)], axis=1)
    rings = [[(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (0, 3)], [(5, 5), (6, 7), (7, 5)], heptagon]
    quads = quads_of([np.array(ring, float) for ring in rings])
    parts = [shapely.Polygon(quad) for quad in quads]
    assert all(part.exterior.is_ccw and part.is_valid for part in parts)
    whole = shapely.union_all([shapely.Polygon(ring) for ring in rings])
    assert shapely.union_all(parts).symmetric_difference(whole).area < 1e-9
    assert sum(part.area for part in parts) == pytest.approx(whole.area, abs=1e-9)
    assert quads_of([]).shape == (0, 4, 2)
