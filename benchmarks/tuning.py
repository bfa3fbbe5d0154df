"""A search for good settings with Ray Tune: each trial is a training in a run folder of its own.

Ray Tune draws the settings, runs trials side by side and stops the worse ones early; a trial that
was interrupted goes on from its own checkpoint.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

from hybridrl.benchmarks.runs import RunConfig, atomic_write, execute, read_json, write_json
from hybridrl.benchmarks.settings import parse_settings
from hybridrl.benchmarks.train import remove, train_config, train_one
from hybridrl.benchmarks.tuning_space import Spaces, as_setting, draws
from hybridrl.datasets.on_ray import RETRIES, connected
from hybridrl.planners.errors import ScenarioError, UnknownNameError

METRICS = ("return_mean", "success_rate")
SCHEDULERS = ("asha", "none")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched; a search of the same agent, environment and seed has one folder.

    Args:
        agent: A registered agent; its preset is where the search starts from.
        env: Gymnasium id.
        spaces: Name of a setting to its text, as in ``{"gamma": "uniform:0.9,1"}``.
        trials: How many draws.
        settings: ``key=value`` of what is the same for all trials.
        env_kwargs: Keywords of the environment.
        metric: Of the evaluation, to be as large as possible: one of :data:`METRICS`.
        scheduler: ``asha`` stops the worse trials at each of the points; ``none`` runs all.
        points: Evaluations a trial.
        episodes: Of an evaluation before the last.
        seed: Of the draws, the environments and the agents.
        device: As torch names it, or ``auto``.
        command: The command line, for the record.
    """

    agent: str
    env: str
    spaces: Spaces
    trials: int = 10
    settings: tuple[str, ...] = ()
    env_kwargs: tuple[str, ...] = ()
    metric: str = "return_mean"
    scheduler: str = "asha"
    points: int = 5
    episodes: int = 10
    seed: int = 0
    device: str = "auto"
    command: str = ""

    def config(self, drawn: Sequence[str] = (), number: int = 0) -> RunConfig:
        """The training of a trial.

        Args:
            drawn: ``key=value`` of what was drawn.
            number: Of the trial.

        Raises:
            UnknownNameError: If the agent or a setting is unknown.
            ScenarioError: If a number is out of range.
        """
        overrides = parse_settings([*self.settings, *drawn])
        kwargs = parse_settings(self.env_kwargs)
        made = train_config(self.agent, self.env, self.seed, overrides, kwargs, self.device)
        work = "hybridrl.benchmarks.tuning:train_and_tell"
        told = {"points": self.points, "episodes": self.episodes, "metric": self.metric}
        return replace(
            made, suite="tune", work=work, variant=f"trial-{number:05d}", command=self.command,
            settings={**made.settings, "tuning": told},
        )  # fmt: skip

    def folder(self, out: Path) -> Path:
        """Where Ray Tune keeps its state, beside the trials' run folders."""
        return self.config().folder(out).parent / "search"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A row of the result.

    Args:
        settings: ``key=value`` of what was drawn.
        score: The metric at its last evaluation; ``None`` of a trial that failed before one.
        steps: Of the environment until then.
        ended: ``done``, ``stopped`` by the scheduler, or the error.
    """

    settings: tuple[str, ...]
    score: float | None
    steps: int
    ended: str


def search(
    asked: Search,
    out: Path,
    jobs: int = 2,
    address: str | None = None,
    resume: bool = False,
    fresh: bool = False,
) -> list[Trial]:
    """Search, and write ``trials.csv`` into the search's folder.

    Args:
        asked: What.
        out: Folder of run folders; on a cluster one that every machine sees.
        jobs: Trials at a time.
        address: Of a running Ray cluster; one is started on this machine when ``None``.
        resume: Go on with a search that was interrupted.
        fresh: Throw away what is there.

    Returns:
        All trials, the best first: those that were trained to the end, by their score, then those
        that were stopped.

    Raises:
        ImportError: If Ray Tune is not installed.
        UnknownNameError: If the agent, a setting, the metric or the scheduler is unknown.
        ScenarioError: If a space cannot be read, a number is out of range, there is nothing to
            search, or an earlier search is there that was another one or is not to be resumed.
    """
    tune = require_tune()
    space = _checked(asked, tune)
    folder = asked.folder(out.resolve())
    if fresh:
        remove(folder.parent)
    _check_earlier(folder, asked, resume)
    # Ray Tune talks on stdout, which is for results.
    with connected(jobs, address), redirect_stdout(sys.stderr):
        grid = _tuner(tune, asked, space, out.resolve(), jobs).fit()
    total = asked.config().settings["total_timesteps"]
    trials = sorted((_row(result, total) for result in grid), key=_rank)
    _write(folder / "trials.csv", asked, trials)
    return trials


def best_command(asked: Search, best: Trial) -> str:
    """The ``hybridrl train`` command with the settings of a trial."""
    import shlex

    words = ["hybridrl", "train", asked.agent, asked.env, "--seed", str(asked.seed)]
    for pair in (*asked.settings, *best.settings):
        words += ["--set", pair]
    for pair in asked.env_kwargs:
        words += ["--env-kwargs", pair]
    return shlex.join(words)


def require_tune() -> Any:
    """The module ``ray.tune``.

    Raises:
        ImportError: If it or what it needs is not installed; the message says how to get it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # settings may hold relative paths
    try:
        return importlib.import_module("ray.tune")
    except ImportError as error:
        raise ImportError("tuning needs Ray Tune: pip install 'hybridrl[tune]'") from error


def train_and_tell(config: RunConfig, folder: Path) -> dict[str, Any]:
    """The work of a trial: a training that tells Ray Tune its score at every point.

    Args:
        config: Of :meth:`Search.config`.
        folder: Of the run.
    """
    settings = {key: value for key, value in config.settings.items() if key != "tuning"}
    told = config.settings["tuning"]
    teller = _teller(config.env, settings, told, config.seed)
    return train_one(replace(config, settings=settings), folder, [teller])


def _teller(env: str, settings: dict[str, Any], told: dict[str, Any], seed: int) -> Any:
    from stable_baselines3.common.callbacks import BaseCallback

    from hybridrl.benchmarks.evaluate import evaluate_one, summary

    total = settings["total_timesteps"]

    class Teller(BaseCallback):
        """Evaluates between roll-outs; the last evaluation is that of the training itself."""

        def _on_training_start(self) -> None:
            self.told = self.num_timesteps

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if self.told + total / told["points"] <= self.num_timesteps < total:
                self.told = self.num_timesteps
                with gym.make(env, **settings["env_kwargs"]) as fresh:
                    records = list(evaluate_one(self.model, fresh, told["episodes"], seed))
                _tell(told["metric"], summary(records), self.num_timesteps)

    return Teller()


def _tell(metric: str, values: dict[str, Any], steps: int) -> None:
    if metric not in values:
        raise UnknownNameError("metric of this environment", metric, values)
    require_tune().report({"score": float(values[metric]), "steps": steps})


def _trial(drawn: dict[str, Any], asked: Search, out: str) -> None:
    """What a worker of Ray Tune does."""
    number = int(require_tune().get_context().get_trial_id().rpartition("_")[2])
    pairs = [as_setting(name, value) for name, value in drawn.items()]
    result = execute(asked.config(pairs, number), out)
    if result.status == "failed":
        raise RuntimeError(result.error)
    _tell(asked.metric, result.values, result.values["steps"])


def _checked(asked: Search, tune: Any) -> dict[str, Any]:
    """The space as Ray Tune takes it, after everything was checked once."""
    if asked.metric not in METRICS:
        raise UnknownNameError("metric", asked.metric, METRICS)
    if asked.scheduler not in SCHEDULERS:
        raise UnknownNameError("scheduler", asked.scheduler, SCHEDULERS)
    for name in ("trials", "points", "episodes"):
        if getattr(asked, name) < 1:
            raise ScenarioError(name, getattr(asked, name), "a whole number above 0")
    if not asked.spaces:
        raise ScenarioError("param", asked.spaces, "at least one, as in gamma=uniform:0.9,1")
    space, examples = draws(asked.spaces, tune)
    asked.config(examples)
    return space


def _check_earlier(folder: Path, asked: Search, resume: bool) -> None:
    """Write down what is searched; what an earlier search wrote there must be the same."""
    mine = {**asdict(replace(asked, command="")), "settings": [*asked.settings]}
    mine["env_kwargs"] = [*asked.env_kwargs]
    file = folder.parent / "search.json"
    if file.exists():
        if not resume:
            raise ScenarioError("search", str(folder), "--resume to go on with it, or --fresh")
        if read_json(file) != mine:
            raise ScenarioError("search", str(file), "the same options with --resume, or --fresh")
    write_json(file, mine)


def _tuner(tune: Any, asked: Search, space: dict[str, Any], out: Path, jobs: int) -> Any:
    folder = asked.folder(out)
    work = tune.with_resources(partial(_trial, asked=asked, out=str(out)), {"cpu": 1})
    if tune.Tuner.can_restore(str(folder)):
        return tune.Tuner.restore(str(folder), work, resume_errored=True)
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search import BasicVariantGenerator

    total = asked.config().settings["total_timesteps"]
    first = max(1, total // asked.points)
    asha = partial(ASHAScheduler, "steps", max_t=total, grace_period=first, reduction_factor=2)
    plan = tune.TuneConfig(
        metric="score",
        mode="max",
        num_samples=asked.trials,
        search_alg=BasicVariantGenerator(max_concurrent=jobs, random_state=asked.seed),
        scheduler=asha() if asked.scheduler == "asha" else None,
    )
    run = tune.RunConfig(
        name=folder.name,
        storage_path=str(folder.parent),
        failure_config=tune.FailureConfig(max_failures=RETRIES),
        verbose=0,
    )
    return tune.Tuner(work, param_space=space, tune_config=plan, run_config=run)


def _row(result: Any, total: int) -> Trial:
    numbers = result.metrics or {}
    steps = int(numbers.get("steps", 0))
    ended = "done" if steps >= total else "stopped"
    if result.error is not None:
        ended = str(result.error).strip().splitlines()[-1]
    pairs = tuple(as_setting(name, value) for name, value in (result.config or {}).items())
    return Trial(settings=pairs, score=numbers.get("score"), steps=steps, ended=ended)


def _rank(trial: Trial) -> tuple[bool, int, float]:
    score = float("inf") if trial.score is None else -trial.score
    return trial.ended not in ("done", "stopped"), -trial.steps, score


def _write(file: Path, asked: Search, trials: list[Trial]) -> None:
    import csv

    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["rank", asked.metric, "steps", "ended", *sorted(asked.spaces)])
        for rank, trial in enumerate(trials, 1):
            drawn = dict(pair.split("=", 1) for pair in trial.settings)
            values = [drawn.get(name, "") for name in sorted(asked.spaces)]
            writer.writerow([rank, trial.score, trial.steps, trial.ended, *values])
