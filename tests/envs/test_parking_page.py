"""docs/parking.md says what the code does: spaces, rewards, info, ids, commands."""

import json
import re

import numpy as np
import pytest

from hybridrl.envs.parking.config import ParkingOptions
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.kernels.reward import HOPE_WEIGHTS, WEIGHTS
from hybridrl.envs.registration import ENVS
from hybridrl.planners.scenario import Scenario


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/parking.md").read_text(encoding="utf-8")


def section(page, title):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table(text):
    """Cells of every table row but the headings."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in row.strip("|").split(" | ")] for row in rows]
    return [row for row in cells[2:] if not set(row[0]) <= set("- ")]


def test_the_observation_table_is_the_space(page):
    space = ParkingEnv(image=True, ego=True, vehicles="range").observation_space
    told = {}
    for key, index, _, _, span in table(section(page, "Observation")):
        first, _, last = index.partition("-")
        low, high = (float(v) for v in span.split(" to "))
        for i in range(int(first), int(last or first) + 1):
            told[key, i] = (low, high)
    expected = {
        (key, i): (float(np.min(box.low[i])), float(np.max(box.high[i])))
        for key, box in space.items()
        for i in range(box.shape[0])
    }
    assert told == expected


def test_the_reward_table_has_every_weight(page):
    rows = {row[0]: row for row in table(section(page, "Reward"))}
    assert {name: float(row[2]) for name, row in rows.items()} == WEIGHTS
    assert {name: float(row[3]) for name, row in rows.items()} == HOPE_WEIGHTS


def test_the_info_table_has_every_key(page):
    env = ParkingEnv()
    _, info = env.reset(seed=0)
    assert {row[0] for row in table(section(page, "Info"))} == set(info)


def test_the_id_table_has_every_id(page):
    told = [row[0] for row in table(section(page, "Ids"))]
    assert told == [row.id for row in ENVS if "/Parking-" in row.id]


def test_words_of_the_page_are_words_of_the_code(page):
    keywords = set(re.findall(r"`(\w+)=[^`]*`", page)) - {"seed"}
    assert keywords <= set(ParkingOptions.__dataclass_fields__)
    outcomes = [row[0] for row in table(section(page, "End"))]
    assert outcomes == ["success", "collision", "out_of_bounds", "timeout"]


def test_the_scenario_of_the_page_can_be_driven(page):
    text = re.search(r"```json\n(.*?)```", page, re.DOTALL).group(1)
    env = ParkingEnv()
    env.reset(options={"scenario": json.loads(text)})
    assert isinstance(env.scenario, Scenario)


def test_the_commands_of_the_page_exist(page, hybridrl):
    commands = re.findall(r"`hybridrl (\w+)", section(page, "Commands"))
    assert len(commands) >= 5
    for command in set(commands):
        assert hybridrl(command, "--help").exit_code == 0


def test_the_example_of_the_page_runs(page):
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1), {})
