"""What ``hybridrl speed hybrid`` times: MOORL's and RLPD's gradient steps beside their peers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from hybridrl.agents.calql import CalQL
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.iql import IQL
from hybridrl.agents.moorl import MOORL
from hybridrl.agents.rlpd import RLPD
from hybridrl.benchmarks.speed import Subject
from hybridrl.benchmarks.speed_agents import _dataset, _filled, _options

SAC, LISTS = "shared SAC, {}", "RLPD with list critics, {}"


def hybrid_subjects(seed: int) -> list[Subject]:
    """Gradient steps of the hybrid agents; one thread, filled buffers, an offline dataset."""
    torch.set_num_threads(1)
    subjects = []
    for width, batch in ((256, 256), (64, 64)):
        name = f"{width}x{width}, batch {batch}"
        options = {**_options(width, batch, 2, seed), "offline_dataset": _dataset(seed)}
        peer = SAC.format(name)
        subjects += [
            Subject(peer, "updates", _updates(HybridSAC, options)),
            Subject(f"MOORL, {name}", "updates", _updates(MOORL, options), peer),
            Subject(f"IQL, {name}", "updates", _updates(IQL, options), peer),
            Subject(f"Cal-QL with 10 actions, {name}", "updates", _updates(CalQL, options), peer),
        ]
        lists = LISTS.format(f"10 critics, {name}")
        many = {**options, "policy_kwargs": {"net_arch": [width, width]}, "gradient_steps": 20}
        listed = {**many, "policy": NormalisedLists, "layer_norm": False}
        subjects += [
            Subject(lists, "critic updates", _updates(RLPD, listed, 20)),
            Subject(f"RLPD, 10 critics, {name}", "critic updates", _updates(RLPD, many, 20), lists),
        ]
    return subjects


class NormalisedCritics(ContinuousCritic):
    """Stable-Baselines3's list of critics, with RLPD's layer normalisation in each.

    Args:
        *args: Of ``ContinuousCritic``.
        **kwargs: Of ``ContinuousCritic``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        arch: list[int] = kwargs["net_arch"]
        inputs = int(kwargs["features_dim"]) + int(self.action_space.shape[0])  # type: ignore[index]
        for k in range(self.n_critics):
            layers: list[nn.Module] = []
            for layer in create_mlp(inputs, 1, arch):
                if isinstance(layer, nn.ReLU):
                    layers.append(nn.LayerNorm(layers[-1].out_features))
                layers.append(layer)
            net = nn.Sequential(*layers)
            setattr(self, f"qf{k}", net)
            self.q_networks[k] = net


class NormalisedLists(SACPolicy):
    """Stable-Baselines3's policy with :class:`NormalisedCritics`."""

    def make_critic(self, features_extractor: Any = None) -> ContinuousCritic:
        """A new list of critics."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return NormalisedCritics(**kwargs).to(self.device)


def _updates(cls: Any, options: dict[str, Any], count: int = 8) -> Callable[[], int]:
    own = copy.copy(options)
    policy = own.pop("policy", "MlpPolicy")
    model = _filled(cls, own, policy)

    def work() -> int:
        model.train(count, model.batch_size)
        return count

    return work
