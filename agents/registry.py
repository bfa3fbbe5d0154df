"""EVERY agent name, one table, and the tuned hyper-parameters that belong to it."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from importlib import resources
from typing import Any, NamedTuple

from hybridrl.planners.errors import ScenarioError, UnknownNameError


class AgentRow(NamedTuple):
    """One agent.

    Args:
        entry_point: ``"module:Class"``, loaded on first use.
        summary: Half a line for ``hybridrl list agents``.
    """

    entry_point: str
    summary: str


AGENTS: dict[str, AgentRow] = {
    "calql": AgentRow(
        "hybridrl.agents.calql.calql:CalQL", "baseline: Cal-QL, calibrated conservative critics"
    ),
    "cql": AgentRow(
        "hybridrl.agents.calql.calql:CalQL", "baseline: CQL with fine-tuning (a preset of calql)"
    ),
    "darc": AgentRow(
        "hybridrl.agents.darc.darc:DARC", "baseline: simulator reward corrected by the dynamics"
    ),
    "attention-ppo": AgentRow(
        "hybridrl.agents.tell_drive.tell_drive:AttentionPPO", "baseline: PPO with ego-attention"
    ),
    "dqn": AgentRow("stable_baselines3:DQN", "baseline: deep Q-learning, discrete actions"),
    "h2o": AgentRow(
        "hybridrl.agents.h2o.h2o:H2O", "H2O: real data and a simulator whose dynamics differ"
    ),
    "hnpg": AgentRow(
        "hybridrl.agents.hnpg.hnpg:HNPG", "HNPG: natural policy gradient with offline data"
    ),
    "hope-ppo": AgentRow(
        "hybridrl.agents.hope.hope_ppo:HopePPO", "HOPE: masked PPO that parks, with hand-over"
    ),
    "hope-sac": AgentRow(
        "hybridrl.agents.hope.hope_sac:HopeSAC", "HOPE: SAC whose steps are scaled to what is free"
    ),
    "hyq": AgentRow(
        "hybridrl.agents.hyq.hyq:HyQ", "baseline: Q-learning on offline and online data"
    ),
    "hyq-sac": AgentRow(
        "hybridrl.agents.rlpd.rlpd:RLPD",
        "baseline: Hy-Q for continuous actions (a preset of rlpd)",
    ),
    "iql": AgentRow("hybridrl.agents.iql.iql:IQL", "baseline: implicit Q-learning, offline first"),
    "lsvi-ucb": AgentRow(
        "hybridrl.agents.lsvi_ucb.lsvi_ucb:LSVIUCB", "baseline: optimistic least-squares iteration"
    ),
    "maskable-ppo": AgentRow("sb3_contrib:MaskablePPO", "baseline: PPO that obeys action_masks()"),
    "moorl": AgentRow(
        "hybridrl.agents.moorl.moorl:MOORL", "MOORL: meta-learned over offline and online data"
    ),
    "nora": AgentRow(
        "hybridrl.agents.nora.nora:NORA",
        "NORA: provable optimistic actor-critic, tabular or linear",
    ),
    "oac": AgentRow(
        "hybridrl.agents.optimistic_sac.optimistic_sac:OptimisticSAC",
        "OAC: soft actor-critic with an optimistic shift (a preset of optimistic-sac)",
    ),
    "optimistic-sac": AgentRow(
        "hybridrl.agents.optimistic_sac.optimistic_sac:OptimisticSAC",
        "OptimisticSAC: optimistic exploration with rare switches, offline data optional",
    ),
    "ppo": AgentRow("stable_baselines3:PPO", "baseline: proximal policy optimisation"),
    "rlpd": AgentRow(
        "hybridrl.agents.rlpd.rlpd:RLPD", "baseline: RLPD, half offline rows, many critics"
    ),
    "rlpd-lite": AgentRow(
        "hybridrl.agents.rlpd.rlpd:RLPD", "baseline: RLPD with two critics and one update a step"
    ),
    "sac": AgentRow("stable_baselines3:SAC", "baseline: soft actor-critic, continuous actions"),
    "td3": AgentRow("stable_baselines3:TD3", "baseline: twin delayed DDPG, continuous actions"),
    "tell-drive": AgentRow(
        "hybridrl.agents.tell_drive.tell_drive:TellDrive",
        "TellDrive: driving student guided by a language model, a planner or rules",
    ),
    "tell-drive-dqn": AgentRow(
        "hybridrl.agents.tell_drive.tell_drive_dqn:TellDriveDQN",
        "TellDriveDQN: the same guidance for deep Q-learning",
    ),
    "tqc": AgentRow("sb3_contrib:TQC", "baseline: truncated quantile critics, continuous actions"),
    "trpo": AgentRow("sb3_contrib:TRPO", "baseline: trust-region policy optimisation"),
}

# What a preset or --set may say besides arguments of the constructor.
RUN_KEYS = ("total_timesteps", "n_envs")
# Learn inside the storage engine, on traces and not on Gymnasium ids.
STORAGE_AGENTS = ("harmonia", "sibyl")
ENV_KEY = "env_kwargs"  # keywords of the environment that the agent was tuned with
_GIVEN = ("self", "policy", "env", "seed", "device", "verbose", "tensorboard_log")


def agent_class(name: str) -> Any:
    """The class of a registered agent (this imports torch).

    Raises:
        UnknownNameError: If no agent has that name; the message gives the nearest ones.
        ScenarioError: For agents of the storage engine, which another command trains.
    """
    if name in STORAGE_AGENTS:
        use = f"`hybridrl storage train {name} TRACE`: it learns inside the storage engine"
        raise ScenarioError("agent", name, use)
    if name not in AGENTS:
        raise UnknownNameError("agent", name, AGENTS)
    module, _, attribute = AGENTS[name].entry_point.partition(":")
    return getattr(importlib.import_module(module), attribute)


def load_preset(name: str) -> dict[str, dict[str, Any]]:
    """The tables of ``presets/<name>.toml``: ``default`` and one for each environment id."""
    file = resources.files("hybridrl.agents").joinpath("presets", f"{name}.toml")
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def settable(name: str) -> list[str]:
    """What can be set for an agent: its constructor's arguments, policy and run length."""
    arguments = _arguments(agent_class(name))
    own = [key for key in arguments if key not in _GIVEN and not key.startswith("_")]
    return [*RUN_KEYS, ENV_KEY, "policy", *own]


def _arguments(cls: type) -> list[str]:
    """Names of a constructor's arguments, and of its parents' where it passes others on."""
    names: dict[str, None] = {}
    for parent in cls.__mro__:
        if "__init__" not in vars(parent):
            continue
        parameters = inspect.signature(vars(parent)["__init__"]).parameters.values()
        passing = [p for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        names |= dict.fromkeys(p.name for p in parameters if p not in passing)
        if not any(p.kind == p.VAR_KEYWORD for p in passing):
            break
    return list(names)


def resolve(name: str, env: str, *overrides: dict[str, Any]) -> dict[str, Any]:
    """Preset ``[default]`` < preset of the id < overrides, left to right.

    The constructor's own defaults stay where they are and are not repeated here.

    Args:
        name: A registered agent.
        env: Gymnasium id.
        *overrides: Of a suite, then of the command line.

    Returns:
        ``total_timesteps``, ``n_envs`` and constructor arguments.

    Raises:
        UnknownNameError: If the agent or a key is unknown; the message gives the nearest ones.
    """
    known = settable(name)
    preset = load_preset(name)
    settings: dict[str, Any] = {"total_timesteps": 100_000, "n_envs": 1}
    for layer in (preset.get("default", {}), preset.get(env, {}), *overrides):
        for key in layer:
            if key not in known:
                raise UnknownNameError(f"setting of {name}", key, known)
        settings |= layer
    return settings
