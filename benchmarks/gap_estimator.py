"""How well H2O's discriminators measure a gap that is known exactly.

Three small worlds with linear-Gaussian dynamics ``s' = A s + B a + 0.3 e``:

- ``planted``: the simulator adds a shift that depends on the state, so that the true divergence
  ``KL = |shift(s)|^2 / (2 0.3^2)`` is known at every pair: 0 for half of the states, up to 3.9,
  which is what bounded ratios can tell. Measured is the rank correlation of the estimated gap
  ``u`` with it, on fresh simulated pairs.
- ``zero``: equal dynamics under different behaviour; measured is the mean ``|g|`` on fresh pairs.
- ``ratio``: a constant shift, so that the log ratio of every transition is known exactly; measured
  is the correlation of ``g`` with it where it lies within the range of ``g``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.agents.h2o import H2O
from hybridrl.benchmarks.results import ResultRow, row_of
from hybridrl.benchmarks.runs import RunConfig, RunResult
from hybridrl.benchmarks.suites import Request
from hybridrl.benchmarks.tables import Table
from hybridrl.datasets.offline import OfflineDataset

Array = NDArray[Any]
Rows = tuple[Array, Array, Array]
OBS, ACTIONS, SPREAD = 4, 2, 0.3
WORLDS = ("planted", "zero", "ratio")
EPISODE = 10
# World -> metric, what it is, and its bar.
MEASURES = {
    "planted": ("spearman", "Spearman(u, true KL)", ">= 0.65"),
    "zero": ("mean_abs_g", "held-out mean |g|", "< 0.1"),
    "ratio": ("correlation", "corr(g, true log ratio), |.| <= 4", ">= 0.9"),
}


@dataclass(frozen=True)
class World:
    """Matrices of a linear-Gaussian world, drawn from a seed.

    Args:
        name: ``planted``, ``zero`` or ``ratio``.
        seed: Of the matrices.
    """

    name: str
    seed: int

    @property
    def matrices(self) -> tuple[Array, Array, Array, Array]:
        """A ``(O, O)``, B ``(A, O)``, shift matrix ``(O, O)`` and constant shift ``(O,)``."""
        rng = np.random.default_rng(1000 + self.seed)
        a = 0.95 * np.linalg.qr(rng.normal(size=(OBS, OBS)))[0]
        b = 0.3 * rng.normal(size=(ACTIONS, OBS))
        matrix = rng.normal(size=(OBS, OBS))
        constant = rng.normal(size=OBS)
        constant *= SPREAD / np.linalg.norm(constant)
        return tuple(x.astype(np.float32) for x in (a, b, matrix, constant))  # type: ignore[return-value]

    def shift(self, obs: Array) -> Array:
        """What the simulator adds to the next state, ``(n, O)``."""
        _, _, matrix, constant = self.matrices
        if self.name == "planted":
            strength = np.maximum(np.tanh(2.0 * obs @ matrix[0]), 0.0)[:, None]
            shifted: Array = 2.8 * strength * constant
            return shifted
        return np.broadcast_to(constant if self.name == "ratio" else 0.0 * constant, obs.shape)

    def rows(self, count: int, sim: bool, seed: int) -> Rows:
        """Transitions of 10-step episodes; real and simulated behaviour differ.

        Args:
            count: At least this many rows are made and cut to it.
            sim: Simulated dynamics and behaviour.
            seed: Of starts, actions and noise.
        """
        a, b, _, _ = self.matrices
        rng = np.random.default_rng([self.seed, int(sim), seed])
        gains = np.random.default_rng([self.seed, 7, int(sim)]).normal(size=(OBS, ACTIONS))
        chains = -(-count // EPISODE)
        obs = rng.normal(size=(chains, OBS)).astype(np.float32)
        parts = []
        for _ in range(EPISODE):
            raw = 0.1 * obs @ gains + 0.5 * rng.normal(size=(chains, ACTIONS))
            action = np.tanh(raw).astype(np.float32)
            later = obs @ a + action @ b + SPREAD * rng.normal(size=obs.shape)
            later = (later + self.shift(obs) * sim).astype(np.float32)
            parts.append((obs, action, later))
            obs = later
        columns = (np.concatenate(column)[:count] for column in zip(*parts, strict=True))
        return tuple(columns)  # type: ignore[return-value]

    def true_gap(self, obs: Array) -> Array:
        """``KL(sim || real)`` of each pair, ``(n,)``."""
        gap: Array = np.square(self.shift(obs)).sum(axis=1) / (2 * SPREAD**2)
        return gap

    def true_log_ratio(self, obs: Array, actions: Array, later: Array) -> Array:
        """``log P_sim / P_real`` of each transition, ``(n,)``."""
        a, b, _, _ = self.matrices
        left = later - obs @ a - actions @ b
        apart = np.square(left).sum(1) - np.square(left - self.shift(obs)).sum(1)
        ratio: Array = apart / (2 * SPREAD**2)
        return ratio


def variant(tier: str, settings: dict[str, Any]) -> str:
    """As in ``cpu-3000``: tier and number of discriminator steps."""
    return f"{tier}-{settings['updates']}"


def trials(request: Request) -> list[RunConfig]:
    """One trial for each world, estimator and seed."""
    return [
        request.trial(
            env=env,
            agent=agent,
            work="hybridrl.benchmarks.gap_estimator:estimate",
            seed=seed,
            settings=request.settings,
        )
        for env in request.envs
        for agent in request.agents
        for seed in request.seeds
    ]


def estimate(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train the discriminators of an ``H2O`` agent with its defaults, and measure them.

    Args:
        config: ``settings`` has ``updates``, ``rows`` (of either side) and ``fresh``.
        folder: Of the run; nothing is written.
    """
    torch.set_num_threads(1)
    settings = config.settings
    world = World(config.env, config.seed)
    agent = _agent(world, config.agent == "h2o-public", settings["rows"], config.seed)
    for _ in range(settings["updates"]):
        agent.discriminator_step()
    fresh = world.rows(settings["fresh"], True, 2)
    batch = agent.replay_buffer.unpacked(_packed(agent, fresh))
    if config.env == "planted":
        u = agent.gap_terms(batch).u[0].numpy()
        value = spearman(u, world.true_gap(fresh[0]))
        return {"spearman": value, "clipped": float((u <= 1e-38).mean())}
    sim = agent.log_ratios(*fresh).numpy()
    if config.env == "zero":
        real = agent.log_ratios(*world.rows(settings["fresh"], False, 2)).numpy()
        return {"mean_abs_g": float(np.abs(np.concatenate([sim, real])).mean())}
    truth = world.true_log_ratio(*fresh)
    inside = np.abs(truth) <= 4.0
    return {"correlation": float(np.corrcoef(sim[inside], truth[inside])[0, 1])}


def spearman(left: Array, right: Array) -> float:
    """Rank correlation; equal values share their mean rank."""
    import pandas as pd

    first, second = (pd.Series(values).rank().to_numpy(float) for values in (left, right))
    return float(np.corrcoef(first, second)[0, 1])


def summarise(results: Sequence[RunResult], root: Path) -> list[ResultRow]:
    """Long rows: every number of every seed that is done."""
    return [
        row_of(
            result,
            metric,
            value,
            n=result.config.settings["fresh"],
            steps=result.config.settings["updates"],
        )
        for result in results
        if result.status != "failed"
        for metric, value in result.values.items()
    ]


def tables(rows: Sequence[ResultRow]) -> list[Table]:
    """Median and range over seeds of each world's measure, beside its bar."""
    agents = list(dict.fromkeys(row.agent for row in rows))
    lines = []
    for env in WORLDS:
        metric, title, bar = MEASURES[env]
        cells = [_cell(rows, env, agent, metric) for agent in agents]
        if any(cells):
            lines.append((env, title, *cells, bar))
    made = sorted({f"{row.command} ({row.version}, commit {row.commit})" for row in rows})
    seeds = len({row.seed for row in rows})
    return [
        Table(
            title=f"Estimated dynamics gap against the exact one: {rows[0].variant}",
            columns=("world", "measure", *agents, "bar"),
            rows=tuple(lines),
            notes=(
                f"Median [range] over {seeds} seed(s), {rows[0].n} fresh pairs, "
                f"{rows[0].steps} discriminator steps.",
                *(f"Made by: {text}" for text in made),
            ),
        )
    ]


def plots(rows: Sequence[ResultRow], folder: Path) -> list[Path]:
    """Nothing is drawn."""
    return []


def _cell(rows: Sequence[ResultRow], env: str, agent: str, metric: str) -> str:
    chosen = [(r.env, r.agent, r.metric) == (env, agent, metric) for r in rows]
    values = [row.value for row, take in zip(rows, chosen, strict=True) if take]
    if not values:
        return ""
    return f"{np.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def _agent(world: World, public: bool, rows: int, seed: int) -> H2O:
    """An agent whose buffer holds real and simulated rows of a world; it has not learnt yet."""
    real, sim = world.rows(rows, False, 1), world.rows(rows, True, 1)
    zeros = np.zeros(len(real[0]), bool)
    data = OfflineDataset(
        observations=real[0],
        actions=real[1],
        rewards=zeros.astype(np.float32),
        next_observations=real[2],
        terminations=zeros,
        truncations=zeros,
    )
    agent = H2O(
        "MlpPolicy",
        _Spaces(),
        offline_dataset=data,
        public=public,
        buffer_size=rows,
        seed=seed,
        device="cpu",
    )
    packed = _packed(agent, sim)
    agent.replay_buffer.import_state({"rows": packed, "pos": 0, "full": True})
    return agent


def _packed(agent: H2O, rows: Rows) -> Tensor:
    """Packed rows of transitions without rewards, as a tensor."""
    layout = agent.replay_buffer.layout
    packed = np.zeros((len(rows[0]), layout.width), np.float32)
    layout.write_observations(packed, rows[0], follows=False)
    layout.write_observations(packed, rows[2], follows=True)
    packed[:, layout.actions] = rows[1]
    return torch.from_numpy(packed)


class _Spaces(gym.Env[Array, Array]):
    """The spaces of a world: the rows are made beforehand, so it is never stepped."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)
