"""EVERY agent name, one table, and the tuned hyper-parameters that belong to it."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from importlib import resources
from typing import Any, NamedTuple

from hybridrl.planners.errors import UnknownNameError


class AgentRow(NamedTuple):
    """One agent.

    Args:
        entry_point: ``"module:Class"``, loaded on first use.
        summary: Half a line for ``hybridrl list agents``.
    """

    entry_point: str
    summary: str


AGENTS: dict[str, AgentRow] = {
    "dqn": AgentRow("stable_baselines3:DQN", "baseline: deep Q-learning, discrete actions"),
    "hope-ppo": AgentRow(
        "hybridrl.agents.hope.hope_ppo:HopePPO", "HOPE: masked PPO that parks, with hand-over"
    ),
    "maskable-ppo": AgentRow("sb3_contrib:MaskablePPO", "baseline: PPO that obeys action_masks()"),
    "ppo": AgentRow("stable_baselines3:PPO", "baseline: proximal policy optimisation"),
    "sac": AgentRow("stable_baselines3:SAC", "baseline: soft actor-critic, continuous actions"),
    "td3": AgentRow("stable_baselines3:TD3", "baseline: twin delayed DDPG, continuous actions"),
    "tqc": AgentRow("sb3_contrib:TQC", "baseline: truncated quantile critics, continuous actions"),
}

# What a preset or --set may say besides arguments of the constructor.
RUN_KEYS = ("total_timesteps", "n_envs")
ENV_KEY = "env_kwargs"  # keywords of the environment that the agent was tuned with
_GIVEN = ("self", "policy", "env", "seed", "device", "verbose", "tensorboard_log")


def agent_class(name: str) -> Any:
    """The class of a registered agent (this imports torch).

    Raises:
        UnknownNameError: If no agent has that name; the message gives the nearest ones.
    """
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
    arguments = inspect.signature(agent_class(name)).parameters
    own = [key for key in arguments if key not in _GIVEN and not key.startswith("_")]
    return [*RUN_KEYS, ENV_KEY, "policy", *own]


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
