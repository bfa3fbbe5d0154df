"""docs/driving.md says what the code does: ids, options, observation, actions, reward, info."""

from __future__ import annotations

import dataclasses
import re

import gymnasium as gym
import pytest

from hybridrl.envs.driving.config import DURATIONS, ROWS, DrivingOptions
from hybridrl.envs.driving.kernels.records import FEATURES, SIGNALS
from hybridrl.envs.driving.names import NATIVE_ACTIONS, REWARD_TERMS
from hybridrl.envs.registration import ENVS


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/driving.md").read_text(encoding="utf-8")


def _table(page, title):
    """Cells of the first table of a section, the heading left out."""
    text = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return cells[2:]


def _names(cells):
    return [name for cell in cells for name in re.findall(r"`([a-z_A-Z]+)`", cell)]


def test_ids_actions_and_limits_are_those_registered(page):
    listed = {row[0].strip("`"): (int(row[2]), row[3]) for row in _table(page, "Ids")}
    expected = {}
    for row in ENVS:
        if row.id.startswith("hybridrl/Driving-"):
            scenario = row.kwargs["scenario"]
            count = len(NATIVE_ACTIONS[scenario])
            expected[row.id] = (count, f"{DURATIONS[scenario]:.0f} s")
    assert listed == expected


def test_options_are_the_keywords(page):
    listed = _names(row[0] for row in _table(page, "Options"))
    assert set(listed) == {field.name for field in dataclasses.fields(DrivingOptions)}
    told = {row[0].strip("`"): row[1].strip("`") for row in _table(page, "Options")}
    defaults = DrivingOptions()
    for name in ("density", "reward", "observation", "driver_style", "lanes", "backend"):
        assert told[name] == str(getattr(defaults, name))


def test_the_observation_table_has_every_column(page):
    assert [int(row[0]) for row in _table(page, "Observation")] == list(range(FEATURES + SIGNALS))
    assert "N = 15 (intersection, roundabout) or 10 (merge, highway)" in page
    assert ROWS == {"highway": 10, "merge": 10, "intersection": 15, "roundabout": 15}


def test_the_action_table_is_the_numbering(page):
    rows = _table(page, "Actions")
    assert tuple(_names(row[1] for row in rows)) == NATIVE_ACTIONS["merge"]
    assert tuple(_names(row[2] for row in rows)) == NATIVE_ACTIONS["intersection"]


def test_reward_terms_and_info_keys_are_told(page):
    text = page.split("\n## Reward\n")[1].split("\n## ")[0]
    assert all(f"`{name}`" in text for name in REWARD_TERMS)
    env = gym.make("hybridrl/Driving-Roundabout-v0", expose_scene=True)
    _, info = env.reset(seed=0)
    listed = _names(row[0] for row in _table(page, "Episode end"))
    assert set(listed) == set(info)
