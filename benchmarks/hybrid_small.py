"""What the suites on small, vectorised tasks share: stacks of seeds, and rows that train alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridrl.agents.moorl.stacked import Method
from hybridrl.benchmarks.hybrid_training import (
    MakeVector,
    Row,
    Task,
    named,
    train_alone,
    train_stack,
)
from hybridrl.benchmarks.runs import RunConfig
from hybridrl.benchmarks.suites import Request

# Small networks that a stack and a single agent share.
SIZES: dict[str, Any] = {
    "net_arch": (64, 64),
    "batch_size": 64,
    "learning_rate": 1e-3,
    "gamma": 0.98,
    "tau": 0.005,
}


@dataclass(frozen=True)
class Stack:
    """Methods that one stack trains.

    Args:
        methods: Table of them.
        sizes: Of the stack, over :data:`SIZES`.
    """

    methods: Mapping[str, Method]
    sizes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Small:
    """A suite on small tasks.

    Args:
        module: Of the suite, where :func:`train` is called from.
        task: The task of a row of ``Suite.envs``.
        make: Vector of training environments of such a row.
        stacks: What is trained in stacks.
        rows: What is trained alone.
        gradient_steps: After an environment step, of such a row.
        common: Settings of every row that is trained alone and of every stack.
    """

    module: str
    task: Callable[[str], Task]
    make: Callable[[str], MakeVector]
    stacks: Mapping[str, Stack]
    rows: Mapping[str, Row] = field(default_factory=dict)
    gradient_steps: Callable[[str], int] = lambda env: 4
    common: Mapping[str, Any] = field(default_factory=dict)

    def trials(self, request: Request) -> list[RunConfig]:
        """One trial for each stack, and for each row and seed that is trained alone."""
        plain = {key: request.settings[key] for key in ("steps", "points")}
        found = []
        for env in request.envs:
            for name, stack in self.stacks.items():
                methods = named(list(stack.methods), request.agents)
                if methods:
                    settings = {**plain, "seeds": list(request.seeds), "methods": methods}
                    found.append(self._trial(request, env, name, request.seeds[0], settings))
            rows = named(list(self.rows), request.agents)
            for agent, seed in ((a, s) for a in rows for s in request.seeds):
                offline = {"offline_steps": self.gradient_steps(env) * plain["steps"]}
                found.append(self._trial(request, env, agent, seed, {**plain, **offline}))
        return found

    def train(self, config: RunConfig, folder: Path) -> dict[str, Any]:
        """Do one trial."""
        task, per_step = self.task(config.env), self.gradient_steps(config.env)
        if config.agent in self.stacks:
            stack = self.stacks[config.agent]
            sizes = {**SIZES, "gradient_steps": per_step, **self.common, **stack.sizes}
            return train_stack(config, folder, task, stack.methods, self.make(config.env), sizes)
        row = self.rows[config.agent]
        online = max(1, round(per_step * (1.0 - row.offline)))
        common = {**SIZES, "gradient_steps": online, "buffer_size": config.settings["steps"]}
        common |= self.common
        common["policy_kwargs"] = {"net_arch": list(common.pop("net_arch"))}
        entropy = {"ent_coef": f"auto_{common.pop('initial_ent_coef', 1.0)}"}
        if row.agent == "iql":  # has none
            common.pop("backup_entropy", None)
        else:
            common |= entropy
        return train_alone(config, folder, task, row, common)

    def _trial(
        self, request: Request, env: str, agent: str, seed: int, settings: dict[str, Any]
    ) -> RunConfig:
        work = f"{self.module}:train"
        return request.trial(env=env, agent=agent, work=work, seed=seed, settings=settings)


def variant(tier: str, settings: dict[str, Any]) -> str:
    """Tier and environment steps, as in ``cpu-1000``."""
    return f"{tier}-{settings['steps']}"


# Two-critic agents as one stack without and one with normalised critics.
PLAIN = Stack(
    {
        "sac": Method("none"),
        "sacfd": Method("uniform"),
        "hyq-sac": Method("half"),
        "moorl": Method("meta", inner_steps=4, meta_step=0.5),
    }
)
NORMALISED = Stack(
    {"rlpd-lite": Method("half"), "moorl-ln": Method("meta", inner_steps=4, meta_step=0.5)},
    {"layer_norm": True},
)
# Agents with an offline phase spend half of their gradient steps there.
ALONE: dict[str, Row] = {
    "rlpd": Row("rlpd", {"learning_starts": 0}),
    # Two critics and half offline rows, as rlpd-lite: only the way it explores is another.
    "optimistic-sac": Row("optimistic-sac", {"learning_starts": 0, "offline_fraction": 0.5}),
    "iql": Row("iql", {"actor_decay": False}, offline=0.5),
    "cql": Row("calql", {"calibrated": False, "n_actions": 4, "penalty_weight": 1.0}, offline=0.5),
    "calql": Row("calql", {"n_actions": 4, "penalty_weight": 1.0}, offline=0.5),
}
AGENTS = (*PLAIN.methods, *NORMALISED.methods, *ALONE)
