"""When the exploration critic is renewed: tests behind one interface, kept with the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hybridrl.agents.optimistic_sac.formulas import doubled, grown
from hybridrl.planners.errors import ScenarioError, UnknownNameError

FEATURES = 64  # of the determinant's test


class SwitchTest(nn.Module):
    """Never switches after the first time; the others override :meth:`due`.

    ``since`` counts the steps since the last switch; both numbers are buffers, so that they are
    saved with the weights.
    """

    needs_features = False
    size: Tensor
    since: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("size", torch.full((), -1.0, dtype=torch.float64))
        self.register_buffer("since", torch.zeros((), dtype=torch.int64))

    def observe(self, features: Tensor) -> None:
        """Take features ``(B, h)`` of the pairs that were just visited."""

    def due(self, size: float) -> bool:
        """Whether to switch, with so many transitions in the data.

        Args:
            size: Transitions so far.
        """
        return False

    def done(self, size: float) -> None:
        """Remember that a switch happened."""
        self.size.fill_(size)
        self.since.zero_()

    @property
    def fresh(self) -> bool:
        """Whether there was no switch yet."""
        return float(self.size) < 0.0


class EveryStep(SwitchTest):
    """The exploration critic is the critic itself: plain OAC."""

    def due(self, size: float) -> bool:
        """Always."""
        return True


class DataGrowth(SwitchTest):
    """Switches when the data grew by a factor.

    Args:
        factor: Above 1.
    """

    def __init__(self, factor: float = 1.5) -> None:
        super().__init__()
        if not factor > 1.0:
            raise ScenarioError("switch_growth", factor, "a factor above 1")
        self.factor = factor

    def due(self, size: float) -> bool:
        """Whether the data grew enough since the last switch."""
        return self.fresh or grown(size, float(self.size), self.factor)


class LogDet(SwitchTest):
    """Switches when the determinant of the exploration features' second moments doubled.

    Features are a fixed random projection of the exploration critic's last hidden layer.

    Args:
        width: Numbers of the hidden layer, h.
        ridge: Lambda.
        seed: Of the projection.
    """

    needs_features = True
    inverse: Tensor
    projection: Tensor
    log_det: Tensor

    def __init__(self, width: int, ridge: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        if not ridge > 0.0:
            raise ScenarioError("switch_ridge", ridge, "a number above 0")
        self.ridge = ridge
        count = min(FEATURES, width)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(width, count, generator=generator, dtype=torch.float64)
        self.register_buffer("projection", drawn / math.sqrt(width))
        self.register_buffer("inverse", torch.eye(count, dtype=torch.float64) / ridge)
        self.register_buffer("log_det", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def observe(self, features: Tensor) -> None:
        """Rank-one updates, one a pair (Sherman and Morrison)."""
        for psi in features.detach().to(self.projection) @ self.projection:
            moved = self.inverse @ psi
            scale = 1.0 + psi @ moved
            self.inverse -= torch.outer(moved, moved) / scale
            self.log_det += scale.log()

    def due(self, size: float) -> bool:
        """Whether the determinant doubled since the last switch."""
        return self.fresh or doubled(float(self.log_det), 0.0)

    def done(self, size: float) -> None:
        """Begin to count again: the features are those of a new critic."""
        super().done(size)
        self.log_det.zero_()


SWITCHES = ("replay_doubling", "logdet", "every_step")


def make_switch(name: str, growth: float, ridge: float, width: int, seed: int) -> SwitchTest:
    """The test of that name.

    Args:
        name: Of :data:`SWITCHES`.
        growth: Of ``replay_doubling``.
        ridge: Of ``logdet``.
        width: Of the critics' last hidden layer.
        seed: Of the projection of ``logdet``.

    Raises:
        UnknownNameError: If there is no such test.
    """
    if name == "replay_doubling":
        return DataGrowth(growth)
    if name == "logdet":
        return LogDet(width, ridge, seed)
    if name == "every_step":
        return EveryStep()
    raise UnknownNameError("switch", name, SWITCHES)
