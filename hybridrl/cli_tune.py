"""``hybridrl tune``: a search for good settings on Ray Tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridrl.console import FAILED, command_line, say, show, show_records


def tune(
    agent: Annotated[str, typer.Argument(help="A name of `list agents`.")],
    env: Annotated[str, typer.Argument(help="Any Gymnasium id.")],
    params: Annotated[
        list[str] | None,
        typer.Option("--param", help="name=kind:values, as in gamma=uniform:0.9,1; repeat it."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Draws.")] = 10,
    steps: Annotated[
        int | None, typer.Option("-n", "--steps", min=1, help="Timesteps [default: preset].")
    ] = None,
    metric: Annotated[str, typer.Option(help="return_mean or success_rate.")] = "return_mean",
    scheduler: Annotated[str, typer.Option(help="asha stops the worse early; none.")] = "asha",
    points: Annotated[int, typer.Option(min=1, help="Evaluations a trial.")] = 5,
    episodes: Annotated[int, typer.Option(min=1, help="Of each before the last.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draws and the trainings.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, the same for all trials.")
    ] = None,
    env_kwargs: Annotated[
        list[str] | None, typer.Option("--env-kwargs", help="key=value of the environment.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 2,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with this search.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start it again.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of run folders.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search for good settings of an agent; prints the trials and the best as a command."""
    from hybridrl.benchmarks.tuning import Search, best_command, search
    from hybridrl.benchmarks.tuning_space import parse_spaces

    asked = Search(
        agent=agent,
        env=env,
        spaces=parse_spaces(params or []),
        trials=trials,
        settings=(*([f"total_timesteps={steps}"] if steps else []), *(settings or [])),
        env_kwargs=tuple(env_kwargs or []),
        metric=metric,
        scheduler=scheduler,
        points=points,
        episodes=episodes,
        seed=seed,
        device=device,
        command=command_line(),
    )
    found = search(asked, out, jobs, address, resume, fresh)
    rows = [
        {"score": row.score, "steps": row.steps, "ended": row.ended, "settings": [*row.settings]}
        for row in found
    ]
    show_records(f"{agent} on {env}: {metric}", rows, as_json)
    say(str(asked.folder(out) / "trials.csv"))
    if not found or found[0].score is None:
        raise typer.Exit(FAILED)
    tell = say if as_json else show
    tell(best_command(asked, found[0]))
