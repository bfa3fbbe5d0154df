"""A search over settings: spaces as typed, trials as trainings, the best as a command."""

import json
import shlex
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.benchmarks import tuning
from hybridrl.benchmarks.runs import execute
from hybridrl.benchmarks.settings import parse_settings
from hybridrl.benchmarks.tuning import Search, Trial, best_command
from hybridrl.benchmarks.tuning_space import KINDS, as_setting, draws, parse_space, parse_spaces
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SMALL = ("policy_kwargs={net_arch=[8]}", "batch_size=8", "buffer_size=500", "learning_starts=20")
RATES = {"learning_rate": "loguniform:1e-4,1e-2"}


def asked(**changes):
    settings = ("total_timesteps=60", *SMALL)
    given = {"agent": "sac", "env": "Pendulum-v1", "spaces": RATES, "settings": settings}
    return Search(**{**given, "points": 3, "episodes": 1, "device": "cpu", **changes})


def test_spaces_are_read_as_they_are_typed():
    spaces = parse_spaces(["learning_rate=loguniform:1e-5,1e-3", "batch_size=choice:32,64"])
    assert [parse_space(text) for text in spaces.values()] == [
        ("loguniform", [1e-5, 1e-3]),
        ("choice", [32, 64]),
    ]
    assert parse_space('choice:"a",true') == ("choice", ["a", True])


@pytest.mark.parametrize(
    "pair",
    [
        "gamma", "=uniform:0,1", "gamma=uniform:0", "gamma=uniform:1,0", "gamma=uniform:0,1,2",
        "gamma=uniform:a,b", "gamma=uniform:nan,1", "lr=loguniform:0,1", "n=randint:1.5,2",
        "n=choice:", "n=quniform:0,1,0", "n=quniform:0,1,5", "n=uniform:true,2", "n=choice:[",
    ],
)  # fmt: skip
def test_a_wrong_space_is_refused(pair):
    with pytest.raises(ScenarioError):
        parse_spaces([pair])


def test_an_unknown_kind_is_answered_with_the_near_one():
    with pytest.raises(UnknownNameError, match="did you mean loguniform"):
        parse_spaces(["lr=logunifrom:1e-5,1e-3"])


@given(st.sampled_from(["", *(f"{kind}:" for kind in KINDS)]), st.text(max_size=20))
def test_any_text_is_a_space_or_one_of_our_errors(kind, text):
    try:
        kind, values = parse_space(kind + text)
    except (ScenarioError, UnknownNameError):
        return
    assert kind in KINDS and values


@given(st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False),
                 st.booleans(), st.text("abc [0,'\"\\", max_size=6)))  # fmt: skip
def test_what_was_drawn_survives_the_command_line(value):
    assert parse_settings([as_setting("x", value)]) == {"x": value}


def test_spaces_become_those_of_the_library_with_an_example_of_each():
    names = SimpleNamespace(**{kind: (lambda *v, kind=kind: (kind, *v)) for kind in KINDS})
    space, examples = draws({"a": "uniform:0,1", "b": "choice:3,4"}, names)
    assert space == {"a": ("uniform", 0, 1), "b": ("choice", [3, 4])}
    assert examples == ["a=0", "b=3"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"metric": "returns"}, UnknownNameError),
        ({"scheduler": "ashe"}, UnknownNameError),
        ({"trials": 0}, ScenarioError),
        ({"spaces": {}}, ScenarioError),
        ({"spaces": {"learning_rat": "uniform:0.1,1"}}, UnknownNameError),
        ({"agent": "sack"}, UnknownNameError),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_starts(changes, error, tmp_path):
    spaces = SimpleNamespace(uniform=lambda *v: v, loguniform=lambda *v: v)
    with pytest.raises(error):
        tuning._checked(asked(**changes), spaces)


def test_an_earlier_search_is_gone_on_with_only_when_asked_and_only_if_it_is_the_same(tmp_path):
    folder = asked().folder(tmp_path)
    tuning._check_earlier(folder, asked(), False)
    tuning._check_earlier(folder, asked(command="again"), True)
    for changes, resume in (({}, False), ({"trials": 11}, True)):
        with pytest.raises(ScenarioError, match="--fresh"):
            tuning._check_earlier(folder, asked(**changes), resume)


def test_a_trial_is_a_training_that_tells_its_score_at_every_point(tmp_path, monkeypatch):
    told = []
    tune = SimpleNamespace(
        report=told.append,
        get_context=lambda: SimpleNamespace(get_trial_id=lambda: "4fc8f_00003"),
    )
    monkeypatch.setattr(tuning, "require_tune", lambda: tune)
    tuning._trial({"learning_rate": 1e-3}, asked(), str(tmp_path))
    assert [entry["steps"] for entry in told] == [20, 40, 60]
    assert all(-3000 < entry["score"] < 0 for entry in told)
    config = asked().config(["learning_rate=0.001"], 3)
    assert config.settings["learning_rate"] == 1e-3
    assert execute(config, tmp_path).status == "skipped"
    with pytest.raises(RuntimeError, match="metric of this environment"):
        tuning._trial({}, asked(metric="success_rate"), str(tmp_path))


def test_trials_to_the_end_come_first_and_failed_ones_last():
    rows = [(0.0, 30, "stopped"), (-9.0, 60, "done"), (None, 0, "ValueError"), (-5.0, 60, "done")]
    trials = [Trial(settings=(), score=s, steps=n, ended=e) for s, n, e in rows]
    assert [t.score for t in sorted(trials, key=tuning._rank)] == [-5.0, -9.0, 0.0, None]


def test_the_best_is_a_command_of_train():
    best = Trial(settings=("learning_rate=0.001",), score=1.0, steps=60, ended="done")
    words = shlex.split(best_command(asked(env_kwargs=("g=9.0",)), best))
    assert words[:4] == ["hybridrl", "train", "sac", "Pendulum-v1"]
    assert {"learning_rate=0.001", "total_timesteps=60", "g=9.0", SMALL[0]} <= {*words}


def test_without_ray_tune_the_error_names_the_extra(hybridrl, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.tune", None)
    done = hybridrl("tune", "sac", "Pendulum-v1", "--param", "gamma=uniform:0.9,1")
    assert done.exit_code == 1 and "hybridrl[tune]" in done.stderr


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_prints_the_best_as_a_command(tmp_path):
    for module in ("ray", "pyarrow", "tensorboardX"):
        pytest.importorskip(module, reason="needs the extra tune")
    words = ["tune", "sac", "Pendulum-v1", "-n", "300", "--device", "cpu", "--trials", "3"]
    words += ["--param", "learning_rate=loguniform:1e-4,1e-2", "--points", "3", "--episodes", "1"]
    words += [word for setting in SMALL for word in ("--set", setting)]
    command = [sys.executable, "-P", "-m", "hybridrl", *words, "--jobs", "1", "--json"]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    place = tmp_path / "runs" / "tune" / "Pendulum-v1" / "sac" / "seed-0"
    deadline = time.monotonic() + 300
    while not (place / "trial-00000" / "result.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    written = (place / "trial-00000" / "result.json").stat().st_mtime_ns
    done = subprocess.run(
        [*command, "--resume"], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)
    assert len(trials) == 3 and trials[0]["ended"] == "done" and trials[0]["steps"] == 300
    assert (place / "trial-00000" / "result.json").stat().st_mtime_ns == written
    assert "hybridrl train sac Pendulum-v1" in done.stderr
    assert len((place / "search" / "trials.csv").read_text().splitlines()) == 4
