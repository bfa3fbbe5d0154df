"""``hybridrl teacher``: ask a teacher, compare it with the planner, look into its cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridrl.console import Group, progress, say, show, show_json, show_records, show_values

if TYPE_CHECKING:
    from hybridrl.agents.tell_drive.teachers.advice import Teacher

teacher = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Teachers of the driving student: rules, planners, language models.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Of the scenes.")]
Name = Annotated[str, typer.Argument(metavar="TEACHER", help="A name of `teacher list`.")]
Env = Annotated[str, typer.Option(help="highway, merge, intersection or roundabout.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value of the teacher, as in base_url=http://...; repeats."),
]


def _made(name: str, settings: list[str] | None) -> Teacher:
    from hybridrl.agents.tell_drive.teachers.registry import make_teacher
    from hybridrl.benchmarks.settings import parse_settings

    return make_teacher(name, **parse_settings(settings or []))


@teacher.command(name="list")
def list_teachers(as_json: Json = False) -> None:
    """Which teachers there are."""
    from hybridrl.agents.tell_drive.teachers.registry import TEACHERS

    rows = [{"teacher": name, "what": row.summary} for name, row in TEACHERS.items()]
    show_records("teachers", rows, as_json)


@teacher.command()
def ask(
    name: Name,
    env: Env = "highway",
    seed: Seed = 0,
    step: Annotated[int, typer.Option(min=0, help="Decisions before the scene.")] = 3,
    prompt: Annotated[bool, typer.Option("--prompt", help="Print the prompt too.")] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show one scene to a teacher: its advice, what it cost, and whether the planner agrees."""
    from hybridrl.agents.tell_drive.teachers.bench import ask_once

    numbers = ask_once(_made(name, settings), env, seed, step)
    messages = numbers.pop("prompt")
    if as_json:
        return show_json({**numbers, "prompt": messages} if prompt else numbers)
    if prompt:
        for message in messages:
            show(f"[{message['role']}]\n{message['content']}\n")
    show_values(f"{name} on {env}", numbers, False)


@teacher.command()
def bench(
    name: Name,
    env: Env = "highway",
    scenes: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    seed: Seed = 0,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Ask about many scenes: validity, agreement with the planner, seconds, tokens, money."""
    from hybridrl.agents.tell_drive.teachers.bench import ask_many

    made = _made(name, settings)
    with progress(scenes) as ticker:
        numbers = ask_many(made, env, scenes, seed, lambda: ticker.tick(f"{name} on {env}"))
    show_values(f"{name} on {scenes} scenes of {env}", numbers, as_json)


@teacher.command()
def cache(
    file: Annotated[Path, typer.Argument(help="SQLite file of the answers.")],
    clear: Annotated[bool, typer.Option("--clear", help="Forget all answers.")] = False,
    as_json: Json = False,
) -> None:
    """What is in a cache of answers."""
    from hybridrl.agents.tell_drive.teachers.cache import AnswerCache
    from hybridrl.planners.errors import ScenarioError

    if not file.is_file():
        raise ScenarioError("file", str(file), "a cache that a teacher wrote")
    opened = AnswerCache(file, "read-write" if clear else "read-only")
    numbers: dict[str, Any] = opened.stats()
    if clear:
        say(f"forgot {opened.clear()} answers")
    opened.close()
    show_values(str(file), numbers, as_json)


@teacher.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Any free one when 0.")] = 8080,
) -> None:
    """Serve the small local model as an OpenAI-compatible endpoint on this machine."""
    from hybridrl.agents.tell_drive.teachers.local import SmallModel, completion_of
    from hybridrl.agents.tell_drive.teachers.serve import Endpoint

    model = SmallModel()
    with Endpoint(completion_of(model), model.name, port) as endpoint:
        say(f"{model.name} (a demonstration) at {endpoint.base_url}; Ctrl-C ends it")
        endpoint.wait()
