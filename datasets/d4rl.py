"""Datasets in D4RL's layout: one HDF5 file with flat keys."""

from __future__ import annotations

from pathlib import Path

from hybridrl.datasets.columns import from_columns, to_columns
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.files import (
    check_fingerprint,
    facts_json,
    parse_facts,
    replacing,
    sha256_of,
)
from hybridrl.datasets.hdf5 import arrays_of, opened, own, text
from hybridrl.datasets.offline import OfflineDataset

_D4RL_NAMES = {"terminations": "terminals", "truncations": "timeouts"}
_FACTS = "facts"
SUFFIXES = (".hdf5", ".h5")
# HDF5 leaves the first bytes of a file to its users: ours hold the sha256 of the rest.
_HEAD, _MARK = 512, b"hybridrl sha256 "


def write_d4rl(dataset: OfflineDataset, path: str | Path) -> Path:
    """Write ``observations``, ``actions``, ``next_observations``, ``rewards``, ``terminals``,
    ``timeouts``, whole or not at all; readers of D4RL files understand it.

    Dictionary observations become a group with one array a key. Facts (spaces, provenance,
    fingerprint) stand as JSON in ``metadata/facts``; the file's head holds the sha256 of the rest.

    Args:
        dataset: What to write.
        path: Ends with ``.hdf5`` or ``.h5``.

    Raises:
        DatasetError: If the name ends otherwise or the metadata is not JSON-able.
    """  # noqa: D205
    import h5py

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise DatasetError("out", str(path), f"a file name that ends with {' or '.join(SUFFIXES)}")
    facts = facts_json(dataset)
    with replacing(path) as partial:
        with h5py.File(partial, "w", userblock_size=_HEAD) as file:
            for name, array in to_columns(dataset).items():
                head, _, rest = name.partition(".")
                key = _D4RL_NAMES.get(head, head) + (f"/{rest}" if rest else "")
                file.create_dataset(key, data=array, compression="gzip", chunks=True)
            file.create_dataset(f"metadata/{_FACTS}", data=facts)
        with partial.open("r+b") as block:
            block.write(_MARK + sha256_of(partial, _HEAD).encode() + b"\n")
    return path


def read_d4rl(path: str | Path) -> OfflineDataset:
    """Read a D4RL file, or what :func:`write_d4rl` wrote; rows that time ended are kept.

    ``next_observations`` is read where it is there; otherwise see
    :func:`hybridrl.datasets.columns.from_columns`.

    Raises:
        DatasetError: If the file is damaged, points outside itself, or is no dataset; it names
            the field.
    """
    _check_head(Path(path))
    facts = {}
    with opened(path) as file:
        columns = arrays_of(file, skip=("infos", "metadata"))
        if "metadata" in file and _FACTS in own(file, "metadata", "metadata"):
            facts = parse_facts(text(own(file["metadata"], _FACTS, "metadata/facts"), _FACTS))
    spaces = {key: facts.get(key) for key in ("observation_space", "action_space")}
    dataset = from_columns(columns, metadata=facts.get("metadata", {}), **spaces)
    return check_fingerprint(dataset, facts)


def _check_head(path: Path) -> None:
    """Refuse a file of ours that has changed; HDF5 itself may hang on a damaged one."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DatasetError(str(path), str(error), "an HDF5 file") from error
    if head.startswith(_MARK):
        written = head.removeprefix(_MARK)[:64].decode("ascii", "replace")
        if written != (found := sha256_of(path, _HEAD)):
            raise DatasetError(f"sha256 of {path.name}", found, f"{written}, as it was written")
