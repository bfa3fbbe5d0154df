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

from hybridrl.agents.tell_drive.observation import ADVICE, AGE, CLOCK, VALID, layout_of
from hybridrl.agents.tell_drive.teachers.advice import ADVICE_SIZE
from hybridrl.planners.errors import ScenarioError, UnknownNameError

ABSENT = -1e9  # a score whose softmax is exactly 0
ENCODERS = ("attention", "flat")
# What the columns x, y, vx, vy of an observation are scaled by, m and m/s (docs/driving.md).
VIEWS = {"rows": (), "world": (100.0, 100.0, 20.0, 20.0), "ego": (100.0, 16.0, 20.0, 10.0)}
RELATIVE = 10  # columns of :func:`relative`
NEARER = 5.0  # x and y of the rows are raised by this beside them: metres decide, not 100 m


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


def relative(rows: Tensor, view: str) -> Tensor:
    """How the others move as the ego sees it, and how near they will come (``driving.md`` 3.1).

    Args:
        rows: Of an observation, shape ``(B, N, 7)`` or more columns, the ego first.
        view: ``world``: the rows are in the world frame and are turned into the ego's; or
            ``ego``: they are relative to the ego already, and the road is straight.

    Returns:
        Shape ``(B, N - 1, 10)``, each about 1 in size: place ahead and aside, speed ahead and
        aside, direction, nearness, time to the closest approach and distance then at constant
        speeds, and how much of a conflict these are.
    """
    scale = rows.new_tensor(VIEWS[view])
    ego, others = rows[:, :1], rows[:, 1:]
    cos, sin = ego[..., 5], ego[..., 6]
    moved = (others[..., 1:5] - ego[..., 1:5] if view == "world" else others[..., 1:5]) * scale
    px, py, vx, vy = moved.unbind(2)
    cos_to, sin_to = others[..., 5], others[..., 6]
    if view == "world":
        px, py = px * cos + py * sin, py * cos - px * sin
        vx, vy = vx * cos + vy * sin, vy * cos - vx * sin
        cos_to, sin_to = cos_to * cos + sin_to * sin, sin_to * cos - cos_to * sin
    time = (-(px * vx + py * vy) / (vx * vx + vy * vy).clamp(min=0.1)).clamp(0.0, 8.0)
    closest = torch.hypot(px + vx * time, py + vy * time).clamp(max=40.0)
    conflict = torch.exp(-closest / 4.0) * torch.exp(-time / 3.0)
    near = torch.exp(-torch.hypot(px, py) / 15.0)
    parts = (px / 20.0, py / 10.0, vx / 8.0, vy / 8.0, cos_to, sin_to, near, time / 4.0)
    return torch.stack([*parts, closest / 10.0, conflict], dim=2)


class EgoAttentionExtractor(BaseFeaturesExtractor):
    """Rows of cars to the ego's view of them; for any Stable-Baselines3 algorithm.

    Args:
        observation_space: Of a driving environment.
        width: Of an encoding.
        heads: Of the attention.
        encoder: ``attention``, or ``flat``: a plain network on all rows at once, for comparison.
        advice_token: Let the attention see the advice slot (4.3 b).
        view: ``rows``: inputs are the rows as they are; ``world`` or ``ego``, the frame that the
            rows are in: what :func:`relative` makes of them stands beside them.

    Raises:
        ScenarioError: If there are no rows of cars, or no advice slot for a token.
        UnknownNameError: If there is no such encoder or view.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        width: int = 64,
        heads: int = 2,
        encoder: str = "attention",
        advice_token: bool = False,
        view: str = "rows",
    ) -> None:
        super().__init__(observation_space, width)
        self.layout = layout_of(observation_space)
        if encoder not in ENCODERS:
            raise UnknownNameError("encoder", encoder, ENCODERS)
        if view not in VIEWS:
            raise UnknownNameError("view", view, tuple(VIEWS))
        if width % heads:
            raise ScenarioError("heads", heads, f"a divisor of the width {width}")
        if advice_token and not self.layout.advice:
            raise ScenarioError("advice_token", True, 'an environment with observation="dict"')
        self.encoder = encoder
        self.advice_token = advice_token
        self.view = view
        own, other = self.layout.features, self.layout.features + RELATIVE * (view != "rows")
        if encoder == "flat":
            own += other * (self.layout.cars - 1)
        self.ego = _encoder(own + self.layout.clock, width)
        if encoder == "attention":
            self.others = _encoder(other, width)
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
            own, others = self._inputs(observations)
            flat: Tensor = self.ego(torch.cat([own, others.flatten(1)], dim=1))
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

    def _inputs(self, observations: Any) -> tuple[Tensor, Tensor]:
        """What is encoded of the ego, with the time that is left, and of the others."""
        rows = self._rows(observations)
        others = rows[:, 1:]
        if self.view != "rows":
            raised = torch.ones_like(rows[0, 0])
            raised[1:3] = NEARER
            seen = relative(rows, self.view) * others[..., :1]
            rows = rows * raised
            others = torch.cat([rows[:, 1:], seen], dim=2)
        own = rows[:, 0]
        return (torch.cat([own, observations[CLOCK]], 1) if self.layout.clock else own), others

    def _encode(self, rows: Tensor, present: Tensor) -> Tensor:
        """Encodings of the others, ``(B, N - 1, width)``; absent rows cost nothing and are 0."""
        there = present.flatten().nonzero()[:, 0]
        if len(there) == present.numel():
            every: Tensor = self.others(rows)
            return every
        found = self.others(rows.flatten(0, 1).index_select(0, there))
        empty = found.new_zeros(present.numel(), found.shape[1])
        spread: Tensor = empty.index_copy(0, there, found).view(*present.shape, -1)
        return spread

    def _ask(self, observations: Any) -> tuple[Tensor, Tensor]:
        own, others = self._inputs(observations)
        ego = self.ego(own)
        present = self._rows(observations)[:, :, 0] >= 0.5
        cars = torch.cat([ego[:, None], self._encode(others, present[:, 1:])], dim=1)
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
