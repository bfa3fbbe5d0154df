"""Datasets that a suite reads and that are not stored yet."""

import pytest

from hybridrl.benchmarks.needed_data import make_missing, needed
from hybridrl.benchmarks.runner import make_request, run_suite
from hybridrl.benchmarks.suites import SUITES
from hybridrl.datasets import registry
from hybridrl.datasets.minari_store import store_root


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


@pytest.fixture
def made(monkeypatch):
    """Ids that would be made; the recipe is replaced, for it takes minutes."""
    names = []

    def make(name, **options):
        assert options["resume"]
        names.append(name)
        (store_root() / name).mkdir(parents=True)
        return name

    monkeypatch.setattr(registry, "make_dataset", make)
    return names


def test_every_dataset_of_every_suite_has_a_recipe():
    found = {name for suite in SUITES for name in needed(make_request(suite, "full"))}
    assert "hybridrl/walker2d/medium-v0" in found
    assert found <= set(registry.RECIPES)


@pytest.mark.parametrize(
    ("suite", "envs", "expected"),
    [
        ("hybrid-pendulum", "random", []),
        ("hybrid-pendulum", "random,medium-replay", ["hybridrl/pendulum/medium-replay-v0"]),
        ("moorl-ablation", "medium-replay-g4", ["hybridrl/pendulum/medium-replay-v0"]),
        ("gap-mujoco", "Bullet-medium,GravityX2-medium", ["hybridrl/halfcheetah/medium-v0"]),
        ("hybrid-mujoco", "Hopper-random,Walker2d-random", ["hybridrl/hopper/random-v0"]),
        ("parking", "normal-bay", []),
    ],
)
def test_only_what_is_asked_for_is_needed(suite, envs, expected):
    assert needed(make_request(suite, "cpu", envs=envs)) == expected


def test_what_is_stored_is_not_made_again(made):
    asked = make_request("hybrid-mujoco", "cpu", envs="Hopper-random")
    assert make_missing(asked) == made == ["hybridrl/hopper/random-v0"]
    assert make_missing(asked) == []
    assert len(made) == 1


def test_a_run_makes_its_data_first(tmp_path, made):
    asked = make_request("hybrid-mujoco", "smoke", envs="Hopper-random", agents="cql", seeds=1)
    report = run_suite(asked, tmp_path, engine="serial")
    assert made == ["hybridrl/hopper/random-v0"]
    assert "metadata.json" in report.failed[0].error  # the folder in its place holds no data
