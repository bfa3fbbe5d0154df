"""Roll out a policy for a number of episodes and keep what happened."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.benchmarks.metrics import wilson
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig, read_json
from hybridrl.planners.errors import ScenarioError, UnknownNameError

# Evaluation seeds start here, far above any seed of training.
FIRST_SEED = 2**30


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode; a column of ``evaluations.csv`` each.

    Args:
        timestep: Of training, when it was rolled out.
        episode: Number within the evaluation.
        seed: That the environment was reset with.
        episode_return: Sum of rewards.
        length: Steps.
        success: ``info["is_success"]`` at the end, ``None`` where the task defines none.
        outcome: ``info["outcome"]`` at the end.
    """

    timestep: int
    episode: int
    seed: int
    episode_return: float
    length: int
    success: bool | None
    outcome: str


class RandomPolicy:
    """Uniform over the action space; over the allowed actions where they are discrete."""

    def __init__(self, space: gym.Space[Any], seed: int = 0) -> None:
        self._space = space
        self._space.seed(seed)

    def predict(
        self, observation: Any, deterministic: bool = True, action_masks: Any = None
    ) -> tuple[Any, None]:
        """An action, and no state, as Stable-Baselines3 returns them."""
        if action_masks is None or not isinstance(self._space, gym.spaces.Discrete):
            return self._space.sample(), None
        return self._space.sample(mask=np.asarray(action_masks, np.int8)), None


def evaluate_name(
    name: str,
    env: str | None = None,
    episodes: int = 100,
    seed: int = 0,
    *,
    env_kwargs: dict[str, Any] | None = None,
    deterministic: bool = True,
    trust: bool = False,
    video: Path | None = None,
    out: Path | None = None,
    tick: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Evaluate a policy by name; the arguments are those of ``hybridrl evaluate``.

    Returns:
        The :func:`summary` with ``policy`` and ``env``.

    Raises:
        ScenarioError: If no environment is given and the name is no run folder.
    """
    env, kwargs = environment_of(name, env, env_kwargs)
    records = []
    with gym.make(env, **kwargs) as made:
        policy = load_policy(name, made, seed, trust)
        for record in evaluate_one(policy, made, episodes, seed, deterministic):
            records.append(record)
            tick(f"return {record.episode_return:.3g} {record.outcome}")
    if video:
        from hybridrl.benchmarks.videos import film

        film(name, env, video, seed, trust, kwargs)
    if out:
        write_rows(out, EpisodeRecord, records)
    return {"policy": name, "env": env, **summary(records)}


def environment_of(
    name: str, env: str | None, env_kwargs: dict[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Id and keywords of the environment to evaluate in: as asked, else those of the run.

    The run's keywords hold for every environment of the same class, as ``Parking-Extreme`` for a
    run on ``Parking-Mixed``.

    Args:
        name: ``random`` or a run folder.
        env: Gymnasium id, or ``None`` for the run's.
        env_kwargs: Keywords that win over the run's.

    Raises:
        ScenarioError: If no environment is given and the name is no run folder.
    """
    asked = env_kwargs or {}
    if name == "random":
        if env is None:
            raise ScenarioError("env", None, "a Gymnasium id after `random`")
        return env, asked
    config = run_config(require_folder(name))
    env = env or config.env
    trained_in = config.settings.get("env_kwargs", {}) if _same_class(env, config.env) else {}
    return env, {**trained_in, **asked}


def _same_class(one: str, other: str) -> bool:
    specs = gym.registry.get(one), gym.registry.get(other)
    made = {spec.entry_point for spec in specs if spec is not None and spec.entry_point}
    return one == other or (None not in specs and len(made) == 1)


def require_folder(name: str) -> Path:
    """The run folder of that name.

    Raises:
        UnknownNameError: If it does not exist.
    """
    if not Path(name).is_dir():
        raise UnknownNameError("policy or run folder", name, ["random"])
    return Path(name)


def load_policy(name: str, env: gym.Env[Any, Any], seed: int = 0, trust: bool = False) -> Any:
    """Anything with ``predict``: ``random``, a run folder, or a trusted model zip in it.

    Args:
        name: ``random`` or the path of a run folder.
        env: The environment it will act in.
        seed: Of a random policy.
        trust: Unpickle ``model.zip``, which runs code from the file.

    Raises:
        UnknownNameError: If there is neither such a policy nor such a folder.
        ScenarioError: If the folder holds no finished training run.
    """
    if name == "random":
        return RandomPolicy(env.action_space, seed)
    folder = require_folder(name)
    from hybridrl.agents.registry import agent_class
    from hybridrl.benchmarks.train import build_model

    config = run_config(folder)
    if trust:
        return agent_class(config.agent).load(folder / "model.zip", device="cpu")
    model = build_model(config.agent, env, config.settings, seed=config.seed, device="cpu")
    from hybridrl.agents.common.checkpoint import load_weights

    load_weights(model, folder / "parameters.pth")
    return model


def run_config(folder: Path) -> RunConfig:
    """What a run folder was made from.

    Raises:
        ScenarioError: If it is no run folder.
    """
    try:
        return RunConfig.from_json(read_json(folder / "run.json"))
    except (OSError, ValueError, TypeError) as error:
        raise ScenarioError(str(folder), str(error), "a run folder with run.json") from None


def evaluate_one(
    policy: Any,
    env: gym.Env[Any, Any],
    episodes: int = 100,
    seed: int = 0,
    deterministic: bool = True,
    timestep: int = 0,
) -> Iterator[EpisodeRecord]:
    """Roll out episodes on fixed seeds that training never saw.

    Args:
        policy: Anything with ``predict(observation, deterministic=...)``.
        env: A single environment.
        episodes: How many.
        seed: Chooses the list of reset seeds; equal lists for equal seeds.
        deterministic: Whether the policy's most likely action is taken.
        timestep: Of training, for the record.
    """
    for episode in range(episodes):
        act = predictor(policy, env, deterministic)
        first = FIRST_SEED + 100_000 * seed + episode
        observation, info = env.reset(seed=first)
        total, length, ended = 0.0, 0, False
        while not ended:
            observation, reward, terminated, truncated, info = env.step(act(observation))
            total, length, ended = total + float(reward), length + 1, terminated or truncated
        success = bool(info["is_success"]) if "is_success" in info else None
        outcome = str(info.get("outcome", ""))
        yield EpisodeRecord(timestep, episode, first, total, length, success, outcome)


def predictor(policy: Any, env: gym.Env[Any, Any], deterministic: bool) -> Callable[[Any], Any]:
    """From observation to action, with the environment's masks for a policy that takes them.

    Use it for one episode: a policy that keeps a state between steps begins with none.
    """
    takes = inspect.signature(policy.predict).parameters
    if "action_masks" not in takes and "state" in takes:
        return _Remembering(policy, deterministic)
    if "action_masks" not in takes:
        return lambda observation: policy.predict(observation, deterministic=deterministic)[0]
    try:
        masks = env.get_wrapper_attr("action_masks")
    except AttributeError:
        return lambda observation: policy.predict(observation, deterministic=deterministic)[0]
    return lambda observation: policy.predict(
        observation, deterministic=deterministic, action_masks=masks()
    )[0]


class _Remembering:
    """A policy within one episode: hands what it returned beside an action back to it."""

    def __init__(self, policy: Any, deterministic: bool) -> None:
        self._policy, self._deterministic = policy, deterministic
        self._state: Any = None

    def __call__(self, observation: Any) -> Any:
        action, self._state = self._policy.predict(
            observation, state=self._state, deterministic=self._deterministic
        )
        return action


def summary(records: Sequence[EpisodeRecord]) -> dict[str, Any]:
    """Means over episodes and, where success is defined, its rate with a Wilson interval."""
    returns = [record.episode_return for record in records]
    numbers: dict[str, Any] = {
        "episodes": len(records),
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
        "length_mean": float(np.mean([record.length for record in records])),
    }
    known = [record.success for record in records if record.success is not None]
    if known:
        low, high = wilson(sum(known), len(known))
        numbers |= {"success_rate": sum(known) / len(known), "success_95": [low, high]}
    return numbers
