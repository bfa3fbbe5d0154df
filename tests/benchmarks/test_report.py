"""The page of results: data stays data, figures are the rows', everything says where it is from."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.benchmarks.metrics import stratified_bootstrap
from hybridrl.benchmarks.report import coverage, curves, episodes
from hybridrl.benchmarks.report.html import Html, markup, tag
from hybridrl.benchmarks.report.origins import portable
from hybridrl.benchmarks.report.page import write_report
from hybridrl.benchmarks.report.published import beside_table
from hybridrl.benchmarks.report.svg import Axis, Curve, line_chart, spanning
from hybridrl.benchmarks.results import ResultRow, write_results
from hybridrl.benchmarks.tables import Table
from hybridrl.planners.errors import ScenarioError

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;\x00\x1b[31m\u202e"
VOID = {"meta", "img", "br"}


def row(**changes):
    values = {
        "suite": "toy",
        "env": "easy",
        "agent": "ppo",
        "seed": 0,
        "variant": "quick",
        "metric": "score",
        "value": 0.5,
        "n": 10,
        "steps": 100,
        "wall_s": 1.5,
        "version": "0.1.0",
        "commit": "abc1234",
        "command": "hybridrl benchmark toy",
    }
    return ResultRow(**{**values, **changes})


def curve_rows(agents=("ppo", "sac"), seeds=3, points=(100, 200, 300), **changes):
    return [
        row(agent=a, seed=s, metric=f"score_at_{p}", value=s + p / 100 + 10 * i, **changes)
        for i, a in enumerate(agents)
        for s in range(seeds)
        for p in points
    ]


class Page(HTMLParser):
    """Elements, attributes and text of a page; complains where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.text += data

    def attributes(self, name):
        return [values[name] for _, values in self.elements if name in values]


@pytest.fixture
def write(tmp_path):
    """Writes a results folder and its page, and reads the page."""

    def written(**suites):
        for name, rows in suites.items():
            write_results(tmp_path / "results" / f"{name}.csv", rows)
        page = write_report(tmp_path / "results", tmp_path / "page.html", episodes=False)
        return page, Page(page.file.read_text("utf-8"))

    return written


def test_hostile_text_in_a_csv_is_shown_and_never_run(write):
    fields = ("suite", "env", "agent", "variant", "metric", "version", "commit", "command")
    rows = [row(**{name: HOSTILE}, value=v) for name in fields for v in (0.1, math.nan)]
    rows += curve_rows(agents=(HOSTILE, "ppo"), env=HOSTILE, variant=HOSTILE)
    page, read = write(toy=rows, parking=rows)
    names = {name for name, _ in read.elements}
    assert not names & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert not [a for _, attributes in read.elements for a in attributes if a.startswith("on")]
    assert all(source.startswith("data:image/") for source in read.attributes("src"))
    assert "<script>alert(1)</script>" in read.text  # as text
    assert not re.search(r"[\x00-\x08\x0e-\x1f]", page.file.read_text("utf-8"))


@given(st.text())
def test_any_text_comes_back_out_of_the_markup(text):
    class Reader(HTMLParser):
        found = ""

        def handle_data(self, data):
            self.found += data

    reader = Reader()
    reader.feed(tag("td", text))
    reader.close()
    printable = re.sub(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text
    )
    assert reader.found.replace("\r", "\n") == printable.replace("\r", "\n")


def test_markup_is_escaped_once_only():
    assert markup(Html("<b>")) == "<b>"
    assert tag("p", tag("b", "a < b")) == "<p><b>a &lt; b</b></p>"


def test_the_page_needs_nothing_outside_itself(write):
    page, read = write(toy=curve_rows())
    text = page.file.read_text("utf-8")
    assert "http://" not in text and "https://" not in text
    assert all(link.startswith("#") for link in read.attributes("href"))
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_links_lead_to_the_command_and_commit_that_made_a_figure(write):
    rows = curve_rows() + curve_rows(agents=("late",), command="hybridrl benchmark toy --late")
    _, read = write(toy=rows)
    anchors = set(read.attributes("id"))
    links = read.attributes("href")
    assert {"#run-toy-1", "#run-toy-2"} <= set(links)
    assert all(link[1:] in anchors for link in links)
    assert "hybridrl benchmark toy --late" in read.text and "abc1234" in read.text


def test_equal_results_give_equal_pages(write):
    first, _ = write(toy=curve_rows())
    text = first.file.read_bytes()
    again, _ = write(toy=curve_rows())
    assert again.file.read_bytes() == text


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("hybridrl x --csv /home/me/results/a.csv", "hybridrl x --csv a.csv"),
        ("hybridrl x --set 'weights=/tmp/w/seed-0'", "hybridrl x --set 'weights=seed-0'"),
        (r"hybridrl x --csv C:\Users\me\a.csv", "hybridrl x --csv a.csv"),
        ("hybridrl x --csv ~/a/b.csv", "hybridrl x --csv b.csv"),
        (
            "hybridrl x --csv results/a.csv --shard 3/16",
            "hybridrl x --csv results/a.csv --shard 3/16",
        ),
        ("hybridrl/pendulum/random-v0", "hybridrl/pendulum/random-v0"),
        ("L_other / L_ours - 1", "L_other / L_ours - 1"),
    ],
)
def test_paths_of_a_machine_are_left_out(command, shown):
    assert portable(command) == shown


def test_cells_with_few_seeds_are_marked_and_others_are_not():
    seeds = {("easy-bay", "ppo"): 2, ("easy-bay", "sac"): 3, ("hard", "ppo"): 1}
    table = Table("Success", ("agent", "easy bay", "hard"), (("ppo", "1", "2"), ("sac", "3", "-")))
    marked = coverage.marked(table, seeds)
    assert marked.rows == (("ppo", "1 †", "2 †"), ("sac", "3", "-"))
    assert marked.notes[-1] == "† fewer than 3 seeds"
    by_title = Table("hard, 20 scenes", ("agent", "success"), (("ppo", "1"),))
    assert coverage.marked(by_title, seeds).rows == (("ppo", "1 †"),)
    assert coverage.marked(Table("x", ("a", "b"), (("c", "1"),)), seeds).notes == ()


def test_seeds_without_a_number_do_not_count():
    rows = [row(seed=0), row(seed=1, value=math.nan), row(seed=2, agent="sac", value=math.inf)]
    assert coverage.seeds_behind(rows) == {("easy", "ppo"): 1, ("easy", "sac"): 0}


def test_what_was_never_run_is_named():
    table = coverage.coverage_table("parking", [row(env="lot", agent="hope-ppo", metric="success")])
    lines = {line[0]: line for line in table.rows}
    assert lines["hope-ppo"][2] == "lot (1)"
    assert "normal-bay" in lines["hope-ppo"][3] and "lot" in lines["rrt-connect"][3]


def test_learning_curves_are_means_over_seeds_with_their_bootstrap_interval():
    rows = curve_rows(agents=("ppo",))
    chart = curves.learning_curves(rows, {"ppo": 0})[0]
    drawing = chart.panels[0][1]
    means = [1 + p / 100 for p in (100, 200, 300)]
    low, high = stratified_bootstrap([[0.0 + 1, 1.0 + 1, 2.0 + 1]], samples=200)
    points = [tuple(map(float, p.split(","))) for p in _points(drawing, "polyline")]
    band = [tuple(map(float, p.split(","))) for p in _points(drawing, "polygon")]
    assert len(points) == 3 and len(band) == 6
    heights = [y for _, y in points]
    scale = (heights[0] - heights[2]) / (means[2] - means[0])  # pixels for one unit
    assert heights[0] - heights[1] == pytest.approx(scale * (means[1] - means[0]), abs=0.2)
    assert band[-1][1] - band[0][1] == pytest.approx(scale * (high - low), abs=0.2)


def test_a_curve_of_one_seed_has_no_band():
    chart = curves.learning_curves(curve_rows(agents=("ppo",), seeds=1), {"ppo": 0})[0]
    assert "<polygon" not in chart.panels[0][1]


def test_budget_curves_pool_seeds_by_episodes():
    rows = [
        row(metric="success_within_20", value=1.0, n=30),
        row(metric="success_within_20", value=0.0, n=10, seed=1),
        row(metric="success_within_80", value=1.0, n=40),
    ]
    drawing = curves.budget_curves(rows, {"ppo": 0}).panels[0][1]
    first, last = (float(p.split(",")[1]) for p in _points(drawing, "polyline"))
    top, bottom = (_height(curves.Axis("%", 0, 100), v) for v in (100, 0))
    assert (bottom - first) / (bottom - top) == pytest.approx(0.75, abs=0.005)
    assert last == pytest.approx(top, abs=0.1)


def test_a_performance_profile_is_the_share_of_runs_above_each_score(rng):
    values = rng.random(12)
    rows = [row(env=f"e{i % 3}", seed=i, value=float(v)) for i, v in enumerate(values)]
    chart = curves.performance_profile(rows, {"ppo": 0})
    assert [name for name, _ in chart.panels] == ["all environments"]
    drawn = [float(p.split(",")[1]) for p in _points(chart.panels[0][1], "polyline")]
    axis = Axis("%", 0.0, 100.0)
    expected = [_height(axis, 100 * np.mean(values > t)) for t in np.linspace(0, 1, len(drawn))]
    assert drawn == pytest.approx(expected, abs=0.06)


def test_returns_on_different_scales_are_not_pooled():
    rows = [row(env=e, metric="return", value=v) for e, v in (("a", 1.0), ("b", 900.0))]
    assert [n for n, _ in curves.performance_profile(rows, {"ppo": 0}).panels] == ["a", "b"]


def test_numbers_that_do_not_exist_are_not_drawn():
    rows = [row(metric="score_at_1", value=math.nan), row(metric="score_at_2", value=math.inf)]
    assert curves.learning_curves(rows, {"ppo": 0})[0].panels == []
    assert curves.charts([row(metric="other")]) == []


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_round_numbers_inside_their_axis(low, width):
    ticks = Axis("x", low, low + width).ticks()
    assert len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    slack = 1e-6 * (abs(low) + width)
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)


def test_an_axis_of_one_value_still_has_a_width():
    assert spanning("x", [3.0, 3.0]).high > 3.0
    assert spanning("x", []).low < spanning("x", []).high
    assert spanning("x", [-1.0, 10.0], log=True).low == 10.0


def test_a_point_alone_is_a_dot():
    axis = Axis("x", 0, 1)
    assert "<circle" in line_chart("t", [Curve("a", 0, [0.5], [0.5])], axis, axis)


def test_a_file_that_cannot_be_read_is_a_problem_and_costs_only_itself(tmp_path, write):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "hope.csv").write_bytes(b"suite,env\n\xff\xfe broken")
    (tmp_path / "results" / "driving.csv").write_text("")
    page, read = write(toy=curve_rows())
    assert len(page.problems) == 2
    assert "toy" in page.suites and "Learning curves: score" in read.text
    assert "Problems" in read.text


def test_rows_that_a_suite_cannot_read_are_named_with_the_suite(write):
    page, read = write(hope=[row(suite="hope", variant="", metric="success")])
    assert page.problems and page.problems[0].startswith("hope")
    assert "no tables" in read.text


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="CSV"):
        write_report(tmp_path, tmp_path / "page.html")


def test_failed_trials_are_listed_without_paths(tmp_path):
    for name, done in (("a", False), ("b", True)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(
            f'{{"suite": "toy", "env": "{name}", "agent": "ppo", "seed": 3}}'
        )
        (folder / "error.txt").write_text("Traceback\nOSError: no /home/me/data/x.npz\n")
        if done:
            (folder / "result.json").write_text("{}")
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "error.txt").write_text("")
    found = list(coverage.failures(tmp_path / "runs"))
    assert found[0] == coverage.Failure("toy", "a", "ppo", 3, "OSError: no x.npz")
    assert len(found) == 2 and "cannot be read" in found[1].error


def test_published_rates_stand_beside_ours_with_the_difference():
    rows = [
        row(env=env, agent="hope-ppo", metric="success", value=v, n=n)
        for env, v, n in (("normal-bay", 1.0, 100), ("normal-parallel", 0.9, 300))
    ]
    table = beside_table("parking", rows)
    assert table.rows[0][-2:] == ("92.5", "-7.5")  # the best published is 100.0
    assert table.rows[1][-2:] == ("-", "-")
    assert beside_table("gap-mujoco", []) is None
    returns = [row(env="GravityX2-medium", agent="h2o", metric="return", value=7000.0)]
    assert beside_table("gap-mujoco", returns).rows[0][-2:] == ("7000", "-85")
    assert beside_table("toy", rows) is None


def test_films_are_made_once_and_again_when_what_makes_them_changes(tmp_path):
    made = []

    def frames(shade):
        made.append(shade)
        return [np.full((8, 8, 3), v, np.uint8) for v in (0, shade)], 5.0

    def episode(**settings):
        return episodes.Episode("toy", "Toy", frames, settings, ())

    first = episodes.film(episode(shade=200), tmp_path)
    assert episodes.film(episode(shade=200), tmp_path) == first
    assert episodes.frames_in(first) == 2
    assert episodes.film(episode(shade=100), tmp_path) != first
    assert made == [200, 100]
    needing = episodes.Episode("toy", "Toy", frames, {"shade": 200}, ("planners",))
    assert episodes.content_key(needing) != episodes.content_key(episode(shade=200))


def test_a_film_that_fails_is_a_problem_and_costs_only_itself(tmp_path, monkeypatch):
    def fails():
        raise RuntimeError("no display")

    broken = episodes.Episode("toy", "Toy", fails, {}, ())
    monkeypatch.setattr(episodes, "EPISODES", (broken,))
    write_results(tmp_path / "toy.csv", [row()])
    page = write_report(tmp_path, tmp_path / "page.html", cache=tmp_path)
    assert page.problems == ["film toy: RuntimeError: no display"]


@pytest.mark.slow
def test_every_film_is_small_and_moves(tmp_path):
    for episode in episodes.EPISODES:
        data = episodes.film(episode, tmp_path)
        assert len(data) < 300_000 and episodes.frames_in(data) > 5


def test_the_command_writes_the_page_and_says_where(hybridrl, tmp_path):
    write_results(tmp_path / "results" / "toy.csv", curve_rows())
    done = hybridrl("report", "--no-episodes")
    assert done.exit_code == 0, done.output
    assert done.stderr.strip().splitlines()[-1] == "report.html"
    (tmp_path / "results" / "hope.csv").write_text("broken")
    assert hybridrl("report", "--no-episodes").exit_code == 1
    assert hybridrl("report", "--results", "nowhere").exit_code == 2


def _points(drawing, element):
    return re.search(rf'<{element} points="([^"]+)"', drawing)[1].split()


def _height(axis, value):
    from hybridrl.benchmarks.report import svg

    return svg._y(axis, value)
