"""Long results and the tables made of them."""

import csv
import io
import json
import math

import pytest

from hybridrl.benchmarks.results import (
    COLUMNS,
    ResultRow,
    merge_results,
    pooled,
    read_results,
    write_results,
)
from hybridrl.benchmarks.tables import FORMATS, Table, render
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def row(**changes):
    values = {
        "suite": "toy",
        "env": "easy",
        "agent": "ppo",
        "seed": 0,
        "variant": "quick",
        "metric": "success",
        "value": 0.5,
        "n": 10,
        "steps": 0,
        "wall_s": 1.5,
        "version": "0.1.0",
        "commit": "abc",
        "command": "hybridrl benchmark toy --envs easy,hard",
    }
    return ResultRow(**{**values, **changes})


TABLE = Table("A & B", ("planner", "rate %"), (("best_of", "99.5"), ("rs|any", "5")), ("n <= 10",))


def test_the_columns_are_those_that_are_committed():
    assert ",".join(COLUMNS) == (
        "suite,env,agent,seed,variant,metric,value,n,steps,wall_s,version,commit,command"
    )


def test_results_survive_their_file(tmp_path):
    rows = [row(), row(metric="length", value=math.nan, n=0), row(seed=1, value=1 / 3)]
    write_results(tmp_path / "r.csv", rows)
    back = read_results(tmp_path / "r.csv")
    assert back[0] == rows[0]
    assert math.isnan(back[1].value)
    assert back[2].value == pytest.approx(1 / 3, rel=1e-5)


def test_new_rows_replace_all_rows_of_the_same_run_and_no_others():
    old = [row(value=0.1), row(metric="length", value=7.0), row(seed=1, value=0.2)]
    merged = merge_results(old, [row(value=0.9)])
    assert [(r.seed, r.metric, r.value) for r in merged] == [
        (0, "success", 0.9),
        (1, "success", 0.2),
    ]


def test_seeds_are_pooled_by_their_episodes():
    rows = [row(value=1.0, n=30), row(seed=1, value=0.0, n=10), row(env="hard", value=0.3)]
    assert pooled(rows, "easy", "ppo", "success") == (0.75, 40)
    assert math.isnan(pooled(rows, "easy", "sac", "success")[0])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\na,b,c,x,,,,,,,,,\n"])
def test_a_file_that_is_no_results_table_is_refused_by_name(tmp_path, text):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(ScenarioError, match=r"r\.csv"):
        read_results(tmp_path / "r.csv")


def test_a_missing_results_table_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.csv"):
        read_results(tmp_path / "none.csv")


def test_markdown_has_a_row_a_line_and_escapes_pipes():
    text = render([TABLE], [], "markdown")
    assert text.splitlines()[:6] == [
        "**A & B**",
        "",
        "| planner | rate % |",
        "| --- | ---: |",
        "| best_of | 99.5 |",
        "| rs\\|any | 5 |",
    ]
    assert "n <= 10" in text


def test_latex_escapes_what_means_something_else_there():
    text = render([TABLE], [], "latex")
    assert r"\caption{A \& B. n $\le$ 10}" in text
    assert r"best\_of & 99.5 \\" in text
    assert text.count(r"\begin{tabular}{lr}") == text.count(r"\end{tabular}") == 1


def test_csv_and_json_are_the_long_rows():
    rows = [row(), row(metric="length", value=math.nan)]
    lines = list(csv.reader(io.StringIO(render([TABLE], rows, "csv"))))
    assert lines[0] == list(COLUMNS)
    assert lines[1][-1] == "hybridrl benchmark toy --envs easy,hard"
    data = json.loads(render([TABLE], rows, "json"))
    assert [d["value"] for d in data] == [0.5, None]


def test_the_terminal_shows_every_cell():
    text = render([TABLE], [], "rich")
    for cell in ("A & B", "planner", "best_of", "99.5", "n <= 10"):
        assert cell in text


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_takes_no_table_at_all(form):
    assert isinstance(render([], [], form), str)


def test_an_unknown_format_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean markdown"):
        render([TABLE], [], "markdwn")
