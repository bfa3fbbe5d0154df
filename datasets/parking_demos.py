"""Demonstrations of parking: what planners and the trained policy do, as the environment saw it.

A planner solves the scene of a reset; the environment is then driven along its path, and only what
the environment returned is kept. Episodes that do not end parked are dropped: the next seed takes
their place. Every seed stands in the metadata, so that an episode can be driven again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.datasets.files import replacing
from hybridrl.datasets.npz import read_npz, write_npz
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.pieces import Shelf, in_order
from hybridrl.datasets.registry import Made, MakeOptions
from hybridrl.datasets.ticks import Ticks
from hybridrl.envs.parking.env import ParkingEnv
from hybridrl.envs.parking.following import decisions_of, motions_of
from hybridrl.planners.base import Planner
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import Path as Drive
from hybridrl.planners.registry import make_planner

EPISODES = 1000  # unless asked otherwise
CHUNK = 20  # attempts in a piece, at most; it is kept in the work folder
ATTEMPTS = 100  # scenes without a single success before giving up
BUDGET = 5.0  # CPU seconds a scene; both kinds of planner end long before


class Kind(NamedTuple):
    """One kind of demonstration.

    Args:
        planner: Registered name.
        options: Of the planner.
        acts: Half a line for the description.
        env: Keywords of the environment.
    """

    planner: str
    options: dict[str, Any]
    acts: str
    env: dict[str, Any] = {}  # noqa: RUF012  never changed

    @property
    def discrete(self) -> bool:
        """Whether actions are the 42 motions."""
        return self.env.get("action_type") == "discrete"


_MOTIONS: dict[str, Any] = {"action_type": "discrete", "rs": "auto"}
# The task of the preset of ``hope-sac``.
_HANDOVER: dict[str, Any] = {"rs": "auto", "ego": True, "allow_reversed_goal": False}


KINDS: dict[str, Kind] = {
    "planner-v0": Kind("best-of", {"thorough": False}, "paths of the best-of planner"),
    "planner-discrete-v0": Kind(
        "random-rs-64", {}, "the best of 64 random drives with Reeds-Shepp hand-over", _MOTIONS
    ),
    "planner-handover-v0": Kind(
        "best-of", {"thorough": False}, "the best-of planner's paths up to the hand-over", _HANDOVER
    ),
    "policy-v0": Kind("hope-ppo", {}, "drives of the shipped hope-ppo policy"),
    "policy-discrete-v0": Kind("hope-ppo", {}, "drives of the shipped hope-ppo policy", _MOTIONS),
    "policy-handover-v0": Kind(
        "hope-ppo-16", {}, "the shipped policy's best of 16 up to the hand-over", _HANDOVER
    ),
}


def make(name: str, options: MakeOptions) -> Made:
    """Episodes that end parked, as many as asked for.

    Args:
        name: ``parking/<level>/<kind>``, a kind of :data:`KINDS`.
        options: Seed, size, work folder, progress.

    Raises:
        ScenarioError: If the planner solves none of many scenes.
    """
    _, level, kind_name = name.split("/")
    kind = KINDS[kind_name]
    with gym.make(env_id(level), **kind.env) as env:
        spec = env.spec
    assert spec is not None
    wanted = options.rows if options.rows is not None else (options.episodes or EPISODES)
    with options.progress(wanted) as ticker:
        parts = list(_parts(level, kind_name, options, wanted, ticker))
    dataset = OfflineDataset.concatenate(*(part.dataset for part in parts if part.dataset))
    seeds = [seed for part in parts for seed in part.seeds]
    whole = options.rows is None
    dataset = dataset.episodes(range(wanted)) if whole else dataset.head(wanted)
    facts = {
        "recipe": name, "level": level, "env": spec.id, "env_kwargs": kind.env,
        "planner": kind.planner, "planner_options": kind.options, "budget_s": BUDGET,
        "seed": options.seed, "seeds": seeds[: dataset.n_episodes],
        "weights_sha256": policy_sha256(kind),
    }  # fmt: skip
    return Made(
        dataset=OfflineDataset.concatenate(dataset, **facts),
        env=spec,
        algorithm=kind.planner,
        description=f"{kind.acts}, driven in {spec.id}; every episode ends parked",
    )


def env_id(level: str) -> str:
    """The registered environment of a level."""
    return f"hybridrl/Parking-{level.capitalize()}-v0"


def reset_seed(seed: int, attempt: int) -> int:
    """Seed of the environment for the k-th scene that is tried."""
    return int(np.random.SeedSequence((seed, attempt)).generate_state(1)[0] >> 1)


def policy_sha256(kind: Kind) -> str | None:
    """Checksum of the weights that acted, where a policy did."""
    planner = make_planner(kind.planner, **kind.options)
    network = getattr(planner, "network", None)
    return None if network is None else network.description.get("sha256")


def demonstrate(
    env: gym.Env[Any, Any], planner: Planner, seed: int, discrete: bool = False
) -> dict[str, Any] | None:
    """Plan the scene of a reset, drive it, and keep what the environment returned.

    Args:
        env: A parking environment.
        planner: Who solves it.
        seed: Of the reset, and of the planner's draws.
        discrete: Whether the actions are the 42 motions; the planner's path must consist of them
            up to the hand-over, which the environment drives itself.

    Returns:
        Columns of :class:`OfflineDataset`, or ``None`` where it did not end parked.
    """
    observation, _ = env.reset(seed=seed)
    parking = env.unwrapped
    assert isinstance(parking, ParkingEnv)
    result = planner.plan(parking.scenario, budget=BUDGET, seed=seed % 2**31)
    if result.path is None:
        return None
    actions = _discrete(parking, result.path) if discrete else _continuous(parking, result.path)
    seen, rows, info = [observation], [], {"is_success": False}
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(observation)
        rows.append((action, reward, terminated, truncated))
        if terminated or truncated:
            break
    if not rows or not info["is_success"]:
        return None
    names = ("actions", "rewards", "terminations", "truncations")
    columns = {
        name: np.array(data) for name, data in zip(names, zip(*rows, strict=True), strict=True)
    }
    return {**columns, "observations": _joined(seen[:-1]), "next_observations": _joined(seen[1:])}


def _continuous(env: ParkingEnv, path: Drive) -> Iterator[NDArray[np.float32]]:
    yield from decisions_of(path, env.task.vehicle)


def _discrete(env: ParkingEnv, path: Drive) -> Iterator[int]:
    """The motions of a path, each until the environment has driven its part of it."""
    rows = env.task.rows
    for motion, left in motions_of(path, env.task.vehicle):
        while left > 1e-6:
            before = float(rows["path_length"][0])
            yield motion
            driven = float(rows["path_length"][0]) - before
            if driven <= 0.0:
                return  # blocked: this is not the path's motion
            left -= driven


class Part(NamedTuple):
    """What some attempts came to.

    Args:
        dataset: Episodes that ended parked, or ``None`` where none did.
        seeds: Of their resets.
    """

    dataset: OfflineDataset | None
    seeds: list[int]


def _parts(
    level: str, kind: str, options: MakeOptions, wanted: int, ticker: Ticks
) -> Iterator[Part]:
    """Parts until there are enough rows or episodes."""
    size = CHUNK if options.rows is not None else min(CHUNK, wanted)
    make = partial(_part, level=level, kind=kind, seed=options.seed, size=size)
    shelf = Shelf(partial(_file, options.work, size), _read, _write)
    done = failed = 0
    with closing(in_order(make, shelf, options.engine)) as parts:
        while done < wanted:
            part: Part = next(parts)
            failed = 0 if part.seeds else failed + size
            if failed >= ATTEMPTS:
                expected = f"one of whose {failed} scenes it solves"
                raise ScenarioError("level", KINDS[kind].planner, expected)
            if part.dataset is not None:
                more = part.dataset.n_episodes if options.rows is None else len(part.dataset)
                for _ in range(min(more, wanted - done)):
                    ticker.tick(f"{part.dataset.lengths.mean():.1f} decisions")
                done += more
            yield part


def _part(number: int, level: str, kind: str, seed: int, size: int) -> Part:
    """The number-th so many attempts."""
    row, episodes, seeds = KINDS[kind], [], []
    env, planner = _workplace(level, kind)
    spaces: dict[str, Any] = {
        "observation_space": env.observation_space,
        "action_space": env.action_space,
    }
    for attempt in range(number * size, (number + 1) * size):
        own = reset_seed(seed, attempt)
        columns = demonstrate(env, planner, own, row.discrete)
        if columns is not None:
            episodes.append(OfflineDataset(**columns, **spaces))
            seeds.append(own)
    return Part(OfflineDataset.concatenate(*episodes) if episodes else None, seeds)


@lru_cache(1)
def _workplace(level: str, kind: str) -> tuple[gym.Env[Any, Any], Planner]:
    """What a process uses for all its parts."""
    row = KINDS[kind]
    return gym.make(env_id(level), **row.env), make_planner(row.planner, **row.options)


def _file(work: Path, size: int, number: int) -> Path:
    return work / f"attempts-{number * size}-{(number + 1) * size}.json"


def _read(file: Path) -> Part:
    seeds = json.loads(file.read_text(encoding="utf-8"))
    return Part(read_npz(file.with_suffix(".npz")) if seeds else None, seeds)


def _write(part: Part, file: Path) -> None:
    if part.dataset is not None:
        write_npz(part.dataset, file.with_suffix(".npz"), compress=False)
    with replacing(file) as partial_file:  # last: the part is whole
        partial_file.write_text(json.dumps(part.seeds), encoding="utf-8")


def _joined(seen: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {key: np.array([one[key] for one in seen]) for key in seen[0]}
