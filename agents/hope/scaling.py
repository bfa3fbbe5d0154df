"""Running normalisation of the feature row, part of the policy and saved with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridrl.agents.hope.features import PARTS
from hybridrl.agents.hope.network import EPSILON

NORMALISED = ("lidar", "target")  # the other parts are shares and signs already


class RunningScale(nn.Module):
    """Zero mean and unit variance of the lidar and target parts (``parking.md`` 13).

    Mean and variance are those of every row seen so far, merged batch by batch (Chan, Golub and
    LeVeque 1983). The parts that are not normalised keep mean 0 and variance 1.

    Args:
        inputs: Length of the feature row.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor
    chosen: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("count", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("chosen", _chosen(inputs), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Normalised rows, shape ``(N, inputs)``."""
        return (rows - self.mean) * torch.rsqrt(self.variance + EPSILON)

    @torch.no_grad()
    def update(self, rows: Tensor) -> None:
        """Count more rows, shape ``(N, inputs)``."""
        new = rows.reshape(-1, len(self.mean))[:, self.chosen].double()
        if not len(new):
            return
        old_mean, old_variance = (
            self.mean[self.chosen].double(),
            self.variance[self.chosen].double(),
        )
        total = self.count + len(new)
        shift = new.mean(dim=0) - old_mean
        spread = new.var(dim=0, correction=0) * len(new) + old_variance * self.count
        spread = spread + shift.square() * self.count * len(new) / total
        self.mean[self.chosen] = (old_mean + shift * len(new) / total).float()
        self.variance[self.chosen] = (spread / total).float()
        self.count.copy_(total)


def _chosen(inputs: int) -> Tensor:
    """Which columns of the row are normalised."""
    flags = torch.cat(
        [torch.full((size,), name in NORMALISED, dtype=torch.bool) for name, size in PARTS.items()]
    )
    return flags[:inputs]
