"""The prompt of a language model: rules, remembered cases, the scene, the contract.

What never changes stands first, so that a server can keep it in its prefix cache
(``driving.md`` 3.5). Everything in it is numbers and words of ours; foreign text is cleaned.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from hybridrl.agents.tell_drive.teachers.advice import actions_of
from hybridrl.agents.tell_drive.teachers.answer import answer_schema
from hybridrl.planners.errors import UnknownNameError

if TYPE_CHECKING:
    from hybridrl.agents.tell_drive.teachers.client import Message
    from hybridrl.envs.driving.scene import Scene

LONGEST_NOTE = 200  # characters of foreign text
_MARKERS = re.compile(
    r"<\|[^|>]{0,40}\|>|<</?SYS>>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|#{2,}|`{3,}", re.I
)


class Case(NamedTuple):
    """A remembered scene with what was right to do there.

    Args:
        id: In the memory.
        text: The scene, as the prompt words it.
        action: That was right.
        note: Why, in a few words; may be of foreign origin.
    """

    id: int
    text: str
    action: str
    note: str = ""


def template_version() -> str:
    """Version of the prompt's words; part of every cache key."""
    return str(_words()["version"])


def build_prompt(
    scene: Scene, cases: Sequence[Case] = (), reasoning: bool = True
) -> tuple[list[Message], dict[str, Any]]:
    """Messages for a scene, and the schema of the answer.

    Args:
        scene: What is asked about.
        cases: Remembered scenes, the nearest first.
        reasoning: Ask for a sentence before the action.

    Raises:
        UnknownNameError: If the scenario has no rules.
    """
    words = _words()
    if scene.scenario not in words["rules"]:
        raise UnknownNameError("scenario", scene.scenario, words["rules"])
    contract = words["contract" if reasoning else "short_contract"]
    actions = "\n".join(f"- {name}: {words['actions'][name]}" for name in actions_of(scene))
    system = words["system"].strip().replace("{actions}", actions).replace("{contract}", contract)
    system = system.replace("{rules}", words["rules"][scene.scenario].strip("\n"))
    messages = [{"role": "system", "content": system}]
    for case in cases:
        messages.append({"role": "user", "content": case.text})
        messages.append({"role": "assistant", "content": _turn(case, reasoning)})
    asked = f"{scene.text()}\n{words['reminder']}"
    messages.append({"role": "user", "content": asked})
    return messages, answer_schema(scene.available, reasoning)


def clean(text: str, longest: int = LONGEST_NOTE) -> str:
    """Foreign text for a prompt: one line, no control characters, no chat-template markers.

    Args:
        text: From a configuration, a file or a model.
        longest: Characters that are kept.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    while plain != (shorter := _MARKERS.sub(" ", plain)):
        plain = shorter
    return " ".join(plain.split())[:longest]


def _turn(case: Case, reasoning: bool) -> str:
    said: dict[str, Any] = {"action": case.action}
    if reasoning:
        note = clean(case.note) or "this was right in such a scene"
        said = {"reasoning": note, "action": case.action, "confidence": 0.8}
    return json.dumps(said)


@cache
def _words() -> dict[str, Any]:
    file = resources.files("hybridrl.agents.tell_drive.teachers").joinpath("prompt.toml")
    return tomllib.loads(file.read_text("utf-8"))
