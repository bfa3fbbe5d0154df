"""``hybridrl storage``: traces, generators, replays, trained agents, compared policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridrl.console import Group, progress, say, show_records, show_values

if TYPE_CHECKING:
    from hybridrl.envs.storage.traces.trace import Trace

storage = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Hybrid storage: traces, workloads, policies.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Source = Annotated[
    str, typer.Argument(metavar="TRACE", help="A trace file, or a workload of the suite.")
]
Format = Annotated[
    str | None, typer.Option("--format", help="Of the file [default: by its content].")
]
Errors = Annotated[str, typer.Option("--errors", help="raise, or skip lines that cannot be read.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Read at most so many requests.")]
Scale = Annotated[float, typer.Option(min=1e-6, help="Factor on the size of a workload.")]
Config = Annotated[str, typer.Option(help="perf, cost, tri or quad.")]
Load = Annotated[
    float | None,
    typer.Option(min=1e-6, help="Arrival times so that the slowest device is so busy."),
]
Fast = Annotated[
    float | None, typer.Option(min=1e-9, max=1.0, help="Fast capacity over the unique pages.")
]


def _source(
    name: str,
    format: str | None = None,
    errors: str = "raise",
    limit: int | None = None,
    seed: int = 0,
    scale: float = 1.0,
    config: str = "perf",
    load: float | None = None,
) -> Trace:
    """A workload of the suite by name, or a trace file."""
    from hybridrl.envs.storage.traces.readers import read_trace
    from hybridrl.envs.storage.traces.synthetic import set_load
    from hybridrl.envs.storage.traces.workloads import WORKLOADS, make_workload
    from hybridrl.planners.errors import UnknownNameError

    if name in WORKLOADS:
        trace = make_workload(name, seed, scale, config, load or 0.3)
        return trace.head(limit) if limit else trace
    if not Path(name).exists() and "/" not in name and "." not in name:
        raise UnknownNameError("trace file or workload", name, WORKLOADS)
    total = max(1, Path(name).stat().st_size >> 20) if Path(name).is_file() else 1
    with progress(total) as ticker:
        trace = read_trace(
            name, format, errors=errors, limit=limit, tick=lambda _: ticker.tick(f"reading {name}")
        )
    for note in trace.notes:
        say(f"{name}: {note}")
    return set_load(trace, config, load) if load else trace


@storage.command()
def inspect(
    trace: Source,
    format: Format = None,
    errors: Errors = "raise",
    limit: Limit = None,
    seed: Seed = 0,
    scale: Scale = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write the trace as .npz.")] = None,
    as_json: Json = False,
) -> None:
    """Statistics of a trace: sizes, reuse, locality, order."""
    found = _source(trace, format, errors, limit, seed, scale)
    show_values(found.name, found.stats(), as_json)
    if out:
        say(str(found.save(out)))


@storage.command()
def fit(
    trace: Source,
    format: Format = None,
    errors: Errors = "raise",
    limit: Limit = None,
    seed: Seed = 0,
    scale: Scale = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write a generated trace as .npz.")] = None,
    as_json: Json = False,
) -> None:
    """Parameters of the generator that resemble a trace, and how well."""
    import dataclasses

    from hybridrl.envs.storage.traces.fit import fit as fit_trace
    from hybridrl.envs.storage.traces.synthetic import generate

    found = _source(trace, format, errors, limit, seed, scale)
    with progress(2) as ticker:
        spec = fit_trace(found)
        ticker.tick("fitted")
        made = generate(spec, seed)
        ticker.tick("generated")
    if as_json:
        numbers = {"spec": dataclasses.asdict(spec), "trace": found.stats(), "made": made.stats()}
        show_values(found.name, numbers, True)
    else:
        show_values(f"generator for {found.name}", dataclasses.asdict(spec), False)
        pairs = zip(found.stats().items(), made.stats().values(), strict=False)
        rows = [{"what": k, "trace": a, "generated": b} for (k, a), b in pairs]
        show_records("trace and generated", rows, False)
    if out:
        say(str(made.save(out)))


@storage.command()
def replay(
    trace: Source,
    policy: Annotated[str, typer.Option(help="A policy; `storage compare` lists them.")] = "cde",
    config: Config = "perf",
    replay: Annotated[str, typer.Option(help="closed or open.")] = "closed",
    queue_depth: Annotated[int, typer.Option(help="Outstanding requests if closed.")] = 1,
    fast_fraction: Fast = None,
    noise: Annotated[bool, typer.Option(help="Random service times.")] = True,
    start: Annotated[float, typer.Option(help="Leave out this share at the beginning.")] = 0.0,
    format: Format = None,
    errors: Errors = "raise",
    limit: Limit = None,
    seed: Seed = 0,
    scale: Scale = 1.0,
    load: Load = None,
    as_json: Json = False,
) -> None:
    """Replay a trace under a policy and print every number of the run."""
    from hybridrl.envs.storage.compare import run_policy

    found = _source(trace, format, errors, limit, seed, scale, config, load)
    options = {"queue_depth": queue_depth, "fast_fraction": fast_fraction, "noise": noise}
    numbers = run_policy(found, config, policy, seed, start, replay=replay, **options)
    show_values(f"{policy} on {found.name}, {config}, {replay}", numbers, as_json)


@storage.command()
def train(
    agent: Annotated[str, typer.Argument(help="harmonia or sibyl.")],
    trace: Source,
    config: Config = "perf",
    profile: Annotated[
        str | None, typer.Option(help="harmonia, sibyl or default [default: the agent's].")
    ] = None,
    passes: Annotated[int, typer.Option(min=1, help="Runs over the trace.")] = 1,
    replay: Annotated[str, typer.Option(help="closed or open.")] = "closed",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value; may be repeated.")
    ] = None,
    format: Format = None,
    errors: Errors = "raise",
    limit: Limit = None,
    seed: Seed = 0,
    scale: Scale = 1.0,
    load: Load = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the trained agent.")] = None,
    as_json: Json = False,
) -> None:
    """Train a storage agent on a trace inside the engine, and say how each pass went."""
    from hybridrl import agents
    from hybridrl.benchmarks.settings import parse_settings
    from hybridrl.envs.storage.metrics import measure
    from hybridrl.planners.errors import UnknownNameError

    kinds = {"harmonia": agents.Harmonia, "sibyl": agents.Sibyl}
    if agent not in kinds:
        raise UnknownNameError("storage agent", agent, kinds)
    made = kinds[agent](profile=profile, seed=seed, **parse_settings(settings or []))
    found = _source(trace, format, errors, limit, seed, scale, config, load)
    rows = []
    for k in range(passes):
        numbers = measure(made.run(found, config, seed=seed + k, replay=replay))
        kept = {name: numbers[name] for name in ("requests", "mean_us", "p99_us", "iops")}
        rows.append({"pass": k + 1, **kept})
    show_records(f"{agent} on {found.name}, {config}, {replay}", rows, as_json)
    if out:
        say(str(made.save(out)))


@storage.command()
def compare(
    traces: Annotated[
        list[str] | None, typer.Argument(help="Trace files or workloads [default: the suite].")
    ] = None,
    suite: Annotated[
        int | None, typer.Option(min=1, max=17, help="The first so many workloads of the suite.")
    ] = None,
    config: Annotated[str, typer.Option(help="Names between commas.")] = "perf",
    policies: Annotated[str | None, typer.Option(help="Names between commas.")] = None,
    replay: Annotated[str, typer.Option(help="closed or open.")] = "closed",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    seed: Seed = 0,
    scale: Scale = 1.0,
    load: Load = None,
    fast_fraction: Fast = None,
    limit: Limit = None,
    start: Annotated[float, typer.Option(help="Leave out this share at the beginning.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="Write every run as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Mean latency over fast-only of many policies, and the oracle's, on many traces."""
    from hybridrl.envs.storage import compare as comparing
    from hybridrl.envs.storage.traces.workloads import WORKLOADS

    names = list(traces or []) or list(WORKLOADS)[: suite or len(WORKLOADS)]
    chosen = policies.split(",") if policies else list(comparing.DEFAULT_POLICIES)
    configs = config.split(",")
    comparing.check_names(configs, chosen)
    runs: list[dict[str, Any]] = []
    with progress(len(names) * len(configs) * seeds) as ticker:
        for at, name, k in ((c, n, s) for c in configs for n in names for s in range(seeds)):
            found = _source(name, None, "raise", limit, seed + k, scale, at, load)
            runs += comparing.compare(
                found, at, chosen, seed + k, start, replay=replay, fast_fraction=fast_fraction
            )
            ticker.tick(f"{at} {found.name}")
    for at in configs:
        rows = comparing.table([run for run in runs if run["config"] == at])
        if not as_json:
            show_records(f"mean latency over fast-only, {at}, {replay}", rows, False)
    if as_json:
        show_records("runs", runs, True)
    if out:
        from hybridrl.benchmarks.runs import write_json

        write_json(out, runs)
        say(str(out))
