"""Typed tables on disk: what is written comes back, and what is damaged is named."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from hybridrl.benchmarks.results import row_of
from hybridrl.benchmarks.rows_file import read_rows, rows_so_far, write_rows
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.planners.errors import ScenarioError


class Visit(NamedTuple):
    name: str
    count: int
    share: float
    clean: bool


@dataclass(frozen=True)
class Drive:
    name: str
    count: int
    share: float
    clean: bool


VALUES = [("a", 1, 0.1, True), ('comma, "quote"\nline', -2, 1e-300, False), ("", 0, math.inf, True)]


@pytest.mark.parametrize("kind", [Visit, Drive])
def test_rows_come_back_as_they_were(kind, tmp_path):
    rows = [kind(*values) for values in VALUES]
    write_rows(tmp_path / "rows.csv", kind, rows)
    assert read_rows(tmp_path / "rows.csv", kind) == rows
    assert (tmp_path / "rows.csv").read_text().startswith("name,count,share,clean\na,1,0.1,True\n")


def test_numbers_of_numpy_and_what_is_not_a_number_come_back(tmp_path):
    row = Visit("a", np.int64(3), np.float64(1 / 3), np.bool_(False))
    write_rows(tmp_path / "rows.csv", Visit, iter([row, row._replace(share=math.nan)]))
    first, second = read_rows(tmp_path / "rows.csv", Visit)
    assert first == ("a", 3, 1 / 3, False) and math.isnan(second.share)


def test_no_rows_leave_the_columns(tmp_path):
    assert rows_so_far(tmp_path / "rows.csv", Visit) == []
    write_rows(tmp_path / "rows.csv", Visit, [])
    assert rows_so_far(tmp_path / "rows.csv", Visit) == []
    assert (tmp_path / "rows.csv").read_text() == "name,count,share,clean\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "columns"),
        ("a,b\n1,2\n", "columns"),
        ("share,count,name,clean\n", "columns"),
        ("a,1,0.5,True\nb,1.5,0.5,True\n", "line 3, count is '1.5'; expected a whole number"),
        ("a,1,half,True\n", "line 2, share is 'half'; expected a number"),
        ("a,1,0.5,yes\n", "line 2, clean is 'yes'; expected True or False"),
        ("a,1,0.5\n", "line 2 is .*; expected 4 values"),
    ],
)
def test_what_is_damaged_is_named(text, says, tmp_path):
    head = "" if says == "columns" else "name,count,share,clean\n"
    (tmp_path / "rows.csv").write_text(head + text)
    with pytest.raises(ScenarioError, match=rf"rows\.csv.*{says}"):
        read_rows(tmp_path / "rows.csv", Visit)


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.csv"):
        read_rows(tmp_path / "none.csv", Visit)
    (tmp_path / "rows.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match=r"rows\.csv"):
        read_rows(tmp_path / "rows.csv", Visit)


def test_a_long_row_is_of_its_run_but_for_what_is_said():
    config = RunConfig(suite="s", env="e", agent="a", work="x:y", seed=3, variant="v", command="c")
    result = RunResult(config=config, status="done", wall_s=2.0, version="1", commit="abc")
    row = row_of(result, "success", 0.5, 10, 200)
    assert row == ("s", "e", "a", 3, "v", "success", 0.5, 10, 200, 2.0, "1", "abc", "c")
    other = row_of(result, "success", 0.5, 10, agent="b", wall_s=1.0)
    assert (other.agent, other.wall_s, other.steps, other.seed) == ("b", 1.0, 0, 3)
