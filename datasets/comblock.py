"""Offline data of combination locks: the mixes of HNPG and Hy-Q (``hnpg.md`` 2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.registry import Made, MakeOptions
from hybridrl.datasets.steps import PERIOD
from hybridrl.envs.comblock.lock import DEAD, LockOptions
from hybridrl.envs.comblock.rows import LockRows, lock_spaces
from hybridrl.planners.errors import UnknownNameError

ENV = "hybridrl/CombLock-v0"
EPISODES = 50_000  # as published
KINDS = {
    "eps": "the good action, or with probability 1/H a uniform one",
    "eps-mid": "as eps, but the action in the middle is always uniform",
    "occupancy": "single transitions: a uniform action after the best ones up to its step",
    "random": "uniform actions",
}


def comblock_dataset(
    options: LockOptions, kind: str = "eps", episodes: int = EPISODES, seed: int = 0
) -> OfflineDataset:
    """What a behaviour policy of a kind sees and does in a lock.

    Args:
        options: Of the lock; ``lock_seed`` must be given, since data belong to one lock.
        kind: ``eps``, ``eps-mid``, ``occupancy`` or ``random``; see :data:`KINDS`. In the dead
            state it acts as in the second good one. A good continuous action is the unit vector, a
            uniform one is drawn from [0, 1]^A.
        episodes: Episodes; for ``occupancy`` groups of H single transitions, one of each step.
        seed: Of starts and actions.

    Raises:
        UnknownNameError: If there is no such kind.
        DatasetError: If the lock has no seed or there are no episodes.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of data", kind, KINDS)
    if options.lock_seed is None:
        raise DatasetError("lock_seed", None, "a seed: data belong to one lock")
    if episodes < 1:
        raise DatasetError("episodes", episodes, "a whole number above 0")
    rng = np.random.default_rng([seed, options.horizon])
    collected = _occupancy if kind == "occupancy" else _episodes
    columns = collected(options, kind, episodes, rng)
    observation_space, action_space = lock_spaces(options)
    period = {PERIOD: options.horizon} if kind == "occupancy" else {}
    return OfflineDataset(
        **columns,
        truncations=np.zeros(len(columns["rewards"]), np.bool_),
        observation_space=observation_space,
        action_space=action_space,
        metadata={"kind": kind, "horizon": options.horizon, "seed": seed, **period},
    )


def optimal_share(horizon: int, n_actions: int) -> float:
    """Share of ``eps`` episodes that open the lock: (1 - e + e/A)^H with e = 1/H."""
    return float((1.0 - 1.0 / horizon + 1.0 / (horizon * n_actions)) ** horizon)


def make(name: str, options: MakeOptions) -> Made:
    """The recipe of ``comblock/h<H>[-continuous]/<kind>``; the lock is that of the seed.

    Args:
        name: As registered.
        options: Seed (of lock, starts and actions) and size.

    Raises:
        DatasetError: If a parallel engine is asked for.
    """
    options.in_one_piece()  # of seconds
    _, lock, kind = name.split("/")
    horizon, _, continuous = lock.removeprefix("h").partition("-")
    keywords: dict[str, Any] = {"horizon": int(horizon), "lock_seed": options.seed}
    if continuous:
        keywords["action_kind"] = "continuous"
    episodes = options.episodes or EPISODES
    if options.rows is not None:
        episodes = -(-options.rows // int(horizon))
    kind = kind.removesuffix("-v0")
    lock_options = LockOptions.from_keywords(keywords)
    with options.progress(episodes) as ticker:
        dataset = comblock_dataset(lock_options, kind, episodes, options.seed)
        for _ in range(episodes):
            ticker.tick("")
    if options.rows is not None:
        dataset = dataset.head(options.rows)
    spec: EnvSpec = gym.make(ENV, **keywords).spec  # type: ignore[assignment]
    facts = {"recipe": name, "env": ENV, "env_kwargs": keywords}
    return Made(
        dataset=OfflineDataset.concatenate(dataset, **facts),
        env=spec,
        algorithm=f"comblock {kind}",
        description=f"a combination lock of {horizon} steps: {KINDS[kind]}",
        metadata={"ref_min_score": 0.0, "ref_max_score": 1.0},
    )


def _episodes(
    options: LockOptions, kind: str, episodes: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Whole episodes, one after the other."""
    horizon = options.horizon
    chances = [_explores(kind, horizon, h) for h in range(horizon)]
    return _interleaved(list(_walk(options, episodes, rng, chances)))


def _occupancy(
    options: LockOptions, kind: str, groups: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Row ``i`` is the transition of step ``i mod H`` of a walk of its own."""
    horizon = options.horizon
    kept: list[dict[str, NDArray[Any]]] = []
    for h in range(horizon):
        *_, last = _walk(options, groups, rng, [0.0] * h + [1.0])
        kept.append(last)
    return {**_interleaved(kept), "ends": np.arange(1, groups * horizon + 1)}


def _interleaved(steps: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """From columns of each step to rows in the order of the episodes."""
    horizon, count = len(steps), len(steps[0]["rewards"])
    columns = {
        name: np.stack([step[name] for step in steps], axis=1).reshape(
            count * horizon, *steps[0][name].shape[1:]
        )
        for name in steps[0]
    }
    columns["terminations"] = np.tile(np.arange(horizon) == horizon - 1, count)
    return columns


def _explores(kind: str, horizon: int, step: int) -> float:
    """Probability of a uniform action."""
    middle = kind == "eps-mid" and step == horizon // 2
    return 1.0 if kind == "random" or middle else 1.0 / horizon


def _walk(
    options: LockOptions, count: int, rng: np.random.Generator, chances: list[float]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Columns of one step after the other, of many locks at once."""
    rows = LockRows(count, options)
    rows.streams[:] = rng.integers(0, 2**64, rows.streams.shape, dtype=np.uint64)
    rows.begin()
    for h, chance in enumerate(chances):
        observations = rows.observations
        good = rows.codes[np.where(rows.latent == DEAD, 1, rows.latent), h]
        actions = _actions(options, good, rng.random(count) < chance, rng)
        rows.step(actions)
        yield {
            "observations": observations,
            "actions": actions,
            "rewards": rows.rewards.astype(np.float32),
            "next_observations": rows.observations,
        }


def _actions(
    options: LockOptions,
    good: NDArray[np.int64],
    explores: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[Any]:
    if options.action_kind == "discrete":
        return np.where(explores, rng.integers(0, options.n_actions, len(good)), good)
    actions = np.eye(options.n_actions, dtype=np.float32)[good]
    count = int(explores.sum())
    actions[explores] = rng.random((count, options.n_actions), np.float32)
    return actions
