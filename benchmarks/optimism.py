"""The suite optimism: exploration with guarantees, and its deep form beside plain SAC.

Provable half: tables and linear features, where every regret is exact (locks with Hadamard
observations: against what was paid). Deep half: four MuJoCo tasks and a sparse one. A trial is one
agent on one problem with all its seeds.
"""

from __future__ import annotations

from typing import Any

from hybridrl.benchmarks.optimism_numbers import summarise as summarise
from hybridrl.benchmarks.optimism_tables import plots, tables
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request

__all__ = ["plots", "summarise", "tables", "trials", "variant"]

SPARSE = "SparsePoint-v0"
LOCKS = (
    *("nora", "nora-hybrid", "nora-no-optimism", "nora-no-optimism-no-data"),
    *("nora-no-reset", "douhua", "lsvi-ucb", "lsvi-ucb-rare"),
)
RANDOM = ("nora", "nora-no-reset", "douhua", "lsvi-ucb", "lsvi-ucb-rare")
VECTORS = ("nora", "nora-hybrid", "nora-no-optimism", "lsvi-ucb-rare")
DEEP = ("sac", "sac-norm", "oac", "optimistic-sac", "optimistic-sac-whole")
# Problem -> the agents that belong to it; the others of a request are left out there.
CELLS: dict[str, tuple[str, ...]] = {
    **{f"lock-{horizon}": LOCKS for horizon in (5, 10, 20)},
    "random": RANDOM,
    "random-linear": ("nora", "lsvi-ucb", "lsvi-ucb-rare"),
    **{f"hadamard-{horizon}": VECTORS for horizon in (5, 10)},
    **{f"{name}-v5": DEEP for name in ("InvertedPendulum", "InvertedDoublePendulum")},
    **{f"{name}-v5": DEEP for name in ("Hopper", "HalfCheetah")},
    SPARSE: DEEP,
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and environment steps of the deep half, as in ``cpu-20000``."""
    return f"{tier}-{settings['steps']}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each problem and agent that belong together."""
    made = []
    for env in request.envs:
        for agent in (agent for agent in request.agents if agent in CELLS[env]):
            settings: dict[str, Any] = {"seeds": list(request.seeds)}
            work = "hybridrl.benchmarks.optimism_regret:run_seeds"
            if agent in DEEP:
                work = "hybridrl.benchmarks.optimism_deep:train_stack"
                name = "sparse_steps" if env == SPARSE else "steps"
                settings["steps"] = request.settings[name]
            else:
                settings["share"] = request.settings["share"]
            made.append(
                request.trial(
                    env=env, agent=agent, work=work, seed=request.seeds[0], settings=settings
                )
            )
    return made
