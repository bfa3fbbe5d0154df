"""Train one agent on one environment in one run folder."""

from __future__ import annotations

import copy
import functools
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from hybridrl.agents.registry import ENV_KEY, RUN_KEYS, agent_class, resolve
from hybridrl.benchmarks.evaluate import EpisodeRecord, evaluate_one, summary
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig, RunResult, execute
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecEnv

EPISODES = 100  # of the final evaluation
CHECKPOINTS = 10  # a run
_NOT_ARGUMENTS = (*RUN_KEYS, ENV_KEY, "device", "tensorboard")


def train_config(
    agent: str,
    env: str,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    env_kwargs: dict[str, Any] | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    command: str = "",
) -> RunConfig:
    """The run that ``hybridrl train`` makes, checked before anything starts.

    Args:
        agent: A registered agent.
        env: Gymnasium id.
        seed: Of the environment and the agent.
        overrides: Settings over those of the preset.
        env_kwargs: Keywords of the environment.
        device: As torch names it, or ``auto``.
        tensorboard: Log for it too.
        command: The command line, for the record.

    Raises:
        UnknownNameError: If the agent or a setting is unknown.
        gymnasium.error.UnregisteredEnv: If the environment is.
        ScenarioError: If the number of steps or environments is below 1.
    """
    settings = resolve(agent, env, overrides or {})
    kwargs = {**settings.get(ENV_KEY, {}), **(env_kwargs or {})}
    gym.make(env, **kwargs).close()
    for key in RUN_KEYS:
        if not (isinstance(settings[key], int) and settings[key] > 0):
            raise ScenarioError(key, settings[key], "a whole number above 0")
    return RunConfig(
        suite="train",
        env=env,
        agent=agent,
        work="hybridrl.benchmarks.train:train_one",
        seed=seed,
        settings={
            **settings,
            ENV_KEY: kwargs,
            "device": device,
            "tensorboard": tensorboard,
        },
        command=command,
    )


def train(config: RunConfig, out: Path, resume: bool = False, fresh: bool = False) -> RunResult:
    """Run a training, refusing to mix it with an unfinished one unless told how.

    Args:
        config: From :func:`train_config`.
        out: Folder of run folders.
        resume: Go on from the last checkpoint.
        fresh: Throw away what is there.

    Raises:
        ScenarioError: If there is an unfinished run and neither is asked for.
    """
    folder = config.folder(out)
    if fresh:
        for name in ("checkpoint", "result.json"):
            remove(folder / name)
    elif not resume and (folder / "checkpoint").exists() and not (folder / "result.json").exists():
        raise ScenarioError(
            "run", str(folder), "--resume to go on with the unfinished run or --fresh to start it"
        )
    return execute(config, out)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def train_one(
    config: RunConfig, folder: Path, callbacks: Sequence[BaseCallback] = ()
) -> dict[str, Any]:
    """The work of a training run: learn, save, evaluate; goes on from a checkpoint if there is one.

    On a CPU, in an environment that tells its state, a run that was killed and goes on ends with
    the weights of an uninterrupted one, bit for bit.

    Args:
        config: ``settings`` as :func:`train_config` makes them.
        folder: Of the run.
        callbacks: Of Stable-Baselines3, called after that which saves checkpoints.

    Returns:
        The final evaluation's summary and the number of steps.
    """
    from stable_baselines3.common.logger import configure

    from hybridrl.agents.common.checkpoint import save_weights
    from hybridrl.agents.common.training_state import load_training_state

    settings = config.settings
    state = _state_of(folder, settings)
    done = int(state.name) if state else 0
    logs = folder / f"resumed-{done}" if done else folder
    logs.mkdir(exist_ok=True)
    kwargs = settings["env_kwargs"]
    venv = make_venv(config.env, kwargs, settings["n_envs"], config.seed, logs)
    model = build_model(config.agent, venv, settings, config.seed, settings["device"])
    if state:
        load_training_state(model, state)
    formats = ["csv", "tensorboard"] if settings["tensorboard"] else ["csv"]
    model.set_logger(configure(str(logs), formats))
    model.learn(
        max(0, settings["total_timesteps"] - done),
        callback=[_checkpoints(folder, settings), *callbacks],
        reset_num_timesteps=not done,
        progress_bar=sys.stderr.isatty(),
    )
    venv.close()
    model.save(folder / "model.zip")
    save_weights(model, folder / "parameters.pth")
    if hasattr(model, "save_weights"):  # what can ship: loads without unpickling
        model.save_weights(folder / "weights")
    with gym.make(config.env, **kwargs) as env:
        episodes = min(EPISODES, max(1, settings["total_timesteps"] // 100))
        records = list(
            evaluate_one(model, env, episodes, config.seed, timestep=model.num_timesteps)
        )
    write_rows(folder / "evaluations.csv", EpisodeRecord, records)
    return {"steps": model.num_timesteps, **summary(records)}


def make_venv(env: str, env_kwargs: dict[str, Any], n_envs: int, seed: int, folder: Path) -> VecEnv:
    """``n_envs`` copies of an environment, in our own vector form where there is one.

    One row an episode goes to ``folder/monitor.csv``.
    """
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

    from hybridrl.agents.common.vec_env import make_vec

    venv: VecEnv
    if str(gym.spec(env).vector_entry_point).startswith("hybridrl."):
        venv = make_vec(env, n_envs, **env_kwargs)
    else:
        venv = DummyVecEnv([functools.partial(gym.make, env, **env_kwargs)] * n_envs)
    venv.seed(seed)
    with warnings.catch_warnings():  # ours counts episodes too, but writes no file
        warnings.filterwarnings("ignore", "The environment is already wrapped")
        return VecMonitor(venv, str(folder / "monitor.csv"))


def build_model(
    agent: str, env: Any, settings: dict[str, Any], seed: int, device: str = "auto"
) -> BaseAlgorithm:
    """An untrained model from resolved settings; the policy fits the observations by default.

    Raises:
        ScenarioError: If the agent cannot act in the environment's action space.
    """
    cls = agent_class(agent)
    # A copy, because algorithms write into their policy_kwargs.
    own = copy.deepcopy({k: v for k, v in settings.items() if k not in _NOT_ARGUMENTS})
    nested = isinstance(env.observation_space, gym.spaces.Dict)
    policy = own.pop("policy", "MultiInputPolicy" if nested else "MlpPolicy")
    try:
        model: BaseAlgorithm = cls(policy, env, seed=seed, device=device, **own)
    except AssertionError as error:
        raise ScenarioError("agent", agent, f"one that fits the environment: {error}") from error
    return model


def _state_of(folder: Path, settings: dict[str, Any]) -> Path | None:
    """The run's newest checkpoint, unless it is missing or was made with other settings."""
    from hybridrl.agents.common.training_state import newest_state, read_meta

    state = newest_state(folder / "checkpoint")
    if state is None:
        return None
    return state if _lasting(read_meta(state)["facts"]) == _lasting(settings) else None


def _lasting(settings: dict[str, Any]) -> dict[str, Any]:
    passing = ("total_timesteps", "device", "tensorboard")
    return {key: value for key, value in settings.items() if key not in passing}


def _checkpoints(folder: Path, settings: dict[str, Any]) -> BaseCallback:
    from stable_baselines3.common.callbacks import BaseCallback

    from hybridrl.agents.common.training_state import save_training_state

    every = max(1, settings["total_timesteps"] // CHECKPOINTS)

    class Checkpoints(BaseCallback):
        """Saves before a rollout starts, when the last save is long enough ago."""

        saved = 0

        def _on_training_start(self) -> None:
            self.saved = self.num_timesteps

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if self.num_timesteps - self.saved >= every:
                self.saved = self.num_timesteps
                save_training_state(self.model, folder / "checkpoint", keep=2, facts=settings)

    return Checkpoints()
