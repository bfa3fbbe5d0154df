"""Settings as they are typed on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from hybridrl.planners.errors import ScenarioError


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs; values are TOML, and bare words are text.

    Raises:
        ScenarioError: If a pair has no ``=`` or its key is no name.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ScenarioError("setting", pair, "key=value, as in learning_rate=3e-4")
        try:
            settings |= tomllib.loads(f"{key} = {value}")
        except RecursionError as error:
            raise ScenarioError("setting", pair, "a value that is not nested so deeply") from error
        except ValueError:  # no TOML, or a number that is too long
            settings[key.strip()] = value.strip()
    return settings
