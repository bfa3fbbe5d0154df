"""The settings of NORA and its variants, checked, and as the compiled code takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hybridrl.agents.nora.formulas import confidence, switch_bound, theory_eta
from hybridrl.agents.nora.kernels import Numbers
from hybridrl.planners.errors import ScenarioError, UnknownNameError

RESETS = {"full": 0.0, "partial": 0.5, "none": 1.0}  # share of the logits that survives a switch
SWITCHES = {"logdet": math.log(2.0), "episode": -1.0}
TARGETS = ("Q*", "Qpi")
ETAS = ("theory", "greedy")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What tells NORA, DOUHUA and LSVI-UCB apart.

    Args:
        c: Width of the bonus in returns: of a table times ``sqrt(iota / N)``, of linear features
            times ``sqrt(phi' Lambda^-1 phi)``.
        eta: Step of the actor over ``1 / v_max``; ``theory`` for (6), ``greedy`` for no actor.
        reset: What a switch leaves of the logits: nothing (``full``, the paper), half
            (``partial``) or all (``none``).
        switch: ``logdet`` when a determinant doubled, ``episode`` before every episode.
        target: ``Q*`` backs up the best action, ``Qpi`` the actor's (DOUHUA).
        optimism: Factor on the bonus; 0 explores nothing and lives on offline data.
        v_max: Largest return.
        ridge: Lambda.
        delta: Probability that the bounds fail.

    Raises:
        ScenarioError: If a number is out of range.
        UnknownNameError: If a word is unknown.
    """

    c: float = 0.05
    eta: float | str = 20.0
    reset: str = "full"
    switch: str = "logdet"
    target: str = "Q*"
    optimism: float = 1.0
    v_max: float = 1.0
    ridge: float = 1.0
    delta: float = 0.1

    def __post_init__(self) -> None:
        """Check every value."""
        for name, low in (("c", -1.0), ("optimism", -1.0), ("v_max", 0.0), ("ridge", 0.0)):
            value = getattr(self, name)
            if not (value > low and value >= 0.0 and math.isfinite(value)):
                raise ScenarioError(name, value, f"a number {'above' if not low else 'from'} 0")
        if not 0.0 < self.delta < 1.0:
            raise ScenarioError("delta", self.delta, "a probability between 0 and 1")
        for name, known in (("reset", RESETS), ("switch", SWITCHES), ("target", TARGETS)):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, str(getattr(self, name)), known)
        if isinstance(self.eta, str):
            if self.eta not in ETAS:
                raise UnknownNameError("eta", self.eta, ETAS)
        elif not 0.0 < self.eta < np.inf:
            raise ScenarioError("eta", self.eta, "a number above 0, 'theory' or 'greedy'")

    def numbers(
        self, shape: tuple[int, int, int], dim: int, linear: bool, episodes: int
    ) -> Numbers:
        """The rules for a problem of a known size.

        Args:
            shape: H, S and A; S is 1 where states are vectors.
            dim: d of the critic's features; S A of a table.
            linear: Whether the critic is linear in features.
            episodes: T that are planned.
        """
        horizon, n_states, n_actions = shape
        iota = confidence(n_states, n_actions, horizon, episodes, self.delta)
        eta = 0.0
        if self.eta == "theory":
            switches = switch_bound(dim, horizon, episodes)
            eta = theory_eta(switches, n_actions, self.v_max, episodes)
        elif not isinstance(self.eta, str):
            eta = float(self.eta) / self.v_max
        return Numbers(
            spread=float(self.c if linear else self.c * math.sqrt(iota)),
            eta=eta,
            v_max=float(self.v_max),
            optimism=float(self.optimism),
            ridge=float(self.ridge),
            keep=RESETS[self.reset],
            growth=SWITCHES[self.switch],
            greedy=self.eta == "greedy",
            soft=self.target == "Qpi",
        )
