"""Films of episodes: of an environment, of a trained run, of a planned scenario."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hybridrl.benchmarks.animation import save_animation
from hybridrl.benchmarks.evaluate import FIRST_SEED, environment_of, load_policy, predictor
from hybridrl.benchmarks.planning import FILMS, plan_file, require_suffix

Frame = NDArray[np.uint8]
LONGEST = 500  # frames, so that an environment without an end still gives a film


def render_anything(
    name: str, out: Path, seed: int = 0, planner: str = "best-of", budget: float = 2.0
) -> Path:
    """Film an environment or a run, or draw a planned scenario.

    Args:
        name: Gymnasium id, run folder, or scenario JSON.
        out: What to write; its suffix chooses the form.
        seed: Of the episode.
        planner: Who drives a scenario.
        budget: CPU seconds for it.

    Returns:
        The file written.

    Raises:
        ScenarioError: If the suffix does not fit.
        gymnasium.error.Error: If the name is none of the three.
    """
    if name.endswith(".json"):
        plan_file(Path(name), planner, budget, seed, plot=out)
        return out
    if Path(name).is_dir():
        env, kwargs = environment_of(name, None)
        return film(name, env, out, seed, env_kwargs=kwargs)
    return film("random", name, out, seed)


def film(
    policy: str,
    env: str,
    out: Path,
    seed: int = 0,
    trust: bool = False,
    env_kwargs: dict[str, Any] | None = None,
) -> Path:
    """Film one episode of a policy.

    Args:
        policy: As :func:`~hybridrl.benchmarks.evaluate.load_policy` takes it.
        env: Gymnasium id.
        out: A ``.gif`` or ``.mp4`` file.
        seed: Of the episode.
        trust: Allow unpickling.
        env_kwargs: Keywords of the environment.

    Raises:
        ScenarioError: If the suffix is another.
    """
    require_suffix("out", out, FILMS)
    with gym.make(env, render_mode="rgb_array", **(env_kwargs or {})) as made:
        actor = load_policy(policy, made, seed, trust)
        frames = list(islice(_frames(actor, made, seed), LONGEST))
        fps = float(made.metadata.get("render_fps") or 10)
    save_animation(frames, out, min(fps, 50.0))
    return out


def _frames(policy: Any, env: gym.Env[Any, Any], seed: int) -> Iterator[Frame]:
    act = predictor(policy, env, deterministic=True)
    observation, _ = env.reset(seed=FIRST_SEED + 100_000 * seed)
    ended = False
    while not ended:
        yield _frame(env)
        observation, _, terminated, truncated, _ = env.step(act(observation))
        ended = terminated or truncated
    yield _frame(env)


def _frame(env: gym.Env[Any, Any]) -> Frame:
    return np.asarray(env.render(), np.uint8)
