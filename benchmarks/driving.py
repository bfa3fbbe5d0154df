"""The driving suite: who gets through traffic, with and without a teacher (``driving.md`` 5).

A trial is one driver in one scene with one seed: a learner is trained first, and goes on from its
checkpoint where it was interrupted; then it drives the test episodes, seeds 10000 and up.
Trials whose driver cannot be had (a language model that is not installed) say why and leave no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.benchmarks.driving_drivers import LEARNERS, trained, untrained
from hybridrl.benchmarks.driving_rollouts import TEST_SEED, Drive, drive
from hybridrl.benchmarks.driving_tables import plots, tables
from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.rows_file import read_rows, write_rows
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import Request

__all__ = ["plots", "run_driver", "summarise", "tables", "trials", "variant"]

EPISODES = "episodes.csv"


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier, steps of training and, where it is not the fast one, the back end."""
    backend = "" if settings["backend"] == "fast" else f"-{settings['backend']}"
    return f"{tier}-{settings['steps']}{backend}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each scene, driver and seed; what draws nothing drives once."""
    made = []
    for env in request.envs:
        for agent in request.agents:
            once = agent not in (*LEARNERS, "random")
            for seed in request.seeds[:1] if once else request.seeds:
                settings = {k: request.settings[k] for k in ("episodes", "backend", "over")}
                if agent in LEARNERS:
                    settings["steps"] = request.settings[LEARNERS[agent].budget]
                made.append(
                    request.trial(
                        env=env,
                        agent=agent,
                        work="hybridrl.benchmarks.driving:run_driver",
                        seed=seed,
                        settings=settings,
                    )
                )
    return made


def run_driver(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train if need be, drive the test episodes and write ``episodes.csv``."""
    reason = unavailable(config.agent, config.env)
    if reason:
        return {"skipped": reason}
    steps = 0
    if config.agent in LEARNERS:
        act, steps = trained(config, folder)
    else:
        act = untrained(config.agent, config.env, config.seed)
    seeds = range(TEST_SEED, TEST_SEED + config.settings["episodes"])
    episodes = drive(act, config.env, seeds, config.settings["backend"])
    write_rows(folder / EPISODES, Drive, episodes)
    return {"steps": steps, **{k: v for k, v in metrics(episodes).items() if k == "success"}}


def unavailable(agent: str, env: str) -> str:
    """Why a driver cannot be had on this machine, or ``""``."""
    if agent == "local":
        from hybridrl.agents.tell_drive.teachers.local import INSTALL, local_model_missing

        missing = local_model_missing()
        return f"no {', '.join(missing)}: {INSTALL}" if missing else ""
    if agent == "shipped":
        from hybridrl.agents.tell_drive.weights import shipped
        from hybridrl.planners.errors import ScenarioError

        try:
            shipped(env)
        except ScenarioError as error:
            return str(error)
    return ""


def metrics(episodes: Sequence[Drive]) -> dict[str, float]:
    """Rates of the outcomes, which sum to 1, and means."""
    count = len(episodes)
    rates = {
        name: sum(e.outcome == outcome for e in episodes) / count
        for name, outcome in (("success", "success"), ("crash", "crash"), ("timeout", "timeout"))
    }
    return {
        **rates,
        "return_mean": float(np.mean([e.episode_return for e in episodes])),
        "mean_speed": float(np.mean([e.mean_speed for e in episodes])),
        "decisions_mean": float(np.mean([e.decisions for e in episodes])),
        "decision_ms": float(np.mean([e.decision_ms for e in episodes])),
    }


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows of every finished trial; skipped ones have none."""
    rows = []
    for result in results:
        if result.status == "failed" or "skipped" in result.values:
            continue
        episodes = read_rows(result.config.folder(root) / EPISODES, Drive)
        steps = int(result.values.get("steps", 0))
        rows += [
            row_of(result, metric, value, len(episodes), steps)
            for metric, value in metrics(episodes).items()
        ]
    return rows
