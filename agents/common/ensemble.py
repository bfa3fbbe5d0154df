"""Networks of equal shape side by side: one batched matrix product a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hybridrl.agents.common.chain import member_by_member

LARGE = 2**15  # numbers of a member's layer from which memory, not the number of calls, costs time
HUGE = 2**16  # the same of the narrowest layer, from which members are run one by one


class EnsembleLinear(nn.Module):
    """``E`` independent affine layers, initialised as ``torch.nn.Linear``.

    Args:
        n_members: E.
        in_features: Inputs of each.
        out_features: Outputs of each.
    """

    def __init__(self, n_members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(max(1, in_features))
        weight = torch.empty(n_members, in_features, out_features).uniform_(-bound, bound)
        bias = torch.empty(n_members, 1, out_features).uniform_(-bound, bound)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, inputs: Tensor, members: Tensor | None = None) -> Tensor:
        """``(E, B, in)`` to ``(E, B, out)``; with ``members`` only those of that index."""
        weight = self.weight if members is None else self.weight[members]
        bias = self.bias if members is None else self.bias[members]
        if weight.shape[-1] > 1 or inputs.numel() < LARGE * len(inputs):
            return torch.baddbmm(bias, inputs, weight)
        # A product with one column is slow in batched libraries, backwards even more so.
        return (inputs * weight.mT).sum(-1, keepdim=True) + bias


class EnsembleLayerNorm(nn.Module):
    """Layer normalisation with an affine map of its own for each member.

    Args:
        n_members: E.
        features: Width.
    """

    def __init__(self, n_members: int, features: int) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(torch.ones(n_members, 1, features))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, features))

    def forward(self, inputs: Tensor, members: Tensor | None = None) -> Tensor:
        """``(E, B, h)`` to ``(E, B, h)``."""
        weight = self.weight if members is None else self.weight[members]
        bias = self.bias if members is None else self.bias[members]
        if inputs.numel() < LARGE * len(inputs):
            normal = nn.functional.layer_norm(inputs, (self.features,))
            return torch.addcmul(bias, normal, weight)
        # Large ones member by member: torch's kernel takes one affine map, in the same pass.
        each = zip(
            inputs.unbind(), weight.flatten(1).unbind(), bias.flatten(1).unbind(), strict=True
        )
        return torch.stack(
            [nn.functional.layer_norm(x, (self.features,), w, b) for x, w, b in each]
        )


class EnsembleMLP(nn.Module):
    """``E`` multi-layer perceptrons, equal to E separate ones.

    Args:
        n_members: E.
        in_features: Inputs of each.
        out_features: Outputs of each.
        net_arch: Widths of the hidden layers.
        activation_fn: Between layers.
        layer_norm: Normalise before each activation.
    """

    def __init__(
        self,
        n_members: int,
        in_features: int,
        out_features: int,
        net_arch: Sequence[int] = (256, 256),
        activation_fn: type[nn.Module] = nn.ReLU,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.n_members = n_members
        relu = activation_fn is nn.ReLU
        self._chained, self._narrowest = relu and layer_norm, min(net_arch, default=0)
        layers: list[nn.Module] = []
        width = in_features
        for hidden in net_arch:
            layers.append(EnsembleLinear(n_members, width, hidden))
            if layer_norm:
                layers.append(EnsembleLayerNorm(n_members, hidden))
            # In place saves a pass over memory; no gradient needs the values before.
            layers.append(nn.ReLU(inplace=True) if relu else activation_fn())
            width = hidden
        layers.append(EnsembleLinear(n_members, width, out_features))
        self.layers = nn.ModuleList(layers)

    @property
    def head(self) -> EnsembleLinear:
        """The last layer."""
        last = self.layers[-1]
        assert isinstance(last, EnsembleLinear)
        return last

    def forward(self, inputs: Tensor, members: Tensor | None = None) -> Tensor:
        """Values of every member, or of those whose index is in ``members``.

        Args:
            inputs: ``(B, in)`` for all members, or ``(E, B, in)``.
            members: ``(Z,)`` indices.

        Returns:
            ``(E, B, out)``, or ``(Z, B, out)``.
        """
        if self._one_by_one(inputs):
            chosen = [p if members is None else p[members] for p in self.parameters()]
            return member_by_member(inputs, chosen)
        count = self.n_members if members is None else len(members)
        x = inputs if inputs.dim() == 3 else inputs.expand(count, *inputs.shape)
        for layer in self.layers:
            own = isinstance(layer, EnsembleLinear | EnsembleLayerNorm)
            x = layer(x, members) if own else layer(x)
        return x

    def _one_by_one(self, inputs: Tensor) -> bool:
        """Whether members had better be run one by one: normalised ones, measured on a CPU."""
        rows = inputs.shape[-2] if inputs.device.type == "cpu" else 0
        return self._chained and rows * self._narrowest >= HUGE
