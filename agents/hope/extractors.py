"""Features extractors for parking observations, usable by any Stable-Baselines3 algorithm."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from hybridrl.agents.hope.features import PARTS, feature_count, feature_rows, token_sizes
from hybridrl.agents.hope.scaling import RunningScale


class ParkingFeatures(BaseFeaturesExtractor):
    """The feature row of ``features.py``, without anything to learn.

    Args:
        observation_space: Of a parking environment.
        features_dim: Of the output; the row's length by default.
        normalize: Divide lidar and target by their running deviation; whoever trains the network
            calls ``scale.update`` with the rows.

    Attributes:
        scale: The running statistics, or ``None``.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        features_dim: int | None = None,
        normalize: bool = False,
    ) -> None:
        self.inputs = feature_count(observation_space)
        super().__init__(observation_space, features_dim or self.inputs)
        self.scale = RunningScale(self.inputs) if normalize else None

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Observations with first axis N to ``(N, features_dim)``."""
        return self.encode(feature_rows(observations, torch))

    def encode(self, rows: Tensor) -> Tensor:
        """Feature rows ``(N, inputs)`` to ``(N, features_dim)``: here, themselves."""
        return self.scaled(rows)

    def scaled(self, rows: Tensor) -> Tensor:
        """The rows as they enter the network."""
        if self.scale is None:
            return rows
        out: Tensor = self.scale(rows)
        return out


class ParkingTokens(ParkingFeatures):
    """HOPE's token transformer (``parking.md`` 13): one pre-norm block.

    Each sensor is a token, and what is known of the car itself is one more.

    Args:
        observation_space: Of a parking environment.
        width: Of a token, and of the output.
        heads: Attention heads.
        head_width: Of one head.
        normalize: As in :class:`ParkingFeatures`.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        width: int = 128,
        heads: int = 8,
        head_width: int = 32,
        normalize: bool = False,
    ) -> None:
        super().__init__(observation_space, width, normalize)
        self.sizes = token_sizes(key for key in PARTS if key in observation_space.spaces)
        self.heads = heads
        inner = heads * head_width
        self.embed = nn.ModuleList(_mlp(size, width, width) for size in self.sizes)
        self.types = nn.Parameter(torch.randn(len(self.sizes), width) * 0.02)
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.project = nn.Linear(inner, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = _mlp(width, width, width)
        self.out = nn.Sequential(
            nn.Linear(len(self.sizes) * width, width), nn.GELU(approximate="tanh")
        )

    def encode(self, rows: Tensor) -> Tensor:
        """Feature rows ``(N, inputs)`` to ``(N, width)``."""
        parts = torch.split(self.scaled(rows), self.sizes, dim=1)
        tokens = torch.stack([e(part) for e, part in zip(self.embed, parts, strict=True)], dim=1)
        tokens = tokens + self.types
        tokens = tokens + self._attend(self.norm_attention(tokens))
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        out: Tensor = self.out(tokens.flatten(1))
        return out

    def _attend(self, tokens: Tensor) -> Tensor:
        batch, count, _ = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, count, -1))
        return out


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, outputs)
    )
