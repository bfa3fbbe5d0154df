"""What ``hybridrl list`` prints, read from the registries without loading what they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hybridrl.agents.registry import AGENTS
from hybridrl.benchmarks.suites import SUITES
from hybridrl.datasets.registry import list_datasets
from hybridrl.envs.registration import ENVS
from hybridrl.planners.registry import PLANNERS

Records = list[dict[str, Any]]


def env_records() -> Records:
    """Every environment id."""
    return [{"id": e.id, "kwargs": _options(e.kwargs), "summary": e.summary} for e in ENVS]


def planner_records() -> Records:
    """Every planner."""
    return [{"name": name, "class": where} for name, where in PLANNERS.items()]


def agent_records() -> Records:
    """Every agent."""
    rows = AGENTS.items()
    return [{"name": k, "class": row.entry_point, "summary": row.summary} for k, row in rows]


def suite_records() -> Records:
    """Every benchmark suite."""
    return [
        {
            "name": name,
            "title": suite.title,
            "envs": ", ".join(suite.envs),
            "agents": ", ".join(suite.agents),
            "reproduces": suite.reproduces,
        }
        for name, suite in SUITES.items()
    ]


CATALOGUE: dict[str, Callable[[], Records]] = {
    "envs": env_records,
    "agents": agent_records,
    "datasets": list_datasets,
    "suites": suite_records,
    "planners": planner_records,
}


def _options(kwargs: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in kwargs.items())
