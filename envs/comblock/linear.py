"""Linear MDPs: features in which transitions and rewards, and so every Q, are linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.comblock.lock import N_LATENT, hadamard_matrix, hadamard_size
from hybridrl.envs.comblock.mdp import Floats, TabularMDP
from hybridrl.planners.errors import ScenarioError


@dataclass(frozen=True, kw_only=True)
class LinearMDP:
    """A tabular MDP together with the features it is linear in.

    ``transitions[h] == features @ measures[h]`` and ``rewards[h] == features @ weights[h]``.

    Args:
        mdp: Its tables.
        features: phi(s, a), ``(S, A, d)``.
        measures: Of every step, ``(H, d, S)``.
        weights: Of the rewards, ``(H, d)``.
    """

    mdp: TabularMDP
    features: Floats
    measures: Floats
    weights: Floats

    def optimal_weights(self) -> Floats:
        """Weights w with Q*[h] == features @ w[h], exactly; ``(H, d)``."""
        value = self.mdp.optimal_q().max(-1)
        after = np.vstack([value[1:], np.zeros((1, self.mdp.n_states))])
        weights: Floats = self.weights + np.einsum("hds,hs->hd", self.measures, after)
        return weights


def random_linear_mdp(
    n_states: int, n_actions: int, horizon: int, dim: int, seed: int | None = None
) -> LinearMDP:
    """A random MDP that is linear in features on the simplex; returns are from 0 to 1.

    Args:
        n_states: S.
        n_actions: A.
        horizon: H.
        dim: d.
        seed: The same seed gives the same MDP.
    """
    rng = np.random.default_rng(seed)
    features = rng.dirichlet(np.full(dim, 0.3), size=(n_states, n_actions))
    measures = rng.dirichlet(np.full(n_states, 0.3), size=(horizon, dim))
    weights = rng.random((horizon, dim)) / horizon
    rewards = np.einsum("sad,hd->hsa", features, weights)
    transitions = np.einsum("sad,hdt->hsat", features, measures)
    mdp = TabularMDP(
        transitions=transitions / transitions.sum(-1, keepdims=True),
        rewards=rewards,
        initial=rng.dirichlet(np.full(n_states, 0.3)),
        sizes=np.full(rewards.shape, 1.0 / horizon),
    )
    return LinearMDP(mdp=mdp, features=features, measures=measures, weights=weights)


def one_hot_features(n_states: int, n_actions: int) -> Floats:
    """The features of a table: every MDP is linear in them; ``(S, A, S * A)``."""
    features: Floats = np.eye(n_states * n_actions).reshape(n_states, n_actions, -1)
    return features


def action_features(observations: NDArray[np.floating], n_actions: int) -> Floats:
    """The features e_a (x) x: one copy of the observation for each action.

    The lock is linear in them up to its observation noise, as the latent state is a linear
    function of the rotated observation.

    Args:
        observations: x, ``(N, D)``.
        n_actions: A.

    Returns:
        ``(N, A, A * D)``.
    """
    x = np.asarray(observations, np.float64)
    if x.ndim != 2:
        raise ScenarioError("observations", x.shape, "the shape (N, D)")
    blocks: Floats = np.einsum("ab,nd->nabd", np.eye(n_actions), x)
    return blocks.reshape(len(x), n_actions, n_actions * x.shape[1])


def decode_latent(observations: NDArray[np.floating], horizon: int) -> Floats:
    """Undo the rotation of ``hadamard`` observations and keep the three latent coordinates.

    Args:
        observations: x = M g, ``(N, D)``.
        horizon: H of the lock.

    Returns:
        Coordinates 0 to 2 of g: 1 at the latent state, plus the noise; ``(N, 3)``.
    """
    size = hadamard_size(horizon)
    x = np.asarray(observations, np.float64)
    if x.ndim != 2 or x.shape[1] != size:
        raise ScenarioError("observations", x.shape, f"the shape (N, {size})")
    decoded: Floats = (x @ hadamard_matrix(size) / size)[:, :N_LATENT]
    return decoded
