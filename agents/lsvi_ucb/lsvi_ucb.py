"""LSVI-UCB (Jin et al., 2020): act greedily on an optimistic critic that is fitted anew each time.

It is NORA's critic without the actor: greedy, replanned before every episode. With
``switch="logdet"`` it is LSVI-UCB-RareSwitch (Wang, Zhou, Gu, 2021).
"""

from __future__ import annotations

from typing import Any, ClassVar

from hybridrl.agents.nora.nora import NORA
from hybridrl.envs.comblock.linear import one_hot_features
from hybridrl.planners.errors import ScenarioError


class LSVIUCB(NORA):
    """Least-squares value iteration with an upper confidence bonus (arXiv 1907.05388).

    The arguments are those of :class:`~hybridrl.agents.nora.nora.NORA`; by default ``c=0.1``,
    ``ridge=0.01`` (an unseen unit direction is then worth ``c / sqrt(ridge) = 1``),
    ``eta="greedy"`` and ``switch="episode"``. Finite states without features get one-hot ones: the
    tabular case, with ridge regression instead of means.
    """

    defaults: ClassVar[dict[str, Any]] = {
        "c": 0.1,
        "ridge": 0.01,
        "eta": "greedy",
        "switch": "episode",
    }

    def build(self, horizon: int, n_states: int, n_actions: int) -> None:
        """Make the critic of a finite state space, with one-hot features where there are none."""
        if self.policy_name == "tabular":
            raise ScenarioError("policy", "tabular", "'auto' or 'linear': one-hot is the table")
        if self.features is None:
            self.features = one_hot_features(n_states, n_actions)
        super().build(horizon, n_states, n_actions)
