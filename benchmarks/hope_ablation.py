"""What each part of HOPE is worth: one trainer, one part changed at a time (``parking.md`` 18).

A trial trains one variant with one seed on the mixed scenes and drives it, drawing its motions, on
fixed scenes of every class; each path is checked again at 1 cm. A variant is a set of settings of
the same trainer as ``hybridrl train``, and goes on from its checkpoint where it was interrupted.
All learn to succeed only: the later phases, which shorten paths, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.benchmarks.hope import Mode, episode_of
from hybridrl.benchmarks.parking import Episode, metrics
from hybridrl.benchmarks.plots import parking_plots as plots
from hybridrl.benchmarks.results import ResultRow, interval, percent, pooled, row_of
from hybridrl.benchmarks.rows_file import read_rows, write_rows
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import Request
from hybridrl.benchmarks.tables import Table
from hybridrl.envs.parking.config import ParkingOptions
from hybridrl.envs.parking.kernels.records import RUNNING
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.envs.parking.task import ParkingTask
from hybridrl.planners.scenario import Scenario

__all__ = ["plots", "run_variant", "summarise", "tables", "trials", "variant"]

TRAIN_ENV = "hybridrl/Parking-Mixed-v0"
ROWS = 2000  # roll-outs side by side
_CONTINUOUS = {"action_type": "continuous", "rs": "auto", "ego": True, "allow_reversed_goal": False}

# Decisions for scenes: observations and allowed motions to actions, all with first axis N.
Act = Callable[[dict[str, NDArray[Any]], NDArray[np.bool_]], NDArray[Any]]


class Variant(NamedTuple):
    """One row of the table.

    Args:
        agent: Registered agent, or ``""``: nothing is learned, motions are drawn.
        settings: Over those of the agent's preset, whose phases are left out.
        env: Keywords of the environment over those of the preset.
        budget: Name of the tier's setting that tells how many samples it learns from.
        rollouts: Of each scene; the best success counts.
    """

    agent: str = "hope-ppo"
    settings: dict[str, Any] = {}  # noqa: RUF012  never changed
    env: dict[str, Any] = {}  # noqa: RUF012
    budget: str = "samples"
    rollouts: int = 1


VARIANTS: dict[str, Variant] = {
    "full": Variant(),
    "mask-as-input": Variant(settings={"policy_kwargs": {"masking": "input"}}),
    "no-mask": Variant(settings={"policy_kwargs": {"masking": "none"}}),
    "no-reeds-shepp": Variant(env={"rs": "off"}),
    "mlp": Variant(settings={"policy": "MultiInputPolicy"}),
    "no-curriculum": Variant(settings={"curriculum": False}),
    "sampled-contact": Variant(env={"contact": "sampled"}),
    "gaussian-mask": Variant(settings={"policy": "GaussianPolicy"}),
    "normalised": Variant(settings={"normalize": True}),
    "hope-sac": Variant(
        "hope-sac",
        {"policy": "MultiInputPolicy", "learning_starts": 5_000, "gradient_steps": 4},
        budget="sac_samples",
    ),
    "sb3-ppo": Variant(
        "ppo",
        {
            "n_envs": 256,
            "n_steps": 64,
            "batch_size": 2048,
            "n_epochs": 4,
            "gamma": 0.98,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
        _CONTINUOUS,
    ),
    "sb3-sac": Variant(
        "sac",
        {"n_envs": 64, "gradient_steps": 4, "gamma": 0.98, "learning_starts": 5_000},
        _CONTINUOUS,
        budget="sac_samples",
    ),
    "random-1": Variant(""),
    "random-64": Variant("", rollouts=64),
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and samples, as in ``cpu-2000000``."""
    return f"{tier}-{settings['samples']}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each variant and seed; it trains once and drives in every class."""
    return [
        request.trial(
            env="mixed",
            agent=agent,
            work="hybridrl.benchmarks.hope_ablation:run_variant",
            seed=seed,
            settings={
                "classes": list(request.envs),
                "scenes": request.settings["scenes"],
                "steps": request.settings[VARIANTS[agent].budget],
                "over": request.settings["over"],
            },
        )
        for seed in request.seeds
        for agent in request.agents
    ]


def run_variant(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train one variant, drive it in every class and write ``<class>.csv``."""
    chosen = VARIANTS[config.agent]
    values: dict[str, Any] = {"steps": 0}
    options: dict[str, Any] = {
        "action_type": "discrete",
        "rs": "auto",
        "allow_reversed_goal": False,
    }
    act = _random(config.seed)
    if chosen.agent:
        inner = training_of(config)
        options = dict(inner.settings["env_kwargs"])
        act, values["steps"] = _learned(inner, folder, options)
    for name in config.settings["classes"]:
        episodes = drive(
            act, fixed_scenes(name, config.settings["scenes"]), chosen.rollouts, options
        )
        write_rows(folder / f"{name}.csv", Episode, episodes)
        values[name] = sum(e.clean for e in episodes) / len(episodes)
    return values


def training_of(config: RunConfig) -> RunConfig:
    """The training of a trial, as ``hybridrl train`` would make it."""
    from hybridrl.agents.registry import resolve

    chosen = VARIANTS[config.agent]
    over = {**config.settings["over"], "total_timesteps": config.settings["steps"]}
    base: dict[str, Any] = {"phases": []} if chosen.agent == "hope-ppo" else {}
    settings = resolve(chosen.agent, TRAIN_ENV, base, chosen.settings, over)
    env = {**settings.get("env_kwargs", {}), **chosen.env}
    complete = {**settings, "env_kwargs": env, "device": "cpu", "tensorboard": False}
    return replace(config, agent=chosen.agent, env=TRAIN_ENV, settings=complete)


def drive(
    act: Act, scenes: Sequence[Scenario], rollouts: int, options: dict[str, Any]
) -> list[Episode]:
    """Drive every scene to its end, the best of some roll-outs, and check the paths at 1 cm.

    Args:
        act: Who decides.
        scenes: Of one vehicle.
        rollouts: Of each.
        options: Keywords of the environment.
    """
    episodes: list[Episode] = []
    each = max(1, ROWS // rollouts)
    for first in range(0, len(scenes), each):
        part = scenes[first : first + each]
        task = ParkingTask(len(part) * rollouts, ParkingOptions.from_keywords(options))
        for i, scene in enumerate(part):
            for row in range(i * rollouts, (i + 1) * rollouts):
                task.load(row, scene)
        count = task.simulator.num_envs
        task.begin(np.arange(count), [np.random.default_rng(i) for i in range(count)])
        _drive_to_the_end(task, act)
        mode = Mode(rollouts, False)
        episodes += [episode_of(task.simulator, i, s, mode, 0.0) for i, s in enumerate(part)]
    return episodes


def _drive_to_the_end(task: ParkingTask, act: Act) -> None:
    count = task.simulator.num_envs
    shape = (count,) if task.options.discrete else (count, 2)
    actions = np.zeros(shape, np.int64 if task.options.discrete else np.float32)
    while len(left := np.flatnonzero(task.rows["outcome"] == RUNNING)):
        seen = {key: value[left] for key, value in task.observations().items()}
        actions[left] = act(seen, task.rows["allowed"][left] > 0)
        task.act(actions)


def _learned(inner: RunConfig, folder: Path, options: dict[str, Any]) -> tuple[Act, int]:
    """Train, or go on; who decides then, and how many samples that took."""
    from hybridrl.agents.common.checkpoint import load_weights
    from hybridrl.benchmarks.train import build_model, make_venv, train_one

    values = train_one(inner, folder)
    scratch = folder / "evaluation"
    scratch.mkdir(exist_ok=True)
    env = make_venv(inner.env, options, 1, inner.seed, scratch)
    model = build_model(inner.agent, env, inner.settings, inner.seed, "cpu")
    load_weights(model, folder / "parameters.pth")

    def act(seen: dict[str, NDArray[Any]], allowed: NDArray[np.bool_]) -> NDArray[Any]:
        if inner.agent == "hope-ppo":
            return np.asarray(model.predict(seen, action_masks=allowed)[0])  # type: ignore[call-arg]
        return np.asarray(model.predict(seen)[0])

    return act, int(values["steps"])


def _random(seed: int) -> Act:
    rng = np.random.default_rng(seed)

    def act(seen: dict[str, NDArray[Any]], allowed: NDArray[np.bool_]) -> NDArray[Any]:
        return np.asarray((rng.random(allowed.shape) * allowed).argmax(axis=1))

    return act


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every finished trial: a class is the environment, a variant the agent."""
    return [
        row_of(result, metric, value, n, int(result.values["steps"]), env=name)
        for result in results
        if result.status != "failed"
        for name in result.config.settings["classes"]
        for metric, (value, n) in metrics(
            read_rows(result.config.folder(root) / f"{name}.csv", Episode)
        ).items()
        if not metric.startswith("seconds")
    ]


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """Gear changes, the share within 40 decisions, and last the headline: success."""
    if not rows:
        return []
    return [
        _table(rows, "Gear changes of successes", lambda env, agent: _mean(rows, env, agent)),
        _table(
            rows, "Success within 40 decisions, %", lambda e, a: _rate(rows, e, a, "_within_40")
        ),
        _table(rows, "Success in % [95 % interval]", lambda e, a: _rate(rows, e, a, "")),
    ]


def _table(rows: Sequence[ResultRow], title: str, cell: Callable[[str, str], str]) -> Table:
    envs = list(dict.fromkeys(row.env for row in rows))
    agents = [name for name in VARIANTS if name in {row.agent for row in rows}]
    lines = tuple(
        (agent, _samples(rows, agent), *(cell(env, agent) for env in envs)) for agent in agents
    )
    notes = (
        f"{max(row.n for row in rows)} fixed scenes a class, motions drawn, 200 decisions, every "
        "path checked again at 1 cm; one part changed at a time.",
        *dict.fromkeys(f"Made by: {r.command} ({r.version}, commit {r.commit})" for r in rows),
    )
    heading = f"{title}: suite {rows[0].suite}, tier {rows[0].variant}"
    columns = ("variant", "samples (seeds)", *(e.replace("-", " ") for e in envs))
    return Table(heading, columns, lines, notes)


def _samples(rows: Sequence[ResultRow], agent: str) -> str:
    own = [row for row in rows if row.agent == agent]
    return f"{max(row.steps for row in own):,} ({len({row.seed for row in own})})"


def _rate(rows: Sequence[ResultRow], env: str, agent: str, suffix: str) -> str:
    return percent(*interval(rows, env, agent, f"success{suffix}"))


def _mean(rows: Sequence[ResultRow], env: str, agent: str) -> str:
    value, n = pooled(rows, env, agent, "gear_changes_mean")
    return f"{value:.1f}" if n else "-"
