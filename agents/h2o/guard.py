"""Proof that training never steps the real system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym

from hybridrl.planners.errors import ScenarioError


class RealEnvGuard(gym.Wrapper[Any, Any, Any, Any]):
    """Counts steps of the real environment, and allows them only while it evaluates.

    Args:
        env: The real system.
        forbid: Raise an error at a step outside an evaluation, instead of counting it.

    Attributes:
        steps_evaluating: Steps within :meth:`evaluating`.
        steps_outside: All others.
    """

    def __init__(self, env: gym.Env[Any, Any], forbid: bool = True) -> None:
        super().__init__(env)
        self.forbid = forbid
        self.steps_evaluating = 0
        self.steps_outside = 0
        self._evaluating = False

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Steps within this context are evaluation."""
        before, self._evaluating = self._evaluating, True
        try:
            yield
        finally:
            self._evaluating = before

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            ScenarioError: If it is no evaluation and steps are forbidden.
        """
        if self._evaluating:
            self.steps_evaluating += 1
        else:
            self.steps_outside += 1
            if self.forbid:
                raise ScenarioError("real system", "stepped", "no step outside an evaluation")
        return self.env.step(action)
