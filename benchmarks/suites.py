"""EVERY suite, one table.

A suite is one row here and one module that has four functions (see :class:`SuiteModule`); several
suites may share a module.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

from hybridrl.benchmarks.suite_axes import (
    PARKING_CLASSES,
    STORAGE_POLICIES,
    STORAGE_SYSTEMS,
    STORAGE_WORKLOADS,
)
from hybridrl.benchmarks.suite_types import TIERS, Request, Suite, SuiteModule
from hybridrl.envs.gap.variants import ROBOTS, VARIANTS
from hybridrl.planners.errors import UnknownNameError

__all__ = ["SUITES", "TIERS", "Request", "Suite", "SuiteModule", "get_suite", "suite_module"]

# Weights that are no seed of the shipped policy need a label, which stands in the variant.
_HOPE = {"decisions": 200, "profile": "default", "contact": "certified"}
_HOPE |= {"weights": "shipped", "label": ""}
# Weights of the policy rows, and a folder with weights trained for each variant, if there is one.
_BEYOND = {"weights": "shipped", "tuned": ""}

HYBRID_AGENTS = (
    *("sac", "sacfd", "hyq-sac", "moorl", "rlpd-lite", "moorl-ln"),
    *("rlpd", "optimistic-sac", "iql", "cql", "calql"),
)

_QUICK_ROBOTS = {"robots": ("HalfCheetah",), "levels": ("random",)}
_CPU_ROBOTS = {
    "robots": ("HalfCheetah", "Hopper"),
    "levels": ("random", "medium-replay"),
}
_ALL_ROBOTS = {
    "robots": ("HalfCheetah", "Hopper", "Walker2d"),
    "levels": ("random", "medium-replay", "medium"),
}
_PARKERS = {"gradient_steps": 4, "batch_size": 256, "width": 256, "demonstrations": 300}
_FEW_PARKERS = {**_PARKERS, "demonstrations": 50}
_SMALL_NETS = {"batch_size": 128, "width": 128}
_TINY = {"gradient_steps": 1, "batch_size": 16, "width": 8}

# Back end, and settings of the learners over those of their presets.
_DRIVING: dict[str, Any] = {"backend": "fast", "over": {}}
_DRIVING_SMOKE: dict[str, Any] = {"backend": "fast", "over": {"n_envs": 2}}

SUITES: dict[str, Suite] = {
    "parking": Suite(
        title="Planners on the parking benchmark",
        module="hybridrl.benchmarks.parking",
        envs=PARKING_CLASSES,
        agents=(
            *("rs-shortest", "rs-any", "hybrid-astar", "rrt-connect", "best-of", "random-rs"),
            *("random-rs-64", "hope-ppo", "hope-ppo-16", "hope-ppo-16-smooth"),
        ),
        tiers={
            "smoke": {"scenes": 2, "budget": 0.2},
            "quick": {"scenes": 20, "budget": 1.0},
            "cpu": {"scenes": 200, "budget": 2.0},
            "full": {"scenes": 2000, "budget": 4.0},
        },
        reproduces="HOPE (arXiv 2405.20579)",
    ),
    "hope": Suite(
        title="Trained parking policies on 2,000 scenes a class",
        module="hybridrl.benchmarks.hope",
        envs=PARKING_CLASSES,
        agents=("hope-ppo", "hope-ppo-deterministic", "hope-ppo-16", "hope-ppo-16-smooth"),
        tiers={
            "smoke": {"scenes": 4, **_HOPE},
            "quick": {"scenes": 100, **_HOPE},
            "cpu": {"scenes": 2000, **_HOPE},
            "full": {"scenes": 2000, **_HOPE},
        },
        reproduces="HOPE (arXiv 2405.20579)",
    ),
    "hope-ablation": Suite(
        title="What each part of HOPE is worth",
        module="hybridrl.benchmarks.hope_ablation",
        envs=PARKING_CLASSES[:5],
        agents=(
            *("full", "mask-as-input", "no-mask", "no-reeds-shepp", "mlp", "no-curriculum"),
            *("sampled-contact", "gaussian-mask", "normalised", "hope-sac", "sb3-ppo", "sb3-sac"),
            *("random-1", "random-64"),
        ),
        tiers={
            "smoke": {"scenes": 2, "samples": 64, "sac_samples": 16, "over": {"n_envs": 2}},
            "quick": {"scenes": 20, "samples": 30_000, "sac_samples": 3_000, "over": {}},
            "cpu": {"scenes": 500, "samples": 500_000, "sac_samples": 50_000, "over": {}},
            "full": {"scenes": 2000, "samples": 6_000_000, "sac_samples": 2_000_000, "over": {}},
        },
    ),
    "parking-beyond": Suite(
        title="What each demand of a real car costs",
        module="hybridrl.benchmarks.parking_beyond",
        envs=(
            *("default", "pose", "rate-limits", "lidar-noise", "vehicle-range", "pull-out"),
            *("extreme-bay", "ultra-parallel", "lot"),
        ),
        agents=(
            *("hope-ppo", "hope-ppo-16", "hope-ppo-tuned", "hope-ppo-tuned-16", "hybrid-astar"),
            *("rrt-connect", "best-of", "random-rs-64", "long-search"),
        ),
        tiers={
            "smoke": {"scenes": 1, "budget": 0.2, "long": 0.5, **_BEYOND},
            "quick": {"scenes": 20, "budget": 0.5, "long": 2.0, **_BEYOND},
            "cpu": {"scenes": 200, "budget": 1.0, "long": 10.0, **_BEYOND},
            "full": {"scenes": 1000, "budget": 2.0, "long": 10.0, **_BEYOND},
        },
    ),
    "gap-estimator": Suite(
        title="H2O's gap estimate where the gap is known exactly",
        module="hybridrl.benchmarks.gap_estimator",
        envs=("planted", "zero", "ratio"),
        agents=("h2o", "h2o-public"),
        tiers={
            "smoke": {"updates": 5, "rows": 500, "fresh": 100},
            "quick": {"updates": 1000, "rows": 100_000, "fresh": 2000},
            "cpu": {"updates": 3000, "rows": 100_000, "fresh": 2000},
            "full": {"updates": 20_000, "rows": 1_000_000, "fresh": 2000},
        },
        seeds=5,
    ),
    "gap-pendulum": Suite(
        title="H2O and its rivals on the pendulum with a planted gap",
        module="hybridrl.benchmarks.gap_pendulum",
        envs=(
            "GainBelow-hanging1000",
            "GravityBelow-hanging1000",
            *(
                f"{gap}-{rows}"
                for rows in (200, 1000)
                for gap in ("GainX2.5", "GravityX2", "Morph", "Wind", "Delay2")
            ),
        ),
        agents=(
            *("sac-sim", "sac-offline", "iql", "mixture", "darc", "h2o", "h2o-no-ratio"),
            *("h2o-no-gap", "h2o-no-penalty", "h2o-public"),
        ),
        tiers={
            "smoke": {"updates": 30},
            "quick": {"updates": 500},
            "cpu": {"updates": 6000},
            "full": {"updates": 9000},
        },
        seeds=5,
    ),
    "gap-mujoco": Suite(
        title="H2O and its rivals on HalfCheetah with a planted gap",
        module="hybridrl.benchmarks.gap_mujoco",
        envs=tuple(
            f"{gap}-{data}"
            for data in ("medium-replay", "medium")
            for gap in ("GravityX2", "FrictionX0.3", "JointNoise", "Bullet")
        ),
        agents=(
            *("sac-sim", "iql", "mixture", "darc", "h2o", "h2o-no-ratio", "h2o-no-gap"),
            *("h2o-public",),
        ),
        tiers={
            "smoke": {"updates": 10, **_SMALL_NETS},
            "quick": {"updates": 1_000, **_SMALL_NETS},
            "cpu": {"updates": 20_000, **_SMALL_NETS},
            "full": {"updates": 1_000_000, "batch_size": 256, "width": 256},
        },
        seeds=3,
        quick_seeds=1,
        reproduces="H2O (arXiv 2206.13464), Table 1",
    ),
    "gap-size": Suite(
        title="One-step gap of every simulator",
        module="hybridrl.benchmarks.gap_size",
        envs=tuple(robot.lower() for robot in ROBOTS),
        agents=tuple(VARIANTS),
        tiers={
            "smoke": {"steps": 20},
            "quick": {"steps": 300},
            "cpu": {"steps": 2000},
            "full": {"steps": 20000},
        },
    ),
    "optimism": Suite(
        title="Optimistic actor-critic: regret, and exploration beside plain SAC",
        module="hybridrl.benchmarks.optimism",
        envs=(
            *("lock-5", "lock-10", "lock-20", "random", "random-linear"),
            *("hadamard-5", "hadamard-10"),
            *("InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Hopper-v5", "HalfCheetah-v5"),
            "SparsePoint-v0",
        ),
        agents=(
            *("nora", "nora-hybrid", "nora-no-optimism", "nora-no-optimism-no-data"),
            *("nora-no-reset", "douhua", "lsvi-ucb", "lsvi-ucb-rare"),
            *("sac", "sac-norm", "oac", "optimistic-sac", "optimistic-sac-whole"),
        ),
        tiers={
            "smoke": {"share": 0.02, "steps": 60, "sparse_steps": 60},
            "quick": {"share": 0.2, "steps": 1000, "sparse_steps": 1000},
            "cpu": {"share": 1.0, "steps": 5000, "sparse_steps": 4000},
            "full": {"share": 5.0, "steps": 1_000_000, "sparse_steps": 50_000},
        },
        seeds=5,
    ),
    "hybrid-pendulum": Suite(
        title="Hybrid agents on the pendulum at equal gradient steps",
        module="hybridrl.benchmarks.hybrid_pendulum",
        envs=("random", "medium-replay"),
        agents=HYBRID_AGENTS,
        tiers={
            "smoke": {"steps": 12, "points": 2},
            "quick": {"steps": 400, "points": 4},
            "cpu": {"steps": 1500, "points": 15},
            "full": {"steps": 5000, "points": 20},
        },
        seeds=5,
    ),
    "hybrid-sparse": Suite(
        title="Hybrid agents on a sparse goal task",
        module="hybridrl.benchmarks.hybrid_sparse",
        envs=("point-corner", "point-wall"),
        agents=HYBRID_AGENTS,
        tiers={
            "smoke": {"steps": 12, "points": 2},
            "quick": {"steps": 400, "points": 4},
            "cpu": {"steps": 600, "points": 12},
            "full": {"steps": 10_000, "points": 20},
        },
        seeds=5,
    ),
    "hybrid-mujoco": Suite(
        title="Hybrid agents on MuJoCo robots at equal gradient steps",
        module="hybridrl.benchmarks.hybrid_mujoco",
        envs=tuple(
            f"{robot}-{level}"
            for robot in ("HalfCheetah", "Hopper", "Walker2d")
            for level in ("random", "medium-replay", "medium")
        ),
        agents=HYBRID_AGENTS,
        tiers={
            "smoke": {"steps": 20, "points": 2, **_CPU_ROBOTS},
            "quick": {"steps": 1_500, "points": 3, **_QUICK_ROBOTS},
            "cpu": {"steps": 5_000, "points": 10, **_CPU_ROBOTS},
            "full": {"steps": 250_000, "points": 50, **_ALL_ROBOTS},
        },
        seeds=3,
        quick_seeds=1,
    ),
    "hybrid-parking": Suite(
        title="What planner demonstrations are worth to agents that learn to park",
        module="hybridrl.benchmarks.hybrid_parking",
        envs=("hard-auto", "hard-off"),
        agents=(
            *("sac", "hope-sac", "hope-sac-demos", "hyq-sac", "rlpd-lite", "moorl", "moorl-ln"),
        ),
        tiers={
            "smoke": {"steps": 64, "points": 2, "episodes": 2, "demonstrations": 2, **_TINY},
            "quick": {"steps": 2_000, "points": 2, "episodes": 20, **_FEW_PARKERS},
            "cpu": {"steps": 96_000, "points": 12, "episodes": 100, **_PARKERS},
            "full": {"steps": 2_000_000, "points": 20, "episodes": 500, **_PARKERS},
        },
        seeds=3,
        quick_seeds=1,
    ),
    "moorl-ablation": Suite(
        title="Which part of MOORL does what, at equal gradient steps",
        module="hybridrl.benchmarks.moorl_ablation",
        envs=("random-g1", "random-g4", "medium-replay-g1", "medium-replay-g4"),
        agents=(
            *("sac", "half", "moorl", "k1-eps1", "k4-eps1", "k4-eps0.25", "k4-anneal", "k2", "k8"),
            *("alternate", "alternate-eps1", "half-eps0.5", "p0.25"),
        ),
        tiers={
            "smoke": {"steps": 12, "points": 2},
            "quick": {"steps": 400, "points": 4},
            "cpu": {"steps": 1500, "points": 15},
            "full": {"steps": 5000, "points": 20},
        },
        seeds=5,
    ),
    "driving": Suite(
        title="Drivers, teachers and students in traffic",
        module="hybridrl.benchmarks.driving",
        envs=("intersection", "merge", "highway", "roundabout"),
        agents=(
            *("random", "idle", "faster", "slower", "rule", "forecast", "lookahead", "local"),
            *("shipped", "tell-drive", "attention-ppo", "ppo", "dqn", "tell-drive-dqn"),
            *("teacher-rule", "teacher-forecast", "no-attention", "no-trust", "no-filter"),
            "no-signals",
            *("token", "token-and-distillation", "chaos-garbage", "chaos-constant"),
            *("chaos-unsafe", "chaos-flipping"),
        ),
        tiers={
            "smoke": {"steps": 128, "dqn_steps": 128, "episodes": 2, **_DRIVING_SMOKE},
            "quick": {"steps": 10_000, "dqn_steps": 1_000, "episodes": 20, **_DRIVING},
            "cpu": {"steps": 400_000, "dqn_steps": 20_000, "episodes": 100, **_DRIVING},
            "full": {"steps": 4_000_000, "dqn_steps": 200_000, "episodes": 100, **_DRIVING},
        },
        seeds=5,
        quick_seeds=1,
        reproduces="TeLL-Drive (arXiv 2502.01387)",
    ),
    "storage": Suite(
        title="Placement and migration in hybrid storage",
        module="hybridrl.benchmarks.storage",
        envs=STORAGE_SYSTEMS,
        agents=STORAGE_POLICIES,
        tiers={
            "smoke": {"scale": 0.1, "requests": 10_000, "workloads": ("stg_1", "web_1")},
            "quick": {"scale": 0.1, "requests": 100_000, "workloads": STORAGE_WORKLOADS},
            "cpu": {"scale": 1.0, "requests": 100_000, "workloads": STORAGE_WORKLOADS},
            "full": {"scale": 1.0, "requests": 10_000_000, "workloads": STORAGE_WORKLOADS},
        },
        seeds=3,
        quick_seeds=1,
        reproduces="Harmonia (arXiv 2503.20507), Sibyl (arXiv 2205.07394)",
    ),
    "comblock": Suite(
        title="Success against environment steps in combination locks",
        module="hybridrl.benchmarks.comblock",
        envs=("H5", "H10", "H20", "H50", "H5-continuous", "H10-continuous", "H5-image"),
        agents=(
            *("hnpg", "hnpg-online", "hnpg-offline", "hnpg-critic", "hnpg-policy", "trpo", "ppo"),
            *("hyq",),
        ),
        tiers={
            "smoke": {"steps": 2000, "episodes": 200},
            "quick": {"steps": 30_000, "episodes": 5000},
            "cpu": {"steps": 3_000_000, "episodes": 50_000},
            "full": {"steps": 3_000_000, "episodes": 50_000},
        },
        seeds=5,
        quick_seeds=1,
        reproduces="HNPG (arXiv 2311.08384)",
    ),
    "hnpg-tasks": Suite(
        title="HNPG with a dataset on ordinary Gymnasium tasks, beside TRPO, PPO, Hy-Q and RLPD",
        module="hybridrl.benchmarks.hnpg_tasks",
        envs=("CartPole-v1", "InvertedPendulum-v5"),
        agents=("hnpg", "hnpg-online", "trpo", "ppo", "hyq", "rlpd-lite"),
        tiers={
            "smoke": {"steps": 2000, "points": 1},
            "quick": {"steps": 10_000, "points": 2},
            "cpu": {"steps": 20_000, "points": 10},
            "full": {"steps": 200_000, "points": 20},
        },
        seeds=5,
    ),
}


def get_suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        UnknownNameError: If no suite has that name; the message gives the nearest ones.
    """
    if name not in SUITES:
        raise UnknownNameError("suite", name, SUITES)
    return SUITES[name]


def suite_module(name: str) -> SuiteModule:
    """The module that does a suite's work."""
    return cast(SuiteModule, importlib.import_module(get_suite(name).module))
