"""Files of NORA and its kin: plain arrays and JSON in one archive, nothing that is code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

FORMAT = 1
_HEAD = "description"


def write_agent(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], description: dict[str, Any]
) -> Path:
    """Write one archive; ``.zip`` is added where the path has no suffix.

    Args:
        path: Of the file.
        arrays: What was learned.
        description: JSON-able; its ``agent`` is checked on reading.
    """
    file = Path(path)
    file = file if file.suffix else file.with_suffix(".zip")
    file.parent.mkdir(parents=True, exist_ok=True)
    text = np.frombuffer(json.dumps({"format": FORMAT, **description}).encode(), np.uint8)
    with file.open("wb") as stream:
        named: dict[str, Any] = {**arrays, _HEAD: text}
        np.savez_compressed(stream, **named)
    return file


def read_agent(path: str | Path, agent: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Description and arrays of an archive; nothing is unpickled.

    Args:
        path: Of :func:`write_agent`.
        agent: Name of the class that it must be of.

    Raises:
        ScenarioError: If the file is missing, damaged or of another agent.
    """
    file = Path(path)
    file = file if file.suffix else file.with_suffix(".zip")
    try:
        with np.load(file, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files if name != _HEAD}
            found = parse_json(data[_HEAD].tobytes())
        given = (found["format"], found["agent"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ScenarioError(str(file), str(error), f"a file of {agent}.save") from error
    if given != (FORMAT, agent):
        raise ScenarioError(str(file), given, f"format {FORMAT} of {agent}")
    return found, arrays
