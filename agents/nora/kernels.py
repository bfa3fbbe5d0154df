"""Planning, acting and whole runs on finite state spaces, compiled.

Tables are indexed by step ``h``, state ``s`` and action ``a``. With features (``d > 0``) the critic
is linear in them and the tables only count; without (``d == 0``) the critic is the table itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.agents.nora.formulas import (
    Floats,
    add_outer,
    dot,
    draw,
    linear_value,
    table_value,
    tilt,
    times,
)


class Tables(NamedTuple):
    """Everything that is learned, in place.

    Args:
        counts: N, ``(H, S, A)``.
        rewards: Sums of rewards, ``(H, S, A)``.
        following: Counts of next states, ``(H, S, A, S)``.
        critic: f, ``(H, S, A)``; bit-identical between switches.
        logits: Of the actor, ``(H, S, A)``.
        log_det: ``log det Lambda_h`` now, ``(H,)``.
        log_det_last: At the last switch, ``(H,)``; ``-inf`` before the first.
        inverse: ``Lambda_h^-1``, ``(H, d, d)``.
        features: phi, ``(S, A, d)``.
    """

    counts: Floats
    rewards: Floats
    following: Floats
    critic: Floats
    logits: Floats
    log_det: Floats
    log_det_last: Floats
    inverse: Floats
    features: Floats


class Numbers(NamedTuple):
    """The rules of an agent as the compiled code takes them.

    Args:
        spread: ``c sqrt(iota)`` of a table, c of linear features.
        eta: Step of the actor.
        v_max: Largest return.
        optimism: Factor on the bonus.
        ridge: Lambda at the beginning.
        keep: Share of the logits that survives a switch.
        growth: Of a log determinant that makes a switch; negative switches every episode.
        greedy: Act greedily on the critic.
        soft: Back up the value of the actor instead of the best action's.
    """

    spread: float
    eta: float
    v_max: float
    optimism: float
    ridge: float
    keep: float
    growth: float
    greedy: bool
    soft: bool


class World(NamedTuple):
    """A tabular MDP as the compiled code takes it; see ``hybridrl.envs.comblock.mdp.TabularMDP``.

    Args:
        transitions: ``(H, S, A, S)``.
        rewards: Means, ``(H, S, A)``.
        sizes: What is paid when a reward is paid, ``(H, S, A)``; 0 where rewards are not random.
        initial: ``(S,)``.
    """

    transitions: Floats
    rewards: Floats
    sizes: Floats
    initial: Floats


@njit(cache=True)
def add(t: Tables, r: Numbers, h: int, s: int, a: int, reward: float, after: int) -> None:
    """Count one transition."""
    d = t.features.shape[2]
    if d:
        t.log_det[h] += add_outer(t.inverse[h], t.features[s, a])
    else:
        n = t.counts[h, s, a]
        t.log_det[h] += np.log((r.ridge + n + 1.0) / (r.ridge + n))
    t.counts[h, s, a] += 1.0
    t.rewards[h, s, a] += reward
    t.following[h, s, a, after] += 1.0


@njit(cache=True)
def plan(t: Tables, r: Numbers) -> None:
    """Backward induction on all data: (2) or (3) with the backup ``r + max f`` inside."""
    horizon, n_states, _ = t.critic.shape
    value = np.zeros(n_states)
    for h in range(horizon - 1, -1, -1):
        if t.features.shape[2]:
            _fit_features(t, r, h, value)
        else:
            _fit_table(t, r, h, value)
        for s in range(n_states):
            value[s] = t.critic[h, s].max()
            if r.soft:
                value[s] = dot(tilt(t.logits[h, s], r.greedy), t.critic[h, s])


@njit(cache=True)
def _backups(t: Tables, h: int, s: int, a: int, value: Floats) -> float:
    """Sum of ``r + V(s')`` over all visits of a pair."""
    paid: float = t.rewards[h, s, a]
    return paid + dot(t.following[h, s, a], value)


@njit(cache=True)
def _fit_table(t: Tables, r: Numbers, h: int, value: Floats) -> None:
    _, n_states, n_actions = t.critic.shape
    for s in range(n_states):
        for a in range(n_actions):
            n = t.counts[h, s, a]
            mean = _backups(t, h, s, a, value) / max(1.0, n)
            t.critic[h, s, a] = table_value(mean, n, r.spread, r.v_max, r.optimism)


@njit(cache=True)
def _fit_features(t: Tables, r: Numbers, h: int, value: Floats) -> None:
    """Ridge regression: ``w = Lambda^-1 sum phi (r + V(s'))``, then the value of every pair."""
    _, n_states, n_actions = t.critic.shape
    inverse = t.inverse[h]
    sums = np.zeros(len(inverse))
    for s in range(n_states):
        for a in range(n_actions):
            if t.counts[h, s, a] > 0.0:
                total = _backups(t, h, s, a, value)
                for i in range(len(sums)):
                    sums[i] += total * t.features[s, a, i]
    weights = times(inverse, sums)
    for s in range(n_states):
        for a in range(n_actions):
            phi = t.features[s, a]
            variance = dot(phi, times(inverse, phi))
            mean = dot(phi, weights)
            t.critic[h, s, a] = linear_value(mean, variance, r.spread, r.v_max, r.optimism)


@njit(cache=True)
def begin_episode(t: Tables, r: Numbers) -> bool:
    """Switch if it is due, then improve the actor: critic first, then actor with the new critic.

    Returns:
        Whether the critic was rebuilt and the actor reset.
    """
    switch = r.growth < 0.0
    for h in range(len(t.log_det)):
        # Equal growth counts: the first visit of a pair is a doubling at a ridge of 1.
        switch = switch or t.log_det[h] - t.log_det_last[h] >= r.growth - 1e-9
    if switch:
        plan(t, r)
        for h in range(len(t.log_det)):
            t.log_det_last[h] = t.log_det[h]
    # Entry by entry: assigning whole arrays would triple what there is to compile.
    horizon, n_states, n_actions = t.critic.shape
    for h in range(horizon):
        for s in range(n_states):
            for a in range(n_actions):
                before = r.keep * t.logits[h, s, a] if switch else t.logits[h, s, a]
                f = t.critic[h, s, a]
                t.logits[h, s, a] = f if r.greedy else before + r.eta * f
    return switch


@njit(cache=True)
def policy_value(w: World, t: Tables, greedy: bool) -> float:
    """Exact expected return of the actor in a known MDP."""
    horizon, n_states, n_actions = w.rewards.shape
    value = np.zeros(n_states)
    for h in range(horizon - 1, -1, -1):
        before = np.zeros(n_states)
        for s in range(n_states):
            chance = tilt(t.logits[h, s], greedy)
            for a in range(n_actions):
                if chance[a] > 0.0:
                    q = w.rewards[h, s, a] + dot(w.transitions[h, s, a], value)
                    before[s] += chance[a] * q
        value = before
    return dot(w.initial, value)


@njit(cache=True)
def _step(w: World, h: int, s: int, a: int, paid: float, moved: float) -> tuple[float, int]:
    """Reward and next state from two uniform numbers."""
    reward = w.rewards[h, s, a]
    size = w.sizes[h, s, a]
    if size > 0.0:
        reward = size if paid * size < reward else 0.0
    return reward, draw(w.transitions[h, s, a], moved)


@njit(cache=True)
def run(
    w: World,
    t: Tables,
    r: Numbers,
    best: float,
    draws: Floats,
    regrets: Floats,
    returns: Floats,
    switched: NDArray[np.bool_],
) -> None:
    """Episodes of the agent in a known MDP.

    Args:
        w: The MDP.
        t: Of the agent; changed.
        r: Of the agent.
        best: Optimal value.
        draws: Uniform numbers in [0, 1), ``(T, 1 + 3 H)``: start, then action, reward, next state.
        regrets: Filled with ``best - V^pi`` of each episode's policy, ``(T,)``.
        returns: Filled with what each episode paid, ``(T,)``.
        switched: Filled with whether the critic was rebuilt before it, ``(T,)``.
    """
    for k in range(len(returns)):
        switched[k] = begin_episode(t, r)
        regrets[k] = best - policy_value(w, t, r.greedy)
        s = draw(w.initial, draws[k, 0])
        for h in range(len(w.rewards)):
            a = draw(tilt(t.logits[h, s], r.greedy), draws[k, 3 * h + 1])
            reward, after = _step(w, h, s, a, draws[k, 3 * h + 2], draws[k, 3 * h + 3])
            add(t, r, h, s, a, reward, after)
            returns[k] += reward
            s = after


@njit(cache=True)
def roll_out(w: World, policy: Floats, draws: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Transitions of a fixed policy in a known MDP.

    Args:
        w: The MDP.
        policy: Probabilities, ``(H, S, A)``.
        draws: As in :func:`run`, ``(T, 1 + 3 H)``.

    Returns:
        Rows ``(h, s, a, s')``, ``(T H, 4)``, and their rewards.
    """
    horizon = len(w.rewards)
    rows, rewards = np.zeros((len(draws) * horizon, 4), np.int64), np.zeros(len(draws) * horizon)
    for k in range(len(draws)):
        s = draw(w.initial, draws[k, 0])
        for h in range(horizon):
            a = draw(policy[h, s], draws[k, 3 * h + 1])
            reward, after = _step(w, h, s, a, draws[k, 3 * h + 2], draws[k, 3 * h + 3])
            row = rows[k * horizon + h]
            row[0], row[1], row[2], row[3] = h, s, a, after
            rewards[k * horizon + h] = reward
            s = after
    return rows, rewards
