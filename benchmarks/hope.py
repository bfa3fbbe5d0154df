"""The HOPE suite: trained parking policies on 2,000 fixed scenes a class (``parking.md`` 14.6).

A trial drives a chunk of one class's scenes at once. Every path that was driven is checked again
at 1 cm and swept exactly; one that touches anything counts as a failure. Planning time is that of
a chunk over its scenes; what a single plan takes stands in the parking suite.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hybridrl.agents.hope.network import HopeNetwork
from hybridrl.agents.hope.planner import SMOOTH_SECONDS
from hybridrl.agents.hope.weights import load_network
from hybridrl.benchmarks.hope_rollouts import drive_all
from hybridrl.benchmarks.parking import Episode, summarise
from hybridrl.benchmarks.parking_tables import class_tables as tables
from hybridrl.benchmarks.plots import parking_plots as plots
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.envs.parking.kernels.records import SUCCESS
from hybridrl.envs.parking.rollouts import GEAR_COST
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.path_check import check_path
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.smoothing import shortcut

__all__ = ["plots", "run_chunk", "summarise", "tables", "trials", "variant"]

ROWS = 2000  # roll-outs side by side
_HANDED = ("decisions", "profile", "contact", "weights")  # to every trial


class Mode(NamedTuple):
    """How a policy is used.

    Args:
        rollouts: Of a scene; the best counts.
        deterministic: Take the most likely motion.
        smooth: CPU seconds of shortcuts on the best path.
    """

    rollouts: int
    deterministic: bool
    smooth: float = 0.0


MODES = {
    "hope-ppo": Mode(1, False),
    "hope-ppo-deterministic": Mode(1, True),
    "hope-ppo-16": Mode(16, False),
    "hope-ppo-16-smooth": Mode(16, False, SMOOTH_SECONDS),
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and budget, as in ``cpu-200d``, and what of the task or the weights is not ours.

    That is HOPE's contact (``sampled``), its whole task (``hope``), and a word for other weights.
    """
    usual = {"contact": "certified", "profile": "default", "label": ""}
    words = [str(settings[key]) for key, value in usual.items() if settings[key] != value]
    return "-".join((f"{tier}-{settings['decisions']}d", *words))


def trials(request: Request) -> list[RunConfig]:
    """One trial for each class, mode, seed of training and chunk of scenes."""
    scenes = request.settings["scenes"]
    return [
        request.trial(
            env=env,
            agent=agent,
            work="hybridrl.benchmarks.hope:run_chunk",
            seed=seed,
            part=f"scenes-{first:04d}-{min(first + chunk, scenes):04d}",
            settings={
                "first": first,
                "last": min(first + chunk, scenes),
                **{k: request.settings[k] for k in _HANDED},
            },
        )
        for env in request.envs
        for agent in request.agents
        for chunk in [max(1, ROWS // MODES[agent].rollouts)]
        for first in range(0, scenes, chunk)
        for seed in request.seeds
    ]


def run_chunk(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Drive the scenes of one trial and write ``episodes.csv``."""
    settings = config.settings
    count = settings["last"] - settings["first"]
    scenes = fixed_scenes(config.env, count, first_seed=settings["first"])
    mode = MODES[config.agent]
    began = time.thread_time()
    simulator = drive_all(
        _network(settings["weights"], config.seed),
        scenes,
        mode.rollouts,
        deterministic=mode.deterministic,
        seed=settings["first"],
        max_decisions=settings["decisions"],
        profile=settings["profile"],
        contact=settings["contact"],
        allow_reversed_goal=False,
    )
    seconds = (time.thread_time() - began) / count
    episodes = [episode_of(simulator, i, scenes[i], mode, seconds) for i in range(count)]
    write_rows(folder / "episodes.csv", Episode, episodes)
    return {"episodes": len(episodes), "successes": sum(e.clean for e in episodes)}


@lru_cache(maxsize=4)
def _network(weights: str, seed: int) -> HopeNetwork:
    """Weights of a training seed: a folder with ``{seed}`` in its name, or ``shipped``."""
    return load_network(None if weights == "shipped" else weights.format(seed=seed))


def episode_of(
    simulator: ParkingSimulator, i: int, scene: Scenario, mode: Mode, seconds: float
) -> Episode:
    """The best roll-out of a scene, checked at 1 cm."""
    mine = slice(i * mode.rollouts, (i + 1) * mode.rollouts)
    rows = simulator.batch.rows[mine]
    cost = rows["path_length"] + GEAR_COST * rows["gear_changes"]
    cost[rows["outcome"] != SUCCESS] = math.inf
    best = int(cost.argmin())
    found = bool(cost[best] < math.inf)
    expansions = int(rows["decisions"].sum())
    if not found:
        nothing = (math.nan,) * 4
        return Episode(scene.id, False, False, seconds, *nothing, expansions=expansions)
    path = simulator.driven_path(mine.start + best)
    if mode.smooth:
        began = time.thread_time()
        path = shortcut(path, scene, mode.smooth)
        seconds += time.thread_time() - began
    check = check_path(path, scene, spacing=0.01)
    return Episode(
        scene=scene.id,
        found=True,
        clean=check.clean,
        seconds=seconds,
        length=path.length,
        gear_changes=path.gear_changes,
        clearance=check.clearance,
        # A decision of the policy may be cut short where its motion is not free any further.
        decisions=float(path.decisions() if mode.smooth else rows["decisions"][best]),
        expansions=expansions,
    )
