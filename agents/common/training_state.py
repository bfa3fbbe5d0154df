"""Everything that a training needs to go on as if it had never stopped, without a pickle.

A state is a folder named after the number of steps: networks and optimisers (``parameters.pth``,
read with ``weights_only=True``), the rest as JSON and plain arrays. On a CPU, with equal versions
and an environment that tells its state, the resumed training equals the uninterrupted one bit for
bit; otherwise statistically.
"""

from __future__ import annotations

import json
import platform
import random
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch

from hybridrl.agents.common.checkpoint import load_weights, save_weights
from hybridrl.agents.common.env_state import restore_vec_env, vec_env_state
from hybridrl.agents.common.replay import HybridReplayBuffer
from hybridrl.agents.common.trees import load_tree, save_tree
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

FORMAT = 1
_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_total_timesteps",
    "_n_calls",
    "_current_progress_remaining",
)
_OBSERVED = ("_last_obs", "_last_original_obs", "_last_episode_starts")
_WINDOWS = ("ep_info_buffer", "ep_success_buffer")


def save_training_state(
    model: BaseAlgorithm, root: Path, keep: int = 1, facts: dict[str, Any] | None = None
) -> Path:
    """Write a state, whole or not at all, and remove the oldest ones.

    Args:
        model: Any Stable-Baselines3 algorithm, between two rollouts.
        root: Folder of states.
        keep: How many states remain.
        facts: More to keep in ``meta.json`` (JSON-able).

    Returns:
        The new folder, ``root/000000123``.
    """
    env = None if model.env is None else vec_env_state(model.env)
    buffer = getattr(model, "replay_buffer", None)
    exact = env is not None and model.device.type == "cpu" and not _correlated(model)
    meta: dict[str, Any] = {"exact": exact, "agent": type(model).__name__}
    meta |= {"device": str(model.device), "num_timesteps": model.num_timesteps}
    meta |= {"dataset": _fingerprint(buffer), "facts": facts or {}}
    with writing_state(root, model.num_timesteps, meta, keep) as partial:
        save_weights(model, partial / "parameters.pth")
        if buffer is not None:
            save_tree(partial / "replay", _buffer_state(buffer))
        own = {**_model_state(model), "random": _random_state(model), "env": env}
        save_tree(partial / "state", own)
    return root / _named(model.num_timesteps)


@contextmanager
def writing_state(root: Path, steps: int, meta: Mapping[str, Any], keep: int = 1) -> Iterator[Path]:
    """A folder to write a state into, which takes its place when the block ends without an error.

    Args:
        root: Folder of states.
        steps: That the state is named after.
        meta: For ``meta.json``, beside the format and the versions (JSON-able).
        keep: How many states remain.

    Yields:
        The folder.
    """
    folder = root / _named(steps)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    text = json.dumps({**_versions(), "format": FORMAT, **meta}, indent=1)
    (partial / "meta.json").write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    for old in states(root)[:-keep]:
        shutil.rmtree(old)


def _named(steps: int) -> str:
    return f"{steps:09d}"


def load_training_state(
    model: BaseAlgorithm, folder: Path, allow_dataset_change: bool = False
) -> dict[str, Any]:
    """Fill a freshly built model; ``learn(..., reset_num_timesteps=False)`` then goes on.

    Args:
        model: Built with the settings, the environment and the dataset of before.
        folder: A state, or the folder of states, whose newest is taken.
        allow_dataset_change: Go on with another dataset.

    Returns:
        ``meta.json`` with ``exact``: whether the training goes on bit for bit.

    Raises:
        ScenarioError: If a file is missing, damaged, of another model, or of another dataset.
    """
    folder = newest_state(folder) or folder
    meta = read_meta(folder)
    buffer = getattr(model, "replay_buffer", None)
    mark = _fingerprint(buffer)
    if meta["dataset"] != mark and not allow_dataset_change:
        raise ScenarioError(
            "offline_dataset", mark, f"the dataset {meta['dataset']} that training began with"
        )
    load_weights(model, folder / "parameters.pth")
    try:
        if buffer is not None:
            _restore_buffer(buffer, load_tree(folder / "replay"))
        state = load_tree(folder / "state")
        _restore_model(model, state)
        if state["env"] is not None and model.env is not None:
            restore_vec_env(model.env, state["env"])
        else:
            model._last_obs = None  # the next ``learn`` resets the environment
        _restore_random(model, state["random"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(str(folder), str(error), "a state of this very agent") from error
    same = all(meta.get(key) == value for key, value in _versions().items())
    return {**meta, "exact": bool(meta["exact"] and same and model.device.type == "cpu")}


def resume_training(model: BaseAlgorithm, root: Path) -> dict[str, Any]:
    """Go on from the newest state in a folder, where there is one.

    Args:
        model: Built with the settings, the environment and the dataset of before.
        root: Folder of states.

    Returns:
        The facts that were kept with it; none for a fresh start.

    Raises:
        ScenarioError: As :func:`load_training_state`.
    """
    state = newest_state(root)
    if state is None:
        return {}
    facts: dict[str, Any] = load_training_state(model, state)["facts"]
    return facts


def states(root: Path) -> list[Path]:
    """Complete states in a folder, the oldest first."""
    found = root.glob("*/meta.json") if root.is_dir() else []
    return sorted(path.parent for path in found if path.parent.name.isdecimal())


def newest_state(root: Path) -> Path | None:
    """The newest complete state in a folder, if there is one."""
    found = states(root)
    return found[-1] if found else None


def read_meta(folder: Path) -> dict[str, Any]:
    """``meta.json`` of a state.

    Raises:
        ScenarioError: If it is missing, damaged or of another format.
    """
    try:
        meta = parse_json((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScenarioError(
            str(folder), str(error), f"a training state, format {FORMAT}"
        ) from error
    checked: dict[str, Any] = meta
    return checked


def _model_state(model: BaseAlgorithm) -> dict[str, Any]:
    windows = {name: list(getattr(model, name, None) or ()) for name in _WINDOWS}
    return {
        "own": model.resumable() if hasattr(model, "resumable") else {},
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "observed": {name: getattr(model, name, None) for name in _OBSERVED},
        "windows": windows,
    }


def _restore_model(model: BaseAlgorithm, state: dict[str, Any]) -> None:
    for name, value in {**state["counters"], **state["observed"]}.items():
        setattr(model, name, value)
    if state.get("own"):
        model.resume(state["own"])  # type: ignore[attr-defined]
    for name, entries in state["windows"].items():
        setattr(model, name, deque(entries, maxlen=model._stats_window_size))


def _correlated(model: BaseAlgorithm) -> bool:
    """Whether action noise carries something from step to step: ``learn`` always begins it anew."""
    noise = getattr(model, "action_noise", None)
    return hasattr(getattr(noise, "base_noise", noise), "noise_prev")


def _random_state(model: BaseAlgorithm) -> dict[str, Any]:
    buffer = getattr(model, "replay_buffer", None)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": list(random.getstate()),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002 (Stable-Baselines3 draws from it)
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "actions": _space_state(model.action_space),
        "buffer": buffer.rng.bit_generator.state
        if isinstance(buffer, HybridReplayBuffer)
        else None,
    }


def _restore_random(model: BaseAlgorithm, state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    _restore_space(model.action_space, state["actions"])
    buffer = getattr(model, "replay_buffer", None)
    if isinstance(buffer, HybridReplayBuffer) and state["buffer"] is not None:
        buffer.rng.bit_generator.state = state["buffer"]


def _space_state(space: gym.Space[Any]) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {key: _space_state(part) for key, part in space.spaces.items()}
    return space.np_random.bit_generator.state


def _restore_space(space: gym.Space[Any], state: Any) -> None:
    if isinstance(space, gym.spaces.Dict):
        for key, part in space.spaces.items():
            _restore_space(part, state[key])
        return
    space.np_random.bit_generator.state = state


def _buffer_state(buffer: Any) -> dict[str, Any]:
    """The filled part of every array of a replay buffer; dictionaries get dotted names."""
    if isinstance(buffer, HybridReplayBuffer):
        return buffer.export_state()
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: array[:filled] for name, array in _named_arrays(buffer).items()}
    return {**arrays, "pos": buffer.pos, "full": buffer.full}


def _restore_buffer(buffer: Any, state: dict[str, Any]) -> None:
    if isinstance(buffer, HybridReplayBuffer):
        buffer.import_state(state)
        return
    for name, array in _named_arrays(buffer).items():
        array[: len(state[name])] = state[name]
    buffer.pos, buffer.full = int(state["pos"]), bool(state["full"])


def _named_arrays(buffer: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in vars(buffer).items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, array in parts:
            if isinstance(array, np.ndarray) and array.shape[:1] == (buffer.buffer_size,):
                named[f"{key}.{part}" if part else key] = array
    return named


def _fingerprint(buffer: Any) -> str | None:
    return getattr(buffer, "fingerprint", None)


def _versions() -> dict[str, str]:
    import stable_baselines3

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "stable_baselines3": stable_baselines3.__version__,
        "gymnasium": gym.__version__,
    }
