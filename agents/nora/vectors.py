"""The critic and actor of vector observations: linear in ``e_a (x) x``, one block an action.

All data are kept: a switch fits them again, since the backup's maximum moves with the critic. The
second-moment matrix of ``e_a (x) x`` is block diagonal, so that everything costs ``A D^2`` instead
of ``(A D)^2``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.nora.formulas import Floats, add_outer, draw, tilt
from hybridrl.agents.nora.kernels import Numbers
from hybridrl.planners.errors import ScenarioError

FIRST = 64  # rows of a step that there is room for at the beginning
_ROWS = ("x", "actions", "rewards", "following")


class VectorCritic:
    """Ridge regressions of every step and action on a vector.

    Args:
        horizon: H.
        dim: D, of the vector.
        n_actions: A.
        features: From an observation to x, ``(D,)``; the flattened observation by default.
        ridge: Lambda.
    """

    linear = True

    def __init__(
        self,
        horizon: int,
        dim: int,
        n_actions: int,
        features: Callable[[Any], NDArray[Any]] | None = None,
        ridge: float = 1.0,
    ) -> None:
        self.shape, self.dim = (horizon, 1, n_actions), dim * n_actions
        self._features = features
        self._size = dim
        self.n = np.zeros(1, np.int64)  # improvements since the last switch
        self.counts = np.zeros(horizon, np.int64)
        self.x = np.zeros((horizon, FIRST, dim))
        self.following = np.zeros((horizon, FIRST, dim))
        self.actions = np.zeros((horizon, FIRST), np.int64)
        self.rewards = np.zeros((horizon, FIRST))
        self.inverse = np.tile(np.eye(dim) / ridge, (horizon, n_actions, 1, 1))
        self.log_det, self.log_det_last = np.zeros(horizon), np.full(horizon, -np.inf)
        self.weights = np.zeros((horizon, n_actions, dim))
        self.frozen = self.inverse.copy()  # inverses of the last switch

    def vector(self, observation: Any) -> Floats:
        """The vector x of an observation, ``(D,)``.

        Raises:
            ScenarioError: If it has another length.
        """
        found = observation if self._features is None else self._features(observation)
        x = np.asarray(found, np.float64).reshape(-1)
        if len(x) != self._size:
            raise ScenarioError("features", x.shape, f"{self._size} numbers")
        return x

    def add(
        self,
        numbers: Numbers,
        step: int,
        observation: Any,
        action: int,
        reward: float,
        following: Any,
    ) -> None:
        """Keep one transition and add its outer product."""
        k = int(self.counts[step])
        if k == self.x.shape[1]:
            for name in _ROWS:
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)], axis=1))
        x = self.vector(observation)
        self.x[step, k], self.following[step, k] = x, self.vector(following)
        self.actions[step, k], self.rewards[step, k] = action, reward
        self.counts[step] += 1
        self.log_det[step] += add_outer(self.inverse[step, action], x)

    def begin_episode(self, numbers: Numbers) -> bool:
        """Switch if it is due, then improve the actor; returns whether it switched."""
        growth = self.log_det - self.log_det_last
        switch = numbers.growth < 0.0 or bool((growth >= numbers.growth - 1e-9).any())
        if switch:
            self._plan(numbers)
            self.log_det_last[:] = self.log_det
            self.n[0] = 0
        self.n += 1
        return switch

    def values(self, numbers: Numbers, step: int, x: Floats) -> Floats:
        """(3) of the last switch's critic for ``(N, D)``, ``(N, A)``."""
        mean = x @ self.weights[step].T
        moved = np.matmul(x, self.frozen[step])
        width = np.sqrt(np.maximum(0.0, (moved * x).sum(-1))).T
        raised = mean + numbers.optimism * numbers.spread * width
        values: Floats = np.clip(raised, 0.0, numbers.v_max)
        return values

    def probabilities(self, numbers: Numbers, step: int, observation: Any) -> Floats:
        """The actor's distribution over actions, ``(A,)``: (7) with ``n eta f``."""
        f = self.values(numbers, step, self.vector(observation)[None])[0]
        scale = 1.0 if numbers.greedy else float(self.n[0]) * numbers.eta
        chance: Floats = tilt(scale * f, numbers.greedy)
        return chance

    def act(self, numbers: Numbers, step: int, observation: Any, number: float) -> int:
        """The action of the actor that a uniform number falls on."""
        return int(draw(self.probabilities(numbers, step, observation), number))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that is learned, by name; rows only as far as they are filled."""
        filled = max(1, int(self.counts.max()))
        rows = {name: getattr(self, name)[:, :filled] for name in _ROWS}
        return {**rows, **{name: getattr(self, name) for name in _STATE}}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what :meth:`arrays` gave.

        Raises:
            ScenarioError: If an array is missing or of another agent.
        """
        for name in (*_ROWS, *_STATE):
            own, given = getattr(self, name), arrays.get(name)
            skip = 2 if name in _ROWS else 0
            fits = given is not None and given.ndim == own.ndim
            if given is None or not fits or given.shape[skip:] != own.shape[skip:]:
                raise ScenarioError(name, getattr(given, "shape", None), f"shape {own.shape}")
            setattr(self, name, np.array(given, own.dtype))

    def _plan(self, numbers: Numbers) -> None:
        """Backward ridge regressions on all data; the backup uses the new critic of h + 1."""
        self.frozen = self.inverse.copy()
        horizon, n_actions = self.weights.shape[:2]
        for h in range(horizon - 1, -1, -1):
            k = int(self.counts[h])
            x, target = self.x[h, :k], self.rewards[h, :k].copy()
            if h + 1 < horizon and k:
                target += self.values(numbers, h + 1, self.following[h, :k]).max(-1)
            for a in range(n_actions):
                mine = self.actions[h, :k] == a
                self.weights[h, a] = self.inverse[h, a] @ (target[mine] @ x[mine])


_STATE = ("n", "counts", "inverse", "log_det", "log_det_last", "weights", "frozen")
