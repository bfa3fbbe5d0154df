"""Files that appear under their name only once they are complete, and facts that travel in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset

FORMAT = 1


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place at the end, if nothing goes wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in abandoned(path.parent, f".{path.stem}.", f".partial{path.suffix}"):
        stale.unlink(missing_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sha256_of(path: Path, start: int = 0) -> str:
    """Of a file's bytes from ``start`` on; damaged HDF5 is told apart before HDF5 looks at it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def abandoned(folder: Path, before: str, after: str = "") -> list[Path]:
    """What killed processes have left: names that hold the number of a process that is gone."""
    found = []
    for path in folder.glob(f"{before}*{after}"):
        number = path.name.removeprefix(before).removesuffix(after)
        if number.isdecimal() and not _alive(int(number)):
            found.append(path)
    return found


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def facts_of(dataset: OfflineDataset) -> dict[str, Any]:
    """What a file says about its dataset besides the arrays; JSON-able."""
    from minari.serialization import serialize_space

    spaces = {"observation_space": dataset.observation_space, "action_space": dataset.action_space}
    known = {key: serialize_space(space) for key, space in spaces.items() if space is not None}
    return {
        "format": FORMAT,
        "fingerprint": dataset.fingerprint(),
        "metadata": dict(dataset.metadata),
        **known,
    }


def facts_json(dataset: OfflineDataset) -> str:
    """:func:`facts_of` as JSON.

    Raises:
        DatasetError: If the metadata cannot be written as JSON.
    """
    try:
        return json.dumps(facts_of(dataset))
    except (TypeError, ValueError) as error:
        raise DatasetError("metadata", str(error), "what JSON can hold") from error


def parse_facts(text: str | bytes) -> dict[str, Any]:
    """Read what :func:`facts_json` wrote; spaces become keyword arguments of the dataset.

    Raises:
        DatasetError: If it is damaged or of a later format.
    """
    from minari.serialization import deserialize_space

    try:
        facts = json.loads(text)
        if facts["format"] != FORMAT:
            raise DatasetError("format", facts["format"], str(FORMAT))
        for key in ("observation_space", "action_space"):
            facts[key] = deserialize_space(facts[key]) if key in facts else None
        if not isinstance(facts["metadata"], dict):
            raise DatasetError("metadata", facts["metadata"], "an object")
        return dict(facts)
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError("facts", f"{type(error).__name__}: {error}", "undamaged JSON") from error


def check_fingerprint(dataset: OfflineDataset, facts: Mapping[str, Any]) -> OfflineDataset:
    """The dataset itself, when it is the one that was written.

    Raises:
        DatasetError: If a bit of it has changed.
    """
    written = facts.get("fingerprint", "")
    if written and written != dataset.fingerprint():
        raise DatasetError("fingerprint", dataset.fingerprint(), f"{written}, as it was written")
    return dataset
