"""Which fixed scenes cannot be solved at all, as far as can be known.

A start that allows none of the 42 motions is certified: exact geometry moves the car less than
2 mm either way. For the rest, a scene counts as feasible when the trained policy or a long search
finds a path that is checked at 1 cm; what neither finds is listed as unsolved, which is no proof.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridrl.benchmarks.metrics import wilson
from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.kernels.records import MARGIN
from hybridrl.envs.parking.scenes import fixed_scenes
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.path import PlanResult
from hybridrl.planners.path_check import check_path
from hybridrl.planners.registry import make_planner
from hybridrl.planners.scenario import Scenario

BUDGET = 10.0  # CPU seconds of the long search
POLICY_BUDGET = 2.0
# The policy first, because it is quick; then the search, which ends at its first smoothed path.
SEARCHES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("hope-ppo-16", {}),
    ("best-of", {"thorough": False}),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known of one scene.

    Args:
        scene: Its id.
        verdict: ``solved``, ``stuck`` (certified: the start allows no motion) or ``unsolved``.
        only_creeps: No motion at the start is free for a whole sub-step.
        longest: Metres that the freest motion of the start can drive.
        solver: Who found a path.
        seconds: CPU seconds of all searches.
        budget: Of the long search.
    """

    scene: str
    verdict: str
    only_creeps: bool
    longest: float
    solver: str | None
    seconds: float
    budget: float


def start_freedom(scenes: Sequence[Scenario]) -> list[tuple[float, bool]]:
    """Freest motion of each start in metres, and whether none is free for a whole sub-step."""
    found = []
    for scene in scenes:
        options = ParkingOptions(vehicle=scene.vehicle, action_type="discrete", rs="off")
        simulator = ParkingSimulator(1, scene.vehicle, make_config(options))
        simulator.load(0, scene)
        simulator.begin(np.zeros(1, np.int64))
        row = simulator.batch.rows[0]
        found.append((float(row["free"].max()), bool(row["mask_empty"])))
    return found


def solve(scene: Scenario, budget: float = BUDGET, seed: int = 0) -> tuple[PlanResult, float]:
    """A path by the policy or, failing that, the long search; and CPU seconds of both.

    Args:
        scene: The problem.
        budget: CPU seconds of the long search.
        seed: Of the draws.
    """
    seconds = 0.0
    for name, options in SEARCHES:
        own = min(POLICY_BUDGET, budget) if name.startswith("hope") else budget
        result = make_planner(name, **options).plan(scene, budget=own, seed=seed)
        seconds += result.seconds
        if result.path is not None and check_path(result.path, scene).clean:
            break
    return result, seconds


def judge(scene: Scenario, budget: float = BUDGET, seed: int = 0) -> Verdict:
    """Whether a scene can be solved; see :class:`Verdict`."""
    ((longest, only_creeps),) = start_freedom([scene])
    facts: dict[str, Any] = {
        "scene": scene.id, "longest": longest, "only_creeps": only_creeps, "budget": budget,
    }  # fmt: skip
    if longest <= 2.0 * MARGIN:
        return Verdict(verdict="stuck", solver=None, seconds=0.0, **facts)
    result, seconds = solve(scene, budget, seed)
    solver = result.planner if result.path is not None else None
    verdict = "unsolved" if solver is None else "solved"
    return Verdict(verdict=verdict, solver=solver, seconds=seconds, **facts)


def survey(
    class_or_level: str,
    count: int,
    first_seed: int = 0,
    budget: float = BUDGET,
    *,
    task: str = "in",
    out: Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> list[Verdict]:
    """Judge fixed scenes; those that stand in ``out`` with the same budget are not judged again.

    Args:
        class_or_level: As ``fixed_scenes`` takes it.
        count: How many.
        first_seed: Of the first.
        budget: CPU seconds of the long search.
        task: ``in`` or ``out``.
        out: File of one JSON object a line, added to as scenes are judged.
        tick: Called after each.
    """
    known = _read(out) if out is not None and out.exists() else {}
    verdicts = []
    for scene in fixed_scenes(class_or_level, count, first_seed, task=task):
        verdict = known.get(scene.id)
        if verdict is None or verdict.budget != budget:
            verdict = judge(scene, budget)
            if out is not None:
                out.parent.mkdir(parents=True, exist_ok=True)
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(verdict)) + "\n")
        verdicts.append(verdict)
        tick(f"{scene.id} {verdict.verdict}")
    return verdicts


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Shares with Wilson intervals, and the ids of what is not solved."""
    solved = sum(v.verdict == "solved" for v in verdicts)
    low, high = wilson(solved, len(verdicts))
    return {
        "scenes": len(verdicts),
        "feasible_share": solved / max(len(verdicts), 1),
        "feasible_95": [low, high],
        "solved_by": {
            name: sum(v.solver == name for v in verdicts)
            for name in sorted({v.solver for v in verdicts if v.solver})
        },
        "only_creeps": [v.scene for v in verdicts if v.only_creeps],
        "stuck": [v.scene for v in verdicts if v.verdict == "stuck"],
        "unsolved": [v.scene for v in verdicts if v.verdict == "unsolved"],
        "seconds": sum(v.seconds for v in verdicts),
    }


def _read(file: Path) -> dict[str, Verdict]:
    """Verdicts by scene; a line that an interruption cut short is left out."""
    verdicts = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            verdict = Verdict(**json.loads(line))
        except (ValueError, TypeError):
            continue
        verdicts[verdict.scene] = verdict
    return verdicts
