"""Train HopePPO on native vector environments and measure it on the published scenes."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.agents.hope.network import HopeNetwork
from hybridrl.agents.hope.weights import load_network, read_weights
from hybridrl.agents.hope.widen import widened
from hybridrl.benchmarks.hope_rollouts import drive_all
from hybridrl.envs.parking.config import ParkingOptions
from hybridrl.envs.parking.kernels.records import OUTCOMES, SUCCESS
from hybridrl.envs.parking.scenes import fixed_scenes

CLASSES = ("normal-bay", "normal-parallel", "complex-bay", "complex-parallel", "extreme-parallel")


def success_of(
    network: HopeNetwork,
    scene_class: str,
    count: int = 200,
    *,
    deterministic: bool = False,
    seed: int = 0,
    first_seed: int = 0,
    **options: Any,
) -> dict[str, Any]:
    """One roll-out on each of the first published scenes of a class, all at once.

    Args:
        network: The policy.
        scene_class: A class or level.
        count: Number of scenes.
        deterministic: Whether the most likely motion is taken.
        seed: Of the draws.
        first_seed: Of the scenes.
        **options: Keywords of the environment.

    Returns:
        Share of successes, of outcomes, medians and means over successes.
    """
    made = ParkingOptions(**options)
    scenes = fixed_scenes(scene_class, count, first_seed, made.range or made.spec, made.tasks[0])
    simulator = drive_all(network, scenes, deterministic=deterministic, seed=seed, **options)
    rows = simulator.batch.rows
    good = rows["outcome"] == SUCCESS
    won = rows[good]
    return {
        "success": float(good.mean()),
        **{word: int((rows["outcome"] == k).sum()) for k, word in enumerate(OUTCOMES) if k > 1},
        "within_20": float((good & (rows["decisions"] <= 20)).mean()),
        "within_40": float((good & (rows["decisions"] <= 40)).mean()),
        "decisions_median": float(np.median(won["decisions"])),
        "decisions_mean": float(won["decisions"].mean()),
        "gear_changes": float(won["gear_changes"].mean()),
        "length": float(won["path_length"].mean()),
        "failed": np.flatnonzero(~good)[:20].tolist(),
    }


def evaluate(
    network: HopeNetwork, classes: Sequence[str] = CLASSES, count: int = 200, **options: Any
) -> dict[str, dict[str, Any]]:
    """:func:`success_of` of every class, stochastic and deterministic; prints a line each."""
    table = {}
    for scene_class in classes:
        for deterministic in (False, True):
            began = time.perf_counter()
            row = success_of(network, scene_class, count, deterministic=deterministic, **options)
            row["seconds"] = round(time.perf_counter() - began, 2)
            table[f"{scene_class}/{'deterministic' if deterministic else 'stochastic'}"] = row
            print(
                f"{scene_class:17} {'det' if deterministic else 'sto'} "
                f"success {100 * row['success']:6.2f}  <=20 {100 * row['within_20']:5.1f} "
                f"<=40 {100 * row['within_40']:5.1f}  decisions {row['decisions_median']:4.0f} "
                f"gears {row['gear_changes']:.2f} length {row['length']:5.2f} m  "
                f"out {row['out_of_bounds']} late {row['timeout']} ({row['seconds']} s)",
                flush=True,
            )
    return table


def train(
    out: Path,
    level: str = "mixed",
    samples: int = 3_000_000,
    n_envs: int = 256,
    seed: int = 0,
    env_kwargs: dict[str, Any] | None = None,
    start_from: Path | None = None,
    **settings: Any,
) -> Path:
    """Train and write ``model.zip``, the weights and ``progress.csv`` into a folder.

    Args:
        out: Folder.
        level: Of the parking environment.
        samples: Decisions to learn from.
        n_envs: Scenes side by side.
        seed: Of everything.
        env_kwargs: More keywords of the environment.
        start_from: A weights folder to begin with; where the environment tells more than those
            weights know, the new inputs begin with zero weight.
        **settings: Arguments of ``HopePPO``.
    """
    from stable_baselines3.common.logger import configure

    import hybridrl  # noqa: F401
    from hybridrl.agents.common.vec_env import make_vec
    from hybridrl.agents.hope import HopePPO
    from hybridrl.agents.hope.weights import save_weights

    keywords = {"action_type": "discrete", "rs": "auto", "ego": True, **(env_kwargs or {})}
    env = make_vec("hybridrl/Parking-Mixed-v0", n_envs, seed, level=level, **keywords)
    model = HopePPO(env=env, seed=seed, **settings)
    before: dict[str, Any] = {}
    if start_from is not None:
        known = read_weights(start_from)[1]
        before = {"before": {key: known[key] for key in ("samples", "sha256")}}
        inputs = model.policy.features_extractor.inputs
        if load_network(start_from).inputs < inputs:
            start_from = widened(start_from, inputs, out / "start")
        model.load_weights(start_from)
    model.set_logger(configure(str(out), ["stdout", "csv"]))
    began = time.perf_counter()
    model.learn(samples, log_interval=10)
    wall = time.perf_counter() - began
    model.save(out / "model.zip")
    facts = {
        "level": level,
        "seed": seed,
        "n_envs": n_envs,
        "wall_s": wall,
        "env": keywords,
        **before,
    }
    save_weights(model, out, **facts)
    print(f"{samples} samples in {wall:.0f} s, {samples / wall:.0f} a second", flush=True)
    return out


def main() -> None:
    """``python -m hybridrl.benchmarks.hope_training OUT --samples 3000000``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--level", default="mixed")
    parser.add_argument("--samples", type=int, default=3_000_000)
    parser.add_argument("--n-envs", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--env", type=json.loads, default={}, help="JSON keywords")
    parser.add_argument("--set", type=json.loads, default={}, help="JSON arguments of HopePPO")
    parser.add_argument("--start-from", type=Path)
    parser.add_argument("--evaluate", type=int, default=500, help="scenes a class")
    parser.add_argument("--classes", nargs="*", default=[*CLASSES, "lot"])
    given = parser.parse_args()
    if given.samples:
        train(
            given.out,
            given.level,
            given.samples,
            given.n_envs,
            given.seed,
            given.env,
            given.start_from,
            **given.set,
        )
    table = evaluate(load_network(given.out), given.classes, given.evaluate, **given.env)
    (given.out / "evaluation.json").write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
