"""Frozen features of images, for agents that learn on top of them."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

_SEED = 2_311


class RandomConvFeatures(BaseFeaturesExtractor):
    """Two random convolutions and a coarse pooling, never trained.

    The weights come from a fixed seed, so that they are the same wherever the model is loaded.
    Features are centred and scaled with the moments of the first large batch that it sees.

    Args:
        observation_space: Images ``(C, H, W)``.
        features_dim: Length of the features: 16 cells of ``features_dim / 16`` channels.
    """

    mean: Tensor
    scale: Tensor
    fitted: Tensor

    def __init__(self, observation_space: spaces.Box, features_dim: int = 512) -> None:
        super().__init__(observation_space, features_dim)
        channels, last = observation_space.shape[0], features_dim // 16
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            self.layers = nn.Sequential(
                nn.Conv2d(channels, 32, 5, stride=2, padding=2), nn.ReLU(),
                nn.Conv2d(32, last, 3, stride=2, padding=1), nn.ReLU(),
                nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            )  # fmt: skip
        self.register_buffer("mean", torch.zeros(features_dim))
        self.register_buffer("scale", torch.ones(features_dim))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def fit(self, observations: Tensor) -> None:
        """Take the moments of a batch, ``(N, C, H, W)`` in [0, 1]; only the first one counts."""
        if bool(self.fitted) or len(observations) < 2:
            return
        found = self.layers(observations)
        self.mean.copy_(found.mean(0))
        self.scale.copy_(1.0 / (found.std(0) + 1e-6))
        self.fitted.fill_(True)

    def forward(self, observations: Any) -> Tensor:
        """``(N, C, H, W)`` in [0, 1] to ``(N, features_dim)``."""
        features: Tensor = (self.layers(observations) - self.mean) * self.scale
        return features
