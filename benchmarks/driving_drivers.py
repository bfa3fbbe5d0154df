"""Who drives in the driving suite: trivial policies, teachers, trained and shipped students."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridrl.benchmarks.driving_rollouts import Act
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.envs.driving.kernels.records import FEATURES
from hybridrl.envs.driving.names import ACTIONS, NATIVE_ACTIONS
from hybridrl.planners.errors import UnknownNameError


class Learner(NamedTuple):
    """How a student of the suite is trained.

    Args:
        agent: Registered.
        settings: Over those of the preset; mappings in it are merged key by key.
        budget: Name of the tier's setting that tells how many steps.
        observation: ``dict``, or ``flat`` for networks that know no rows.
    """

    agent: str = "tell-drive"
    settings: dict[str, Any] = {}  # noqa: RUF012  never changed
    budget: str = "steps"
    observation: str = "dict"


_TRAFFIC = {"simulation_frequency": 5, "limit_ends": True}
_PPO = {
    "n_envs": 128,
    "n_steps": 16,
    "batch_size": 512,
    "n_epochs": 3,
    "gamma": 0.97,
    "ent_coef": 0.02,
    "vf_coef": 0.05,
    "learning_rate": 1e-3,
    "env_kwargs": _TRAFFIC,
}
LEARNERS: dict[str, Learner] = {
    "tell-drive": Learner(),
    "attention-ppo": Learner("attention-ppo"),
    "ppo": Learner("ppo", _PPO, observation="flat"),
    "dqn": Learner("dqn", {"policy_kwargs": {"net_arch": [256, 256]}}, "dqn_steps", "flat"),
    "tell-drive-dqn": Learner("tell-drive-dqn", budget="dqn_steps"),
    "teacher-rule": Learner(settings={"teacher": "rule"}),
    "teacher-forecast": Learner(settings={"teacher": "forecast"}),
    "no-attention": Learner(settings={"policy_kwargs": {"encoder": "flat"}}),
    "no-signals": Learner(settings={"env_kwargs": {"signals": False}}),
    "no-trust": Learner(settings={"guidance": {"trust": False}}),
    "no-filter": Learner(settings={"guidance": {"filter": False}}),
    "token": Learner(
        settings={"policy_kwargs": {"advice_token": True}, "guidance": {"weight": 0.0}}
    ),
    "token-and-distillation": Learner(settings={"policy_kwargs": {"advice_token": True}}),
    "chaos-garbage": Learner(settings={"teacher": {"name": "chaos", "mode": "garbage"}}),
    "chaos-constant": Learner(settings={"teacher": {"name": "chaos", "mode": "constant"}}),
    "chaos-unsafe": Learner(settings={"teacher": {"name": "chaos", "mode": "unsafe"}}),
    "chaos-flipping": Learner(settings={"teacher": {"name": "chaos", "mode": "flipping"}}),
}
TRIVIAL = ("random", "idle", "faster", "slower")
TEACHERS = ("rule", "forecast", "lookahead", "local")
SHIPPED = "shipped"


def training_of(config: RunConfig) -> RunConfig:
    """The training of a trial, as ``hybridrl train`` would make it."""
    from hybridrl.agents.registry import resolve

    chosen = LEARNERS[config.agent]
    env = f"hybridrl/Driving-{config.env.capitalize()}-v0"
    settings = resolve(chosen.agent, env, chosen.settings)
    preset = resolve(chosen.agent, env)
    for key in ("guidance", "policy_kwargs", "env_kwargs"):
        if key in chosen.settings:
            settings[key] = {**preset.get(key, {}), **chosen.settings[key]}
    settings |= {**config.settings["over"], "total_timesteps": config.settings["steps"]}
    kwargs = {**settings.get("env_kwargs", {}), "observation": chosen.observation}
    if chosen.observation == "flat":
        kwargs.pop("clock", None)
    complete = {**settings, "env_kwargs": kwargs, "device": "cpu", "tensorboard": False}
    return replace(config, agent=chosen.agent, env=env, settings=complete)


def trained(config: RunConfig, folder: Path) -> tuple[Act, int]:
    """Train the student of a trial, or go on with it; who drives then, and its steps."""
    from hybridrl.agents.common.checkpoint import load_weights
    from hybridrl.benchmarks.train import build_model, make_venv, train_one

    inner = training_of(config)
    done = folder / "trained.json"
    if not done.exists():
        values = train_one(inner, folder)
        done.write_text(json.dumps({"steps": int(values["steps"])}), encoding="utf-8")
    steps = int(json.loads(done.read_text(encoding="utf-8"))["steps"])
    scratch = folder / "evaluation"
    scratch.mkdir(exist_ok=True)
    env = make_venv(inner.env, inner.settings["env_kwargs"], 1, inner.seed, scratch)
    model = build_model(inner.agent, env, inner.settings, inner.seed, "cpu")
    load_weights(model, folder / "parameters.pth")
    flat = LEARNERS[config.agent].observation == "flat"

    def act(seen: dict[str, Any], arrays: Any, rows: Any) -> NDArray[np.int64]:
        shown = seen["rows"][..., :FEATURES].reshape(len(rows), -1) if flat else _known(model, seen)
        return np.asarray(model.predict(shown, deterministic=True)[0], np.int64)

    return act, steps


def _known(model: Any, seen: dict[str, Any]) -> dict[str, Any]:
    """Those parts and columns of an observation that a model was made for."""
    known = {key: seen[key] for key in model.observation_space.spaces}
    return {**known, "rows": seen["rows"][..., : model.observation_space["rows"].shape[1]]}


def untrained(name: str, scenario: str, seed: int) -> Act:
    """A trivial policy, a teacher that drives, or the student that ships.

    Raises:
        UnknownNameError: If there is no such driver.
    """
    if name in TRIVIAL:
        return _trivial(name, scenario, seed)
    if name in TEACHERS:
        return _teacher(name, scenario)
    if name == SHIPPED:
        from hybridrl.agents.tell_drive.weights import shipped_policy

        policy = shipped_policy(scenario)
        return lambda seen, arrays, rows: np.asarray(
            policy.predict(_known(policy, seen), deterministic=True)[0]
        )
    raise UnknownNameError("driver", name, (*TRIVIAL, *TEACHERS, SHIPPED, *LEARNERS))


def _trivial(name: str, scenario: str, seed: int) -> Act:
    rng = np.random.default_rng(seed)
    names = NATIVE_ACTIONS[scenario]

    def act(seen: dict[str, Any], arrays: Any, rows: Any) -> NDArray[np.int64]:
        masks = seen["action_mask"] > 0
        if name == "random":
            return np.asarray((rng.random(masks.shape) * masks).argmax(axis=1))
        wanted, idle = names.index(name.upper()), names.index("IDLE")
        return np.where(masks[:, wanted], wanted, idle)

    return act


def _teacher(name: str, scenario: str) -> Act:
    from hybridrl.agents.tell_drive.teachers.base import advice_rows
    from hybridrl.agents.tell_drive.teachers.registry import make_teacher

    teacher = make_teacher(name)
    places = [ACTIONS.index(action) for action in NATIVE_ACTIONS[scenario]]
    inside = getattr(teacher, "rows_in", None)

    def act(
        seen: dict[str, Any], arrays: Sequence[Any], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        said = inside(arrays, rows) if inside else advice_rows(teacher, arrays[0].scenes[rows])
        return np.asarray(said[:, places].argmax(axis=1))

    return act
