"""Pictures of HopePPO's model card: how it learns, what it solves and what it does not.

``python -m hybridrl.benchmarks.hope_card results/hope`` draws from ``training-seed-<n>.csv`` there
and from the shipped weights; ``--progress LOG --seed N`` first makes such a file of a log.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hybridrl.agents.hope.weights import load_network
from hybridrl.benchmarks.animation import contact_sheet
from hybridrl.benchmarks.hope_rollouts import drive_all
from hybridrl.benchmarks.plots import learning_curves
from hybridrl.benchmarks.results import ResultRow
from hybridrl.benchmarks.runs import atomic_write
from hybridrl.envs.parking.drawing.stills import draw_plan, path_facts
from hybridrl.envs.parking.kernels.records import OUTCOMES, SUCCESS
from hybridrl.envs.parking.scenes import fixed_scenes

CLASSES = ("normal-bay", "complex-parallel", "extreme-parallel", "extreme-bay", "lot")
HARDEST = "ultra-parallel"
KEPT = ("time/total_timesteps", "time/time_elapsed", "rollout/ep_rew_mean")
WIDTH = 480  # pixels of a scene


def keep_curve(progress: Path, seed: int, folder: Path) -> Path:
    """Write what a card needs of a training's ``progress.csv``.

    Args:
        progress: The log that ``HopePPO`` wrote.
        seed: Of the training.
        folder: Of the results.
    """
    with progress.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    columns = [*KEPT, *sorted(name for name in lines[-1] if name.startswith("success/"))]
    out = folder / f"training-seed-{seed}.csv"
    with atomic_write(out) as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return out


def curve_rows(folder: Path) -> Iterator[ResultRow]:
    """Success in training of every class and seed, as long rows ``at_<samples>``, in per cent."""
    for file in sorted(folder.glob("training-seed-*.csv")):
        seed = int(file.stem.rpartition("-")[2])
        with file.open(newline="", encoding="utf-8") as text:
            for line in csv.DictReader(text):
                for name, value in line.items():
                    if name.startswith("success/") and value:
                        yield _row(name.partition("/")[2], seed, line, 100 * float(value))


def _row(env: str, seed: int, line: dict[str, str], value: float) -> ResultRow:
    samples = int(line["time/total_timesteps"])
    return ResultRow(
        suite="hope",
        env=env,
        agent="hope-ppo",
        seed=seed,
        variant="training",
        metric=f"at_{samples}",
        value=value,
        n=1,
        steps=samples,
        wall_s=float(line["time/time_elapsed"]),
        version="",
        commit="",
        command="",
    )


def draw_curves(folder: Path) -> Path:
    """``learning.png``: mean of the seeds with its 95 % interval."""
    labels = ("samples", "success of the last episodes [%]")
    return learning_curves(list(curve_rows(folder)), "at_", labels, folder / "learning.png")


def draw_scenes(folder: Path, seed: int = 0) -> Path:
    """``scenes.png``: one solved scene a class, then Ultra scenes, the last ones unsolved.

    Args:
        folder: Where the picture goes.
        seed: Of the roll-outs' draws.
    """
    from PIL import Image

    pictures = [picture for name in CLASSES for picture in _driven(name, (True,), seed)]
    pictures += _driven(HARDEST, (True, False, False, False), seed)
    out = folder / "scenes.png"
    partial = out.with_suffix(".partial.png")
    Image.fromarray(contact_sheet(pictures, 3)).quantize(64).save(partial, optimize=True)
    partial.replace(out)
    return out


def _driven(name: str, solved: Sequence[bool], seed: int) -> list[np.ndarray]:
    """One roll-out on scenes of a class: the first scenes that were solved, or were not."""
    scenes = fixed_scenes(name, 24)
    simulator = drive_all(load_network(None), scenes, seed=seed, allow_reversed_goal=False)
    outcomes = simulator.batch.rows["outcome"]
    left = {flag: list(np.flatnonzero((outcomes == SUCCESS) == flag)) for flag in (True, False)}
    chosen = [int(left[flag].pop(0)) for flag in solved if left[flag]]
    return [
        draw_plan(
            scenes[i],
            path := simulator.driven_path(i),
            [("class", name), ("outcome", OUTCOMES[outcomes[i]]), *path_facts(path)],
            width=WIDTH,
        )
        for i in chosen
    ]


def main() -> None:
    """Draw the pictures of a results folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--progress", type=Path, help="log of a training to keep first")
    parser.add_argument("--seed", type=int, default=0, help="of that training")
    given = parser.parse_args()
    if given.progress:
        print(keep_curve(given.progress, given.seed, given.folder))
    print(draw_curves(given.folder))
    print(draw_scenes(given.folder))


if __name__ == "__main__":
    main()
