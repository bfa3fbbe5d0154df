"""Roll out anything that acts; episodes are independent, so an interrupted collection goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from hybridrl.datasets.engines import SERIAL, Engine
from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.npz import read_npz, write_npz
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.datasets.pieces import Shelf, in_order
from hybridrl.datasets.ticks import Progress, silent

# Observation and the episode's generator to action.
Act = Callable[[Any, np.random.Generator], Any]
CHUNK = 10  # episodes in a piece, a file of the work folder


def collect(
    env: gym.Env[Any, Any],
    act: Act,
    *,
    rows: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    work: Path | None = None,
    progress: Progress = silent,
    engine: Engine = SERIAL,
) -> OfflineDataset:
    """Episodes of a policy, cut at a number of rows or episodes.

    Episode ``k`` depends on ``seed`` and ``k`` alone: environment and policy get generators of
    their own. So a collection that goes on from its work folder equals an uninterrupted one, and
    one that workers share equals that of one process.

    Args:
        env: Where to act; it is not closed. Workers make their own from its ``spec``.
        act: The policy; for a parallel engine one that can be pickled.
        rows: Transitions; the last episode may be cut. Either this or ``episodes``.
        episodes: Whole episodes.
        seed: Of everything.
        work: Folder in which every 10 episodes are kept as they are finished.
        progress: Shows how many rows (or episodes) there are.
        engine: Who makes the pieces of 10 episodes.

    Raises:
        DatasetError: If not exactly one of ``rows`` and ``episodes`` is given, a kept file is
            damaged, or workers are to make an environment that has no ``spec``.
    """
    total = rows if rows is not None else episodes
    if total is None or (rows is not None and episodes is not None) or total < 1:
        raise DatasetError("rows", (rows, episodes), "rows or episodes, above 0")
    what: dict[str, Any] = {"act": act, "seed": seed, "episodes": episodes}
    make = partial(_piece, env=env, **what)
    if engine.parallel:
        if env.spec is None:
            raise DatasetError("env", repr(env), "one of gymnasium.make, which workers make too")
        make = partial(_piece_elsewhere, spec=env.spec, **what)
    shelf = None if work is None else _shelf(work, episodes)
    parts: list[OfflineDataset] = []
    done = 0
    with progress(total) as ticker, closing(in_order(make, shelf, engine)) as pieces:
        for part in pieces:
            parts.append(part)
            new = len(part) if rows is not None else part.n_episodes
            for _ in range(min(new, total - done)):
                ticker.tick(f"return {part.returns().mean():.1f}")
            done += new
            if done >= total:
                break
    dataset = OfflineDataset.concatenate(*parts)
    return dataset.head(rows) if rows is not None else dataset.episodes(range(total))


def episode(env: gym.Env[Any, Any], act: Act, seed: int, index: int) -> dict[str, Any]:
    """Columns of one episode; see :func:`collect`.

    Args:
        env: Where to act.
        act: The policy.
        seed: Of the collection.
        index: Of the episode in it.
    """
    start, own = np.random.SeedSequence((seed, index)).spawn(2)
    generator = np.random.default_rng(own)
    observation, _ = env.reset(seed=int(start.generate_state(1)[0] >> 1))
    seen, rows = [observation], []
    ended = False
    while not ended:
        action = act(observation, generator)
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(observation)
        rows.append((action, reward, terminated, truncated))
        ended = terminated or truncated
    names = ("actions", "rewards", "terminations", "truncations")
    columns = {
        name: np.array(data) for name, data in zip(names, zip(*rows, strict=True), strict=True)
    }
    return {**columns, "observations": _joined(seen[:-1]), "next_observations": _joined(seen[1:])}


def _piece(
    number: int, env: gym.Env[Any, Any], act: Act, seed: int, episodes: int | None
) -> OfflineDataset:
    first, last = _bounds(number, episodes)
    spaces: dict[str, Any] = {
        "observation_space": env.observation_space,
        "action_space": env.action_space,
    }
    made = [OfflineDataset(**episode(env, act, seed, k), **spaces) for k in range(first, last)]
    return OfflineDataset.concatenate(*made)


def _piece_elsewhere(number: int, spec: EnvSpec, **more: Any) -> OfflineDataset:
    """What a worker does: it makes the environment itself."""
    env = gym.make(spec)
    try:
        return _piece(number, env, **more)
    finally:
        env.close()


def _bounds(number: int, episodes: int | None) -> tuple[int, int]:
    """First episode of a piece, and the one after its last."""
    first = number * CHUNK
    count = CHUNK if episodes is None else min(CHUNK, max(1, episodes - first))
    return first, first + count


def _shelf(work: Path, episodes: int | None) -> Shelf:
    def file(number: int) -> Path:
        first, last = _bounds(number, episodes)
        return work / f"episodes-{first}-{last}.npz"

    return Shelf(file, read_npz, partial(write_npz, compress=False))


def _joined(seen: list[Any]) -> Any:
    if isinstance(seen[0], dict):
        return {key: _joined([one[key] for one in seen]) for key in seen[0]}
    return np.array(seen)
