"""The gap-mujoco suite: H2O and its rivals on HalfCheetah with a planted gap (``h2o.md`` 5.1).

A trial is one method, gap, dataset and seed. Its state is saved at every evaluation, so an
interrupted one goes on there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridrl.agents.registry import agent_class
from hybridrl.benchmarks.gap import (
    EVALUATION_SEED,
    Evaluation,
    RealGuard,
    home,
)
from hybridrl.benchmarks.gap import summarise as summarise
from hybridrl.benchmarks.gap_tables import plots, tables
from hybridrl.benchmarks.rows_file import rows_so_far, write_rows
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request
from hybridrl.envs.gap.env import GapEnv
from hybridrl.envs.gap.variants import sim_keywords

__all__ = ["plots", "summarise", "tables", "train_cell", "trials", "variant"]

ROBOT = "HalfCheetah"
POINTS = 5  # evaluations along the training
EPISODES = 5  # of each
# Method -> registered agent and its own keywords.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "sac-sim": ("sac", {"learning_starts": 1000}),
    "iql": ("iql", {"actor_decay": False}),
    "mixture": ("h2o", {"use_ratio": False, "use_gap": False, "beta": 0.0}),
    "darc": ("darc", {"learning_starts": 1000}),
    "h2o": ("h2o", {}),
    "h2o-no-ratio": ("h2o", {"use_ratio": False}),
    "h2o-no-gap": ("h2o", {"use_gap": False}),
    "h2o-public": ("h2o", {"public": True}),
}


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and thousands of updates, as in ``cpu-30k``."""
    return f"{tier}-{settings['updates'] / 1000:g}k"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each gap, dataset, method and seed; what a method does not use is shared."""
    cells = dict.fromkeys(
        (home(env, method), method, seed)
        for seed in request.seeds
        for env in request.envs
        for method in request.agents
    )
    return [
        request.trial(
            env=env,
            agent=method,
            work="hybridrl.benchmarks.gap_mujoco:train_cell",
            seed=seed,
            settings=dict(request.settings),
        )
        for env, method, seed in cells
    ]


def train_cell(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train one method on one gap, or go on with it, and evaluate in reality on the way.

    Returns:
        Steps of the simulator, and how often the real environment was stepped.
    """
    import torch

    from hybridrl.agents.common.training_state import save_training_state

    torch.set_num_threads(1)
    updates = config.settings["updates"]
    guard = RealGuard(GapEnv)
    model = _build(config)
    done, found = _resume(model, folder)
    for point in [updates * k // POINTS for k in range(1, POINTS + 1)]:
        if point <= done:
            continue
        _train(model, config.agent, point - done, first=not done)
        done = point
        with guard.evaluating():
            returns = _returns(model, guard)
        found += [Evaluation(config.agent, config.seed, point, i, v) for i, v in enumerate(returns)]
        write_rows(folder / "evaluations.csv", Evaluation, found)
        save_training_state(model, folder / "state", facts={"updates": done})
    model.save(folder / "model.zip")
    return {"sim_steps": model.num_timesteps, "updates": updates, **guard.facts()}


def _build(config: RunConfig) -> Any:
    agent, own = METHODS[config.agent]
    name, _, data = config.env.partition("-")
    sim = GapEnv(robot=ROBOT.lower(), **(sim_keywords(ROBOT, name) if name != "offline" else {}))
    keywords: dict[str, Any] = {
        "seed": config.seed,
        "device": "cpu",
        "buffer_size": config.settings["updates"] + 2000,
        **own,
    }
    if data != "none":
        keywords["offline_dataset"] = f"hybridrl/{ROBOT.lower()}/{data}-v0"
    return agent_class(agent)("MlpPolicy", sim, **keywords)


def _resume(model: Any, folder: Path) -> tuple[int, list[Evaluation]]:
    """Updates done before, and the evaluations up to there; 0 and none for a fresh start."""
    from hybridrl.agents.common.training_state import resume_training

    done = int(resume_training(model, folder / "state").get("updates", 0))
    found = rows_so_far(folder / "evaluations.csv", Evaluation)
    return done, [e for e in found if e.updates <= done]


def _train(model: Any, method: str, updates: int, first: bool) -> None:
    if method == "iql":
        model.pretrain(updates)
    else:
        random = int(model.learning_starts) if first else 0
        model.learn(updates + random, reset_num_timesteps=first)


def _returns(model: Any, guard: RealGuard) -> list[float]:
    env = guard.make(robot=ROBOT.lower())
    returns = []
    for episode in range(EPISODES):
        observation, _ = env.reset(seed=EVALUATION_SEED + episode)
        total, ended = 0.0, False
        while not ended:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, ended = total + reward, terminated or truncated
        returns.append(total)
    env.close()
    return returns
