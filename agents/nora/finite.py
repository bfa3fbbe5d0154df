"""The critic and actor of finite state spaces: a table, or linear in features of a finite set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.nora import kernels
from hybridrl.agents.nora.formulas import Floats, draw, tilt
from hybridrl.agents.nora.kernels import Numbers, Tables
from hybridrl.planners.errors import ScenarioError


class FiniteCritic:
    """Counts, critic and logits of every step, state and action.

    Args:
        horizon: H.
        n_states: S.
        n_actions: A.
        features: phi(s, a), ``(S, A, d)``, for a linear critic; ``None`` for a table.
        ridge: Lambda.

    Raises:
        ScenarioError: If the features have another shape.
    """

    def __init__(
        self,
        horizon: int,
        n_states: int,
        n_actions: int,
        features: NDArray[Any] | None = None,
        ridge: float = 1.0,
    ) -> None:
        pairs = (n_states, n_actions)
        phi = np.zeros((*pairs, 0)) if features is None else np.array(features, np.float64)
        if phi.ndim != 3 or phi.shape[:2] != pairs:
            raise ScenarioError("features", phi.shape, f"the shape {pairs} and a dimension d")
        shape, d = (horizon, *pairs), phi.shape[2]
        self.shape = shape
        self.dim = d or n_states * n_actions
        self.tables = Tables(
            counts=np.zeros(shape),
            rewards=np.zeros(shape),
            following=np.zeros((*shape, n_states)),
            critic=np.zeros(shape),
            logits=np.zeros(shape),
            log_det=np.zeros(horizon),
            log_det_last=np.full(horizon, -np.inf),
            inverse=np.tile(np.eye(d) / ridge, (horizon, 1, 1)),
            features=phi,
        )

    @property
    def linear(self) -> bool:
        """Whether it is linear in features."""
        value: bool = self.tables.features.shape[2] > 0
        return value

    def add(
        self,
        numbers: Numbers,
        step: int,
        observation: Any,
        action: int,
        reward: float,
        following: Any,
    ) -> None:
        """Count one transition; observations are states."""
        state, after = int(observation), int(following)
        kernels.add(self.tables, numbers, step, state, int(action), float(reward), after)

    def begin_episode(self, numbers: Numbers) -> bool:
        """Switch if it is due, then improve the actor; returns whether it switched."""
        return bool(kernels.begin_episode(self.tables, numbers))

    def probabilities(self, numbers: Numbers, step: int, observation: Any) -> Floats:
        """The actor's distribution over actions, ``(A,)``."""
        chance: Floats = tilt(self.tables.logits[step, int(observation)], numbers.greedy)
        return chance

    def act(self, numbers: Numbers, step: int, observation: Any, number: float) -> int:
        """The action of the actor that a uniform number falls on."""
        return int(draw(self.probabilities(numbers, step, observation), number))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that is learned, by name."""
        return self.tables._asdict()

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what :meth:`arrays` gave.

        Raises:
            ScenarioError: If an array is missing or has another shape.
        """
        for name, own in self.tables._asdict().items():
            given = arrays.get(name)
            if given is None or given.shape != own.shape:
                raise ScenarioError(name, getattr(given, "shape", None), f"shape {own.shape}")
            own[...] = given
