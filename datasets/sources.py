"""One door for offline data: whatever it is, it comes out as an :class:`OfflineDataset`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybridrl.datasets.columns import from_columns
from hybridrl.datasets.d4rl import SUFFIXES, read_d4rl
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.minari_store import is_minari, read_minari
from hybridrl.datasets.npz import read_npz
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.replay import from_replay_buffer, is_replay

EXPECTED = (
    "an OfflineDataset, a dictionary of arrays, an .npz or .hdf5 file, a Minari id, folder or "
    "dataset, or a replay buffer"
)


def as_dataset(source: Any, env: Any = None) -> OfflineDataset | None:
    """Offline data from anything that holds it.

    Args:
        source: An ``OfflineDataset``; a dictionary of arrays; the path of an ``.npz`` or ``.hdf5``
            file or of a Minari folder; a Minari id in the local store; a ``MinariDataset``; a
            Stable-Baselines3 replay buffer, or a model that has one; ``None``, which stays
            ``None``.
        env: Environment, or anything with ``observation_space`` and ``action_space``, that the
            data has to fit.

    Raises:
        DatasetError: If it is none of these, is damaged, or does not fit; the field is named.
        UnknownNameError: If no local dataset has that id; the message gives the nearest ones.
    """
    if source is None:
        return None
    dataset = _read(source)
    if env is None:
        return dataset
    return replace(dataset, observation_space=env.observation_space, action_space=env.action_space)


def _read(source: Any) -> OfflineDataset:
    if isinstance(source, OfflineDataset):
        return source
    if isinstance(source, Mapping):
        return from_columns(source)
    if is_minari(source):
        return read_minari(source)
    if isinstance(source, str | Path):
        return _read_path(source)
    if is_replay(source):
        return from_replay_buffer(source)
    raise DatasetError("offline_dataset", source, EXPECTED)


def _read_path(source: str | Path) -> OfflineDataset:
    suffix = Path(source).suffix.lower()
    if suffix == ".npz":
        return read_npz(source)
    if suffix in SUFFIXES:
        return read_d4rl(source)
    return read_minari(source)
