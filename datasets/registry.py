"""EVERY dataset recipe, one table, and what of them stands in the local Minari store."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridrl.datasets.engines import SERIAL, Engine
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.minari_store import checked_id, store_root, write_minari
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.ticks import Progress, silent
from hybridrl.planners.errors import UnknownNameError

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

# Minari id -> "module:function" that makes it, called with the id and MakeOptions.
RECIPES: dict[str, str] = (
    {
        f"hybridrl/{robot}/{level}-v0": f"hybridrl.{module}:make"
        for robot in ("halfcheetah", "hopper", "walker2d", "ant", "pendulum")
        for level, module in (
            ("random", "datasets.recipes"),
            ("medium", "agents.behaviour.recipes"),
            ("medium-replay", "agents.behaviour.recipes"),
            ("expert", "agents.behaviour.recipes"),
            ("medium-expert", "agents.behaviour.recipes"),
        )
    }
    | {
        f"hybridrl/{task}/controller-v0": "hybridrl.datasets.balance:make"
        for task in ("cartpole", "invertedpendulum")
    }
    | {
        f"parking/{level}/{kind}-v0": "hybridrl.datasets.parking_demos:make"
        for level in ("normal", "complex", "extreme", "lot", "mixed", "hard", "all")
        for actor in ("planner", "policy")
        for kind in (actor, f"{actor}-discrete", f"{actor}-handover")
    }
    | {
        f"comblock/h{horizon}{actions}/{kind}-v0": "hybridrl.datasets.comblock:make"
        for horizon in (5, 10, 20, 50)
        for actions in ("", "-continuous")
        for kind in ("eps", "eps-mid", "occupancy", "random")
    }
)


@dataclass(frozen=True, kw_only=True)
class MakeOptions:
    """What a recipe is asked for.

    Args:
        seed: Of whatever acts.
        rows: Transitions; the recipe's own number by default.
        episodes: Episodes, instead of rows.
        work: Folder for what is finished so far; it survives an interruption, is found again on
            the next call, and is removed once the dataset is stored.
        progress: Called with the number of pieces; see :mod:`hybridrl.datasets.ticks`.
        engine: Who makes the pieces, where the recipe has pieces.
    """

    seed: int = 0
    rows: int | None = None
    episodes: int | None = None
    work: Path
    progress: Progress = silent
    engine: Engine = SERIAL

    def in_one_piece(self) -> None:
        """Called by a recipe that cannot be divided.

        Raises:
            DatasetError: If a parallel engine is asked for.
        """
        if self.engine.parallel:
            raise DatasetError("engine", "ray", "serial: this recipe is one computation")


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a recipe returns.

    Args:
        dataset: The data, with its provenance in ``metadata``.
        env: Gymnasium id or ``EnvSpec`` that it comes from and belongs to.
        algorithm: What acted.
        description: A sentence.
        metadata: More entries of Minari's metadata, as in ``{"ref_min_score": -280.0}``.
    """

    dataset: OfflineDataset
    env: str | EnvSpec
    algorithm: str
    description: str
    metadata: dict[str, Any] = field(default_factory=dict)


def make_dataset(
    name: str,
    seed: int = 0,
    *,
    rows: int | None = None,
    episodes: int | None = None,
    stored_as: str | None = None,
    resume: bool = False,
    fresh: bool = False,
    progress: Progress = silent,
    engine: Engine = SERIAL,
) -> str:
    """Make a registered dataset and put it into the local Minari store, whole or not at all.

    Args:
        name: A row of :data:`RECIPES`.
        seed: Of whatever acts.
        rows: Transitions instead of the recipe's number.
        episodes: Episodes instead of rows.
        stored_as: Minari id of the result [default: ``name``].
        resume: Go on with an unfinished one.
        fresh: Throw away an unfinished or finished one first.
        progress: Shows how far it is.
        engine: Who makes the pieces; the data do not depend on it.

    Returns:
        The Minari id.

    Raises:
        UnknownNameError: If there is no such recipe.
        DatasetError: If numbers are below 1, the id is taken, or an unfinished one is there and
            neither ``resume`` nor ``fresh`` is asked for.
    """
    target = checked_id(stored_as or name)
    _check_request(name, rows, episodes)
    work = store_root() / ".unfinished" / target / f"seed-{seed}"
    if fresh:
        shutil.rmtree(work, ignore_errors=True)
    elif (store_root() / target).exists():
        if resume and work.exists():  # it was stored, and then stopped before it tidied up
            _remove_work(work)
            return target
        raise DatasetError("dataset", target, "a name that is not stored yet, or --fresh")
    elif work.exists() and not resume:
        raise DatasetError("dataset", f"unfinished: {target}", "--resume to go on, or --fresh")
    work.mkdir(parents=True, exist_ok=True)
    module, _, function = RECIPES[name].partition(":")
    recipe: Callable[[str, MakeOptions], Made] = getattr(importlib.import_module(module), function)
    size: dict[str, Any] = {"rows": rows, "episodes": episodes}
    options = MakeOptions(seed=seed, **size, work=work, progress=progress, engine=engine)
    try:
        made = recipe(name, options)
    except Exception:
        if not any(work.iterdir()):  # refused: nothing to go on with
            _remove_work(work)
        raise
    store(made, target, replace=fresh)
    _remove_work(work)
    return target


def _check_request(name: str, rows: int | None, episodes: int | None) -> None:
    if name not in RECIPES:
        raise UnknownNameError("dataset recipe", name, RECIPES)
    for key, value in (("steps", rows), ("episodes", episodes)):
        if value is not None and value < 1:
            raise DatasetError(key, value, "a whole number above 0")
    if rows is not None and episodes is not None:
        raise DatasetError("episodes", episodes, "either steps or episodes")


def _remove_work(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    for folder in (work.parent, *work.parent.relative_to(store_root()).parents[:-1]):
        with suppress(OSError):  # another one is under way there
            (store_root() / folder).rmdir()


def store(made: Made, name: str, replace: bool = False) -> Path:
    """Put what a recipe made into the local Minari store.

    Args:
        made: Data and facts.
        name: Minari id.
        replace: Take the place of a dataset of that name.
    """
    return write_minari(
        made.dataset,
        name,
        env=made.env,
        algorithm=made.algorithm,
        description=made.description,
        replace=replace,
        **made.metadata,
    )


def download_dataset(name: str) -> str:
    """Fetch a dataset from Farama's server into the local Minari store.

    Args:
        name: A remote id, as in ``mujoco/halfcheetah/medium-v0`` or ``D4RL/door/cloned-v2``.

    Raises:
        DatasetError: If there is no network, or no such dataset.
    """
    import minari

    checked_id(name)
    try:
        minari.download_dataset(name)
    except Exception as error:
        raise DatasetError(
            "download",
            f"{name}: {type(error).__name__}: {error}",
            'a network, `pip install "minari[hf]"`, and an id of https://minari.farama.org',
        ) from error
    return name


def list_datasets() -> list[dict[str, Any]]:
    """Every recipe and every dataset in the local Minari store."""
    import minari

    local = minari.list_local_datasets()
    return [
        {
            "id": name,
            "recipe": RECIPES.get(name),
            "local": name in local,
            "episodes": local[name]["total_episodes"] if name in local else None,
            "steps": local[name]["total_steps"] if name in local else None,
        }
        for name in sorted({*RECIPES, *local})
    ]


def show_dataset(name: str) -> dict[str, Any]:
    """What a local dataset or a file holds, with both normalised scores; JSON-able.

    Args:
        name: Minari id, or the path of a file or Minari folder.

    Raises:
        UnknownNameError: If it is not in the local store.
        DatasetError: If it is damaged; the field is named.
    """
    from hybridrl.datasets.scores import dataset_scores
    from hybridrl.datasets.sources import as_dataset

    dataset = as_dataset(name)
    assert dataset is not None
    return {
        "id": str(name),
        "episodes": dataset.n_episodes,
        "steps": len(dataset),
        "observation_space": str(dataset.observation_space),
        "action_space": str(dataset.action_space),
        **dataset.summary(),
        **dataset_scores(dataset),
        "metadata": dict(dataset.metadata),
    }


def export_dataset(
    name: str, out: Path, form: str | None = None, stored_as: str | None = None
) -> Path:
    """Write a local dataset, or a file in another format.

    Args:
        name: Minari id, or the path of a file or Minari folder.
        out: File to write; for ``minari`` the folder of a store.
        form: ``npz``, ``d4rl`` or ``minari`` [default: by the suffix of ``out``].
        stored_as: Minari id in that store [default: ``name``].

    Raises:
        UnknownNameError: If it is not in the local store, or there is no such format.
        DatasetError: If it is damaged, or the name of the file does not fit.
    """
    from hybridrl.datasets.d4rl import write_d4rl
    from hybridrl.datasets.npz import write_npz
    from hybridrl.datasets.sources import as_dataset

    forms = {".npz": "npz", ".hdf5": "d4rl", ".h5": "d4rl", "": "minari"}
    if form is None and out.suffix not in forms:
        raise DatasetError("out", str(out), "a name that ends with .npz or .hdf5, or --format")
    form = form or forms[out.suffix]
    if form not in forms.values():
        raise UnknownNameError("format", form, set(forms.values()))
    dataset = as_dataset(name)
    assert dataset is not None
    if form == "minari":
        return write_minari(dataset, stored_as or name, root=out)
    return write_npz(dataset, out) if form == "npz" else write_d4rl(dataset, out)
