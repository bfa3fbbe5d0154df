"""Ego-attention: the ego asks all cars, itself among them (``driving.md`` 4.2; arXiv:1911.12250).

With the ego as the only query, a score is ``q . W_K e = (W_K^T q) . e`` and the sum of values
``W_V (sum a e)``, so keys and values need not be computed for each car: the result is the same.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from hybridrl.agents.tell_drive.observation import ADVICE, AGE, VALID, layout_of
from hybridrl.agents.tell_drive.teachers.advice import ADVICE_SIZE
from hybridrl.planners.errors import ScenarioError, UnknownNameError

ABSENT = -1e9  # a score whose softmax is exactly 0
ENCODERS = ("attention", "flat")


class EgoAttention(nn.Module):
    """Multi-head attention with one query, then a residual sum and layer normalisation.

    Args:
        width: Of a car's encoding, d.
        heads: Each of ``width / heads``.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # a bias would shift all scores alike
        self.value = nn.Linear(width, width)
        self.join = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, ego: Tensor, cars: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Ask.

        Args:
            ego: Encoding of the ego, shape ``(B, d)``.
            cars: Encodings of all, shape ``(B, N, d)``.
            present: Which of them are there, shape ``(B, N)``; at least one a row.

        Returns:
            The ego's new encoding, ``(B, d)``, and weights, ``(B, heads, N)``, which are exactly
            0 for cars that are not there.
        """
        size, (batch, width) = ego.shape[1] // self.heads, ego.shape
        query = self.query(ego).view(batch, self.heads, size)
        keys = self.key.weight.view(self.heads, size, width)
        asked = torch.einsum("bhs,hsd->bhd", query, keys)
        scores = torch.bmm(asked, cars.transpose(1, 2)) / math.sqrt(size)
        scores = scores.masked_fill(~present[:, None, :], ABSENT)
        weights = torch.softmax(scores, dim=2)
        seen = torch.bmm(weights, cars)
        values = self.value.weight.view(self.heads, size, width)
        heads = torch.einsum("bhd,hsd->bhs", seen, values).reshape(batch, width)
        joined: Tensor = self.norm(ego + self.join(heads + self.value.bias))
        return joined, weights


class EgoAttentionExtractor(BaseFeaturesExtractor):
    """Rows of cars to the ego's view of them; for any Stable-Baselines3 algorithm.

    Args:
        observation_space: Of a driving environment.
        width: Of an encoding.
        heads: Of the attention.
        encoder: ``attention``, or ``flat``: a plain network on all rows at once, for comparison.
        advice_token: Let the attention see the advice slot (4.3 b).

    Raises:
        ScenarioError: If there are no rows of cars, or no advice slot for a token.
        UnknownNameError: If there is no such encoder.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        width: int = 64,
        heads: int = 2,
        encoder: str = "attention",
        advice_token: bool = False,
    ) -> None:
        super().__init__(observation_space, width)
        self.layout = layout_of(observation_space)
        if encoder not in ENCODERS:
            raise UnknownNameError("encoder", encoder, ENCODERS)
        if width % heads:
            raise ScenarioError("heads", heads, f"a divisor of the width {width}")
        if advice_token and not self.layout.advice:
            raise ScenarioError("advice_token", True, 'an environment with observation="dict"')
        self.encoder = encoder
        self.advice_token = advice_token
        inputs = self.layout.features * (1 if encoder == "attention" else self.layout.cars)
        self.ego = _encoder(inputs, width)
        if encoder == "attention":
            self.others = _encoder(inputs, width)
            self.attention = EgoAttention(width, heads)
            self.token = _encoder(ADVICE_SIZE, width) if advice_token else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, observations: Any) -> Tensor:
        """Encodings, shape ``(B, width)``."""
        if self.encoder == "flat":
            flat: Tensor = self.ego(self._rows(observations).flatten(1))
            return flat
        return self._ask(observations)[0]

    def weights(self, observations: Any) -> Tensor:
        """How much each head looks at each row of cars, shape ``(B, heads, N)``.

        Raises:
            ScenarioError: If this is the plain network.
        """
        if self.encoder == "flat":
            raise ScenarioError("encoder", self.encoder, "attention: a plain network has no heads")
        return self._ask(observations)[1][:, :, : self.layout.cars]

    def _rows(self, observations: Any) -> Tensor:
        rows: Tensor = observations[self.layout.entities] if self.layout.entities else observations
        return rows

    def _ask(self, observations: Any) -> tuple[Tensor, Tensor]:
        rows = self._rows(observations)
        ego = self.ego(rows[:, 0])
        cars = torch.cat([ego[:, None], self.others(rows[:, 1:])], dim=1)
        present = rows[:, :, 0] >= 0.5
        present = torch.cat([torch.ones_like(present[:, :1]), present[:, 1:]], dim=1)
        if self.token is not None:
            advice = observations[ADVICE]
            cars = torch.cat([cars, self.token(advice)[:, None]], dim=1)
            shown = (advice[:, VALID] >= 0.5) & (advice[:, AGE] < 0.5)
            present = torch.cat([present, shown[:, None]], dim=1)
        made: tuple[Tensor, Tensor] = self.attention(ego, cars, present)
        return made


def _encoder(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
