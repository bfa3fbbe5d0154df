"""Minari datasets, in and out, through hand-made episode buffers."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.datasets.arrays import Array, Observations, mapped, named, stacked, whole_rows
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.files import (
    abandoned,
    check_fingerprint,
    facts_json,
    parse_facts,
    sha256_of,
)
from hybridrl.datasets.hdf5 import check_links, opened
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import UnknownNameError

_FACTS = "hybridrl"  # key of our facts in Minari's metadata
_UNFINISHED = "unfinished_episodes"  # key of the episodes without end flag
_SHA256 = "hybridrl_sha256"  # key of the data file's sha256
_MAIN = "main_data.hdf5"
MOST_EPISODES = 100_000_000  # Minari makes a list of them before it reads any


def store_root() -> Path:
    """The local Minari store: ``$MINARI_DATASETS_PATH`` or ``~/.minari/datasets``."""
    from minari.storage.datasets_root_dir import get_dataset_path

    return Path(get_dataset_path())


def write_minari(
    dataset: OfflineDataset,
    name: str,
    *,
    env: Any = None,
    eval_env: Any = None,
    algorithm: str = "unknown",
    author: str = "hybridrl",
    description: str = "",
    replace: bool = False,
    root: Path | None = None,
    **metadata: Any,
) -> Path:
    """Put a dataset into the local Minari store, whole or not at all.

    The next observation of a row is the observation of the row after it, so both must agree within
    an episode. Episodes without an end flag are marked as truncated for Minari, and told apart
    again when read.

    Args:
        dataset: What to write.
        name: Minari id, as in ``hybridrl/halfcheetah/medium-v0``.
        env: Gymnasium id, spec or environment that the data comes from, if there is one.
        eval_env: The same for evaluation [default: ``env``].
        algorithm: What acted.
        author: Who made it.
        description: A sentence.
        replace: Take the place of a dataset of that name.
        root: Folder of another Minari store than the local one.
        **metadata: More entries of Minari's metadata (JSON-able), as in ``ref_min_score=0.0``.

    Returns:
        The folder of the dataset.

    Raises:
        DatasetError: If the name is no Minari id or taken, or episodes are not continuous.
    """
    import minari

    root = store_root() if root is None else root.absolute()
    home = root / checked_id(name)
    if home.exists() and not replace:
        raise DatasetError("name", name, "a name that is not taken yet")
    _check_continuous(dataset)
    flagged = (dataset.terminations | dataset.truncations)[dataset.ends - 1]
    own = {_FACTS: facts_json(dataset), _UNFINISHED: np.flatnonzero(~flagged).tolist()}
    with _staging(root) as staging, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is set to None")
        warnings.filterwarnings("ignore", message="env_spec is None")
        created = minari.create_dataset_from_buffers(
            name,
            list(_episodes(dataset)),
            env=env,
            eval_env=eval_env,
            algorithm_name=algorithm,
            author=author,
            description=description,
            observation_space=dataset.observation_space or unbounded(dataset.observations),
            action_space=dataset.action_space or unbounded(dataset.actions),
            data_format="hdf5",
            jpeg_encoding=False,
        )
        own[_SHA256] = sha256_of(Path(created.storage.data_path) / _MAIN)
        created.storage.update_metadata({**own, **metadata})
        _move(staging, root, name)
    return home


def read_minari(source: Any) -> OfflineDataset:
    """Read a Minari dataset: a ``MinariDataset``, a folder, or an id in the local store.

    No environment is made and no code named in the file is run.

    Raises:
        UnknownNameError: If no local dataset has that id.
        DatasetError: If it is damaged, points outside itself, or its arrays do not fit; it names
            the field.
    """
    data = source if is_minari(source) else _open(source)
    metadata = data.storage.metadata
    facts = parse_facts(metadata[_FACTS]) if _FACTS in metadata else {}
    indices = np.asarray(data.episode_indices).tolist()
    parts = list(_read_episodes(data, indices))
    columns: dict[str, Any] = {name: stacked([part[name] for part in parts]) for name in parts[0]}
    ends = np.cumsum([len(part["rewards"]) for part in parts])
    unfinished = metadata.get(_UNFINISHED, [])
    if not isinstance(unfinished, list):
        raise DatasetError(_UNFINISHED, unfinished, "a list of episodes")
    open_ends = ends[[k for k, index in enumerate(indices) if index in unfinished]]
    columns["truncations"][open_ends - 1] = False
    dataset = OfflineDataset(
        **columns,
        ends=ends,
        observation_space=data.observation_space,
        action_space=data.action_space,
        metadata=facts.get("metadata", {}),
    )
    whole = indices == list(range(metadata["total_episodes"]))
    return check_fingerprint(dataset, facts) if whole else dataset


def is_minari(source: Any) -> bool:
    """Whether something is a ``MinariDataset``."""
    return type(source).__module__.split(".")[0] == "minari"


def checked_id(name: str) -> str:
    """The name itself, if it is a Minari id with a version.

    Raises:
        DatasetError: If it is not.
    """
    from minari.dataset.minari_dataset import DATASET_ID_RE

    match = DATASET_ID_RE.fullmatch(name)
    if match is None or match["version"] is None:
        raise DatasetError("name", name, "a Minari id, as in hybridrl/halfcheetah/medium-v0")
    return name


def unbounded(data: Observations) -> gym.Space[Any]:
    """A space for data whose space is not known."""
    if isinstance(data, dict):
        return gym.spaces.Dict({key: unbounded(array) for key, array in data.items()})
    if data.dtype == np.uint8:
        return gym.spaces.Box(0, 255, data.shape[1:], np.uint8)
    if data.dtype.kind == "i":
        low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        return gym.spaces.Box(low, high, data.shape[1:], np.int64)
    return gym.spaces.Box(-np.inf, np.inf, data.shape[1:], np.float32)


def _check_continuous(dataset: OfflineDataset) -> None:
    inside = np.setdiff1d(np.arange(len(dataset)), dataset.ends - 1)
    before = dict(named("next_observations", dataset.observations))
    for name, array in named("next_observations", dataset.next_observations):
        same = whole_rows(array[inside] == before[name][inside + 1])
        if not same.all():
            row = int(inside[np.argmin(same)])
            raise DatasetError(
                f"{name}[{row}]", array[row].tolist(), "the observation of the next row, or an end"
            )


def _episodes(dataset: OfflineDataset) -> Iterator[Any]:
    from minari.data_collector import EpisodeBuffer

    for start, end in zip(dataset.starts, dataset.ends, strict=True):
        rows, last = slice(start, end), slice(end - 1, end)
        parts = [_part(dataset.observations, rows), _part(dataset.next_observations, last)]
        truncations = dataset.truncations[rows].copy()
        truncations[-1] |= not dataset.terminations[end - 1]
        returns = dataset.mc_returns
        yield EpisodeBuffer(
            observations=_nested(stacked(parts), dataset.observation_space),
            actions=dataset.actions[rows],
            rewards=dataset.rewards[rows],
            terminations=dataset.terminations[rows],
            truncations=truncations,
            infos=None if returns is None else {"mc_returns": returns[rows]},
        )


def _part(data: Observations, rows: slice) -> Observations:
    return mapped(lambda array: array[rows], data)


def _nested(data: Observations, space: Any, prefix: str = "") -> Any:
    """Dotted keys back into the dictionaries of the space."""
    if not isinstance(data, dict):
        return data
    if not isinstance(space, gym.spaces.Dict):
        return data if space is None else data[prefix]
    path = f"{prefix}." if prefix else ""
    return {key: _nested(data, part, f"{path}{key}") for key, part in space.spaces.items()}


def _open(source: Any) -> Any:
    import minari

    folder = Path(source)
    if not folder.is_dir():
        folder = store_root() / str(source)
        if not folder.is_dir():
            known = minari.list_local_datasets()
            raise UnknownNameError("local dataset", str(source), known or ["none is stored yet"])
    folder = folder / "data" if (folder / "data").is_dir() else folder
    try:
        metadata = minari.dataset.minari_storage.MinariStorage.read_raw_metadata(folder)
        for key in ("observation_space", "action_space"):  # or Minari would make the environment
            if not isinstance(metadata.get(key), str):
                raise DatasetError(key, metadata.get(key), "a space in metadata.json")
        count = metadata.get("total_episodes")
        if not isinstance(count, int) or not 0 < count <= MOST_EPISODES:
            raise DatasetError("total_episodes", count, f"1 to {MOST_EPISODES}")
        written = metadata.get(_SHA256)
        if written is not None and written != (found := sha256_of(folder / _MAIN)):
            raise DatasetError(f"sha256 of {_MAIN}", found, f"{written}, as it was written")
        data = minari.MinariDataset(folder)
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError("metadata.json", f"{type(error).__name__}: {error}", "whole") from error
    return data


def _read_episodes(data: Any, indices: list[int]) -> Iterator[dict[str, Any]]:
    file = Path(data.storage.data_path) / _MAIN
    if file.exists():
        with opened(file) as links:
            check_links(links)
    if not indices:
        raise DatasetError("total_episodes", 0, "at least one episode")
    for index in indices:
        try:
            (episode,) = data.storage.get_episodes([index])
            rows = len(episode["rewards"])
            seen = episode["observations"]
            part = {name: episode[name] for name in ("rewards", "actions", "terminations")}
            part["truncations"] = np.array(episode["truncations"])
            part["observations"] = _sliced(seen, rows, 0)
            part["next_observations"] = _sliced(seen, rows, 1)
            if "mc_returns" in (episode["infos"] or {}):
                part["mc_returns"] = episode["infos"]["mc_returns"]
        except DatasetError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise DatasetError(f"episode_{index}", text, "a whole episode") from error
        yield part


def _sliced(seen: Any, rows: int, first: int) -> Any:
    if isinstance(seen, dict):
        return {
            f"{key}.{inner}" if inner else key: array
            for key, part in seen.items()
            for inner, array in _pairs(_sliced(part, rows, first))
        }
    array = np.asarray(seen)
    if len(array) != rows + 1:
        raise DatasetError("observations", f"{len(array)} rows", f"{rows + 1}, one more than steps")
    return array[first : first + rows]


def _pairs(part: Any) -> list[tuple[str, Array]]:
    return list(part.items()) if isinstance(part, dict) else [("", part)]


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """A hidden store inside the store, in which Minari writes until all is there."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    staging = root / f".partial-{os.getpid()}"
    for stale in (staging, *abandoned(root, ".partial-")):
        shutil.rmtree(stale, ignore_errors=True)
    staging.mkdir(parents=True)
    os.environ["MINARI_DATASETS_PATH"] = str(staging)
    try:
        yield staging
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
        shutil.rmtree(staging, ignore_errors=True)


def _move(staging: Path, root: Path, name: str) -> None:
    """Put the finished dataset in its place, with the namespaces that it needs."""
    home = root / name
    home.parent.mkdir(parents=True, exist_ok=True)
    for folder in (staging / name).relative_to(staging).parents[:-1]:
        facts = folder / "namespace_metadata.json"
        if not (root / facts).exists():
            (root / facts).write_text("{}", encoding="utf-8")
    old = staging / "replaced"
    if home.exists():
        home.rename(old)
    (staging / name).rename(home)
