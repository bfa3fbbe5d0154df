"""Films of single episodes for the page, made once and kept by the content of what makes them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.benchmarks.animation import path_frames, save_animation

if TYPE_CHECKING:
    from hybridrl.envs.storage.traces.trace import Trace

Frame = NDArray[np.uint8]
_STRETCHES = 48  # of a trace: points of a latency curve
_SOURCE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Episode:
    """A film that the page shows.

    Args:
        name: Of its file.
        title: What is seen.
        make: Frames, and frames a second.
        settings: Arguments of ``make``.
        needs: Files and folders of the package that decide what is seen.
    """

    name: str
    title: str
    make: Callable[..., tuple[list[Frame], float]]
    settings: dict[str, Any]
    needs: tuple[str, ...]


def parking(scene_class: str, scenes: int, seed: int, size: int) -> tuple[list[Frame], float]:
    """The shipped policy parks in the first scene of a class that it solves."""
    from hybridrl.agents.hope.weights import load_network
    from hybridrl.benchmarks.hope_rollouts import drive_all
    from hybridrl.envs.parking.kernels.records import SUCCESS
    from hybridrl.envs.parking.scenes import fixed_scenes

    found = fixed_scenes(scene_class, scenes)
    simulator = drive_all(load_network(None), found, seed=seed, allow_reversed_goal=False)
    solved = np.flatnonzero(simulator.batch.rows["outcome"] == SUCCESS)
    row = int(solved[0]) if len(solved) else 0
    fps = 12.0
    return path_frames(found[row], simulator.driven_path(row), fps, 3.0, (size, size)), fps


def driving(scenario: str, seed: int, longest: int) -> tuple[list[Frame], float]:
    """The shipped student drives one test scene."""
    import gymnasium as gym

    from hybridrl.benchmarks.driving_drivers import SHIPPED, untrained

    act = untrained(SHIPPED, scenario, seed)
    name = f"hybridrl/Driving-{scenario.capitalize()}-v0"
    options: dict[str, Any] = {"observation": "dict", "expose_scene": True}
    env = gym.make(name, render_mode="rgb_array", backend="highway-env", **options)

    def frames() -> Iterator[Frame]:
        seen, _ = env.reset(seed=seed)
        over = False
        while not over:
            yield np.asarray(env.render(), np.uint8)
            batch = {key: np.asarray(value)[None] for key, value in seen.items()}
            action = int(act(batch, [], np.zeros(1, np.int64))[0])
            seen, _, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
        yield np.asarray(env.render(), np.uint8)

    made = list(islice(frames(), longest))
    env.close()
    return made, 5.0


def storage(
    workload: str, config: str, policies: Sequence[str], scale: float, seed: int
) -> tuple[list[Frame], float]:
    """Mean latency of every policy over a trace whose workload changes half-way."""
    from hybridrl.envs.storage.traces.workloads import make_workload, with_shift

    first = make_workload(workload, seed=seed, scale=scale, config=config)
    second = make_workload(workload, seed=seed + 1000, scale=scale, config=config)
    trace = with_shift(first, second, name=f"{workload}-shift")
    curves = {name: _latency(trace, config, name, seed) for name in policies}
    return _growing(curves), 8.0


def _latency(trace: Trace, config: str, name: str, seed: int) -> NDArray[np.float64]:
    from hybridrl.envs.storage.baselines.registry import make_policy
    from hybridrl.envs.storage.engine import HSSEngine, SaturationWarning
    from hybridrl.envs.storage.metrics import latency_over_time

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SaturationWarning)
        engine = HSSEngine(trace, config, seed=seed, policy=make_policy(name))
        engine.run()
    return latency_over_time(engine, _STRETCHES)["mean_us"]


def _growing(curves: dict[str, NDArray[np.float64]]) -> list[Frame]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from hybridrl.benchmarks.plots import COLOURS

    figure = Figure(figsize=(4.8, 3.0), dpi=100, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.subplots()
    every = np.concatenate(list(curves.values()))
    axes.set(xlabel="share of the trace", ylabel="mean latency [us]", yscale="log", xlim=(0, 1))
    axes.set_ylim(0.8 * every.min(), 1.25 * every.max())
    axes.axvline(0.5, color="#999999", linestyle=":")
    lines = {
        name: axes.plot([], [], color=COLOURS[i % len(COLOURS)], label=name)[0]
        for i, name in enumerate(curves)
    }
    axes.legend(loc="upper right", fontsize=8, ncols=2)
    frames = []
    for shown in range(1, _STRETCHES + 1):
        for name, line in lines.items():
            means = curves[name][:shown]
            line.set_data((np.arange(len(means)) + 0.5) / _STRETCHES, means)
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3].copy())
    # The whole curve first: that is what paper shows.
    return frames[-1:] * 8 + frames


EPISODES = (
    Episode(
        "parking",
        "The shipped parking policy in a slot that is barely longer than the car",
        parking,
        {"scene_class": "extreme-parallel", "scenes": 8, "seed": 0, "size": 360},
        ("agents/hope", "envs/parking", "planners"),
    ),
    Episode(
        "driving",
        "The shipped student turns at an intersection",
        driving,
        {"scenario": "intersection", "seed": 10_000, "longest": 80},
        ("agents/tell_drive", "envs/driving", "benchmarks/driving_drivers.py"),
    ),
    Episode(
        "storage",
        "Latency of placement policies around a change of workload, half-way",
        storage,
        {
            "workload": "prxy_1",
            "config": "perf",
            "policies": ("cde", "hps", "lru_write", "slow_only"),
            "scale": 0.2,
            "seed": 0,
        },
        ("envs/storage",),
    ),
)


def film(episode: Episode, cache: Path) -> bytes:
    """A GIF of an episode: from the cache, or made and put there.

    Args:
        episode: One of :data:`EPISODES`.
        cache: Folder of films; a name in it holds the hash of everything behind the film.
    """
    file = cache / f"{episode.name}-{content_key(episode)}.gif"
    if not file.exists():
        frames, fps = episode.make(**episode.settings)
        save_animation(frames, file, fps)
    return file.read_bytes()


def content_key(episode: Episode) -> str:
    """Hash of an episode's settings and of every file that decides what is seen."""
    mark = hashlib.sha256(json.dumps(episode.settings, sort_keys=True).encode())
    common = ("benchmarks/animation.py", "benchmarks/report/episodes.py")
    for file in _files(sorted({*episode.needs, *common})):
        mark.update(file.name.encode() + b"\0" + file.read_bytes())
    return mark.hexdigest()[:20]


def default_cache() -> Path:
    """``hybridrl/report`` in the user's folder of caches."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "hybridrl" / "report"


def _files(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        place = _SOURCE / name
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        kept = (f for f in inside if f.is_file() and f.suffix in (".py", ".json", ".safetensors"))
        yield from kept


def frames_in(data: bytes) -> int:
    """Pictures in a film."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return int(getattr(image, "n_frames", 1))
