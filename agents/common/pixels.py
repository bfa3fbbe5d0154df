"""Learning from pictures as DrQ-v2 does: random shifts, and an encoder that the critics train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from hybridrl.agents.common.policies import HybridSACPolicy
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

CHANNELS, STRIDES, KERNEL = 32, (2, 1, 1, 1), 3
MIN_SIDE = 15  # of a picture, so that something is left after the convolutions


def random_shift(images: Tensor, pad: int = 4) -> Tensor:
    """Each picture moved by its own whole number of pixels, its edge repeated (``moorl.md`` 4).

    Args:
        images: ``(B, C, H, W)``.
        pad: Furthest shift in pixels, up or down and left or right.

    Returns:
        ``(B, C, H, W)``; draws are torch's.
    """
    count, _, height, width = images.shape
    padded = nn.functional.pad(images, (pad,) * 4, mode="replicate")
    shift = torch.randint(2 * pad + 1, (2, count, 1), device=images.device)
    down = shift[0] + torch.arange(height, device=images.device)
    across = shift[1] + torch.arange(width, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, down[:, :, None], across[:, None, :]].permute(
        0, 3, 1, 2
    )


class PixelEncoder(BaseFeaturesExtractor):
    """Four convolutions, then a normalised layer of few features.

    Args:
        observation_space: Pictures, channels first.
        features_dim: Features.

    Raises:
        ScenarioError: If observations are no pictures, or too small ones.
    """

    def __init__(self, observation_space: spaces.Box, features_dim: int = 50) -> None:
        super().__init__(observation_space, features_dim)
        shape = observation_space.shape
        if not is_image_space(observation_space) or min(shape[1:]) < MIN_SIDE:
            expected = f"uint8 pictures of at least {MIN_SIDE} x {MIN_SIDE}"
            raise ScenarioError("observation_space", observation_space, expected)
        layers: list[nn.Module] = []
        channels = int(shape[0])
        for stride in STRIDES:
            layers += [nn.Conv2d(channels, CHANNELS, KERNEL, stride), nn.ReLU()]
            channels = CHANNELS
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            flat = self.convolutions(torch.zeros(1, *shape)).shape[1]
        self.head = nn.Sequential(
            nn.Linear(flat, features_dim), nn.LayerNorm(features_dim), nn.Tanh()
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Features ``(B, F)`` of pictures ``(B, C, H, W)`` in [0, 1]."""
        features: Tensor = self.head(self.convolutions(observations - 0.5))
        return features


class PixelSACPolicy(HybridSACPolicy):
    """One encoder for actor and critics, which only the critics' loss trains.

    Args:
        *args: Observation space, action space and learning rate schedule.
        shift: Furthest random shift of pictures in a batch, pixels; 0 leaves them as they are.
        **kwargs: Of :class:`~hybridrl.agents.common.policies.HybridSACPolicy`.
    """

    def __init__(self, *args: Any, shift: int = 4, **kwargs: Any) -> None:
        if shift < 0:
            raise ScenarioError("shift", shift, "a whole number of pixels from 0")
        self.shift = shift
        kwargs.setdefault("features_extractor_class", PixelEncoder)
        super().__init__(*args, **kwargs)

    def augmented(self, batch: Any) -> Any:
        """A batch whose pictures are shifted, those before and after a step by other draws."""
        if not self.shift:
            return batch
        return batch._replace(
            observations=random_shift(batch.observations, self.shift),
            next_observations=random_shift(batch.next_observations, self.shift),
        )

    def _build(self, lr_schedule: Schedule) -> None:
        self.critic = self.make_critic()
        self.critic_target = self.make_critic()
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.actor = self.make_actor(self.critic.features_extractor)
        self.actor.frozen_features = True
        own = [p for name, p in self.actor.named_parameters() if "features_extractor" not in name]
        make: Any = self.optimizer_class
        for network, trained in ((self.actor, own), (self.critic, list(self.critic.parameters()))):
            network.optimizer = make(trained, lr=lr_schedule(1), **self.optimizer_kwargs)
        self.critic_target.set_training_mode(False)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "shift": self.shift}


def channels_first(dataset: OfflineDataset | None, space: spaces.Space[Any]) -> Any:
    """The dataset with its pictures as the agent sees them.

    Stable-Baselines3 moves the channels of an environment's pictures to the front; data recorded
    from that environment have them at the end.

    Args:
        dataset: Or ``None``.
        space: Of the agent's observations.
    """
    if dataset is None or not is_image_space(space) or not is_image_space_channels_first(space):  # type: ignore[arg-type]
        return dataset
    pictures, shape = dataset.observations, space.shape or ()
    if isinstance(pictures, dict) or pictures.shape[1:] != (*shape[1:], shape[0]):
        return dataset
    moved = {
        name: np.moveaxis(getattr(dataset, name), -1, 1)
        for name in ("observations", "next_observations")
    }
    return replace(dataset, **moved, observation_space=space)
