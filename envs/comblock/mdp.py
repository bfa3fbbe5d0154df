"""Finite-horizon tabular and linear MDPs with exact values, by backward induction.

Arrays are indexed by step ``h`` from 0 to H - 1, state ``s`` and action ``a``; nothing is
discounted, and the value after the last step is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.comblock.lock import DEAD, N_LATENT, LockOptions, draw_codes
from hybridrl.planners.errors import ScenarioError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class TabularMDP:
    """An episodic MDP given by its tables.

    Args:
        transitions: Probability of the next state, ``(H, S, A, S)``; the last axis sums to 1.
        rewards: Mean reward, ``(H, S, A)``.
        initial: Distribution of the first state, ``(S,)``.
        sizes: What is paid when a reward is paid, ``(H, S, A)``: the reward is ``sizes`` with
            probability ``rewards / sizes`` and else 0. ``None``: rewards are not random.

    Raises:
        ScenarioError: If shapes differ or something is no probability.
    """

    transitions: Floats
    rewards: Floats
    initial: Floats
    sizes: Floats | None = None

    def __post_init__(self) -> None:
        """Check shapes and probabilities."""
        shape = self.transitions.shape
        if len(shape) != 4 or shape[1] != shape[3]:
            raise ScenarioError("transitions", shape, "the shape (H, S, A, S)")
        for name, value, expected in (
            ("rewards", self.rewards, shape[:3]),
            ("initial", self.initial, shape[1:2]),
            ("sizes", self.rewards if self.sizes is None else self.sizes, shape[:3]),
        ):
            if value.shape != expected:
                raise ScenarioError(name, value.shape, f"the shape {expected}")
        for name, value in (("transitions", self.transitions), ("initial", self.initial)):
            if value.min() < 0.0 or np.abs(value.sum(-1) - 1.0).max() > _TOLERANCE:
                raise ScenarioError(name, value.sum(-1).min(), "probabilities that sum to 1")
        if self.sizes is not None and np.any(self.rewards > self.sizes + _TOLERANCE):
            raise ScenarioError("sizes", self.sizes.min(), "at least the mean reward, everywhere")

    @property
    def horizon(self) -> int:
        """Steps of an episode, H."""
        return int(self.transitions.shape[0])

    @property
    def n_states(self) -> int:
        """States, S."""
        return int(self.transitions.shape[1])

    @property
    def n_actions(self) -> int:
        """Actions, A."""
        return int(self.transitions.shape[2])

    def optimal_q(self) -> Floats:
        """Exact optimal action values Q*, ``(H, S, A)``."""
        q = np.empty_like(self.rewards)
        value = np.zeros(self.n_states)
        for h in reversed(range(self.horizon)):
            q[h] = self.rewards[h] + self.transitions[h] @ value
            value = q[h].max(-1)
        return q

    def optimal_value(self) -> float:
        """Expected return of the best policy from the initial distribution."""
        return float(self.initial @ self.optimal_q()[0].max(-1))

    def optimal_policy(self) -> Ints:
        """A best policy, ``(H, S)``; the first of equally good actions."""
        policy: Ints = self.optimal_q().argmax(-1)
        return policy

    def policy_q(self, policy: NDArray[np.generic]) -> Floats:
        """Exact action values of a policy, ``(H, S, A)``.

        Args:
            policy: Actions ``(H, S)``, or probabilities ``(H, S, A)``.
        """
        probabilities = self._probabilities(policy)
        q = np.empty_like(self.rewards)
        value = np.zeros(self.n_states)
        for h in reversed(range(self.horizon)):
            q[h] = self.rewards[h] + self.transitions[h] @ value
            value = (probabilities[h] * q[h]).sum(-1)
        return q

    def policy_value(self, policy: NDArray[np.generic]) -> float:
        """Expected return of a policy from the initial distribution.

        Args:
            policy: Actions ``(H, S)``, or probabilities ``(H, S, A)``.
        """
        first = (self._probabilities(policy)[0] * self.policy_q(policy)[0]).sum(-1)
        return float(self.initial @ first)

    def occupancy(self, policy: NDArray[np.generic]) -> Floats:
        """Probability of every state and action at every step under a policy, ``(H, S, A)``.

        Args:
            policy: Actions ``(H, S)``, or probabilities ``(H, S, A)``.
        """
        probabilities = self._probabilities(policy)
        reached = np.empty_like(self.rewards)
        state = self.initial
        for h in range(self.horizon):
            reached[h] = state[:, None] * probabilities[h]
            state = np.einsum("sa,sat->t", reached[h], self.transitions[h])
        return reached

    def sample_start(self, rng: np.random.Generator) -> int:
        """Draw a first state."""
        return int(rng.choice(self.n_states, p=self.initial))

    def sample_step(
        self, step: int, state: int, action: int, rng: np.random.Generator
    ) -> tuple[float, int]:
        """Draw a reward and a next state.

        Args:
            step: h, from 0 to H - 1.
            state: s.
            action: a.
            rng: The only source of draws.
        """
        reward = float(self.rewards[step, state, action])
        if self.sizes is not None and self.sizes[step, state, action] > 0.0:
            size = float(self.sizes[step, state, action])
            reward = size if rng.random() * size < reward else 0.0
        cumulative = np.cumsum(self.transitions[step, state, action])
        return reward, int(np.searchsorted(cumulative, rng.random() * cumulative[-1], "right"))

    def _probabilities(self, policy: NDArray[np.generic]) -> Floats:
        shape = self.rewards.shape
        if policy.shape == shape[:2]:
            return np.eye(self.n_actions)[policy.astype(np.int64)]
        if policy.shape != shape:
            raise ScenarioError("policy", policy.shape, f"the shape {shape[:2]} or {shape}")
        return policy.astype(np.float64)


def random_mdp(
    n_states: int, n_actions: int, horizon: int, seed: int | None = None, *, spread: float = 0.3
) -> TabularMDP:
    """A random MDP with returns from 0 to 1.

    Args:
        n_states: S.
        n_actions: A.
        horizon: H.
        seed: The same seed gives the same MDP.
        spread: Concentration of the Dirichlet distribution of every row of the transitions and of
            the first state: below 1 sparse, above 1 nearly uniform.

    Returns:
        Mean rewards are uniform on [0, 1/H]; a reward is 1/H or 0.
    """
    rng = np.random.default_rng(seed)
    shape = (horizon, n_states, n_actions)
    return TabularMDP(
        transitions=rng.dirichlet(np.full(n_states, spread), size=shape),
        rewards=rng.random(shape) / horizon,
        initial=rng.dirichlet(np.full(n_states, spread)),
        sizes=np.full(shape, 1.0 / horizon),
    )


def combination_lock_mdp(options: LockOptions, codes: Ints | None = None) -> TabularMDP:
    """The latent MDP of a combination lock, exactly as ``hybridrl/CombLock-v0`` plays it.

    Args:
        options: Of the environment; observation and action kinds do not matter here.
        codes: Secret codes ``(2, H)`` [default: those of ``options.lock_seed``].

    Returns:
        Three states: two good ones and the dead one. The optimal value is 1.
    """
    horizon, n_actions = options.horizon, options.n_actions
    if codes is None:
        codes = draw_codes(horizon, n_actions, options.lock_seed)
    shape = (horizon, N_LATENT, n_actions)
    transitions = np.zeros((*shape, N_LATENT))
    chance, sizes = np.zeros(shape), np.zeros(shape)
    transitions[..., DEAD] = 1.0
    paid = slice(None) if options.anti_mode == "on_exit" else slice(horizon - 1, None)
    states = slice(0, 2) if options.anti_mode == "on_exit" else slice(None)
    chance[paid, states], sizes[paid, states] = options.p_anti, options.anti_reward
    for z in (0, 1):
        for h in range(horizon):
            right = (h, z, codes[z, h])
            transitions[right] = 0.0
            transitions[right][z] = 1.0 - options.p_switch
            transitions[right][1 - z] = options.p_switch
            chance[right] = sizes[right] = float(h == horizon - 1)
    return TabularMDP(
        transitions=transitions,
        rewards=chance * sizes,
        initial=np.array([0.5, 0.5, 0.0]),
        sizes=sizes,
    )
