"""What a suite is: a row of the table, a request of the command line, a module's functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.tables import Table

TIERS = ("smoke", "quick", "cpu", "full")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What a benchmark compares on what.

    Args:
        title: Heading of its tables.
        module: Where its :class:`SuiteModule` functions stand.
        envs: Gymnasium ids or scene classes, in the order of the table.
        agents: Agents or planners, in the order of the table.
        tiers: Settings of each tier: ``smoke`` (seconds), ``quick`` (at most
            10 minutes on 2 cores), ``cpu`` (the
            figures of record, at most 12 hours on 2 cores) and ``full``.
        seeds: How many seeds unless asked otherwise.
        quick_seeds: How many at the tier ``quick``, if not so many.
        reproduces: The paper and table that it stands beside, for ``published.toml``.
    """

    title: str
    module: str
    envs: tuple[str, ...]
    agents: tuple[str, ...]
    tiers: Mapping[str, Mapping[str, Any]]
    seeds: int = 1
    quick_seeds: int | None = None
    reproduces: str = ""

    def seeds_at(self, tier: str) -> int:
        """How many seeds unless asked otherwise."""
        return self.quick_seeds or self.seeds if tier == "quick" else self.seeds


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked of a suite, with everything filled in.

    Args:
        suite: Its name.
        envs: Chosen rows of ``Suite.envs``.
        agents: Chosen rows of ``Suite.agents``.
        seeds: The seeds themselves.
        variant: Name of tier and budget, part of folder names and of the results table.
        settings: The tier's settings with those of the command line over them.
        command: The command line.
    """

    suite: str
    envs: tuple[str, ...]
    agents: tuple[str, ...]
    seeds: tuple[int, ...]
    variant: str
    settings: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    def trial(
        self,
        *,
        env: str,
        agent: str,
        work: str,
        seed: int,
        settings: dict[str, Any],
        part: str = "",
    ) -> RunConfig:
        """One trial of this request; the arguments are those of :class:`RunConfig`."""
        return RunConfig(
            suite=self.suite,
            env=env,
            agent=agent,
            work=work,
            seed=seed,
            variant=self.variant,
            part=part,
            settings=settings,
            command=self.command,
        )


class SuiteModule(Protocol):
    """The functions that a suite's module offers."""

    def variant(self, tier: str, settings: dict[str, Any]) -> str:
        """Name of what is asked, as in ``quick-1s``."""
        ...

    def trials(self, request: Request) -> list[RunConfig]:
        """The trials of a request."""
        ...

    def summarise(self, results: Sequence[RunResult], root: Path) -> list[ResultRow]:
        """Long rows from finished trials."""
        ...

    def tables(self, rows: Sequence[ResultRow]) -> list[Table]:
        """What is printed from the long rows of one variant; the headline comes last."""
        ...

    def plots(self, rows: Sequence[ResultRow], folder: Path) -> list[Path]:
        """Figures drawn from the long rows of one variant."""
        ...
