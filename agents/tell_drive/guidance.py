"""How strongly a teacher guides, for how long, and how far it is trusted (``driving.md`` 4.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError, UnknownNameError

SCHEDULES = ("linear", "exp", "constant", "kl-target")
OFF = 0.05  # trust below it ends the guidance


@dataclass(frozen=True)
class GuidanceConfig:
    """Settings of the guidance; plain numbers, so that presets and run files can hold them.

    Args:
        weight: lambda_0 of the distillation loss.
        until: Share of the training after which it is 0 (``linear``), T_g.
        schedule: ``linear``, ``exp`` (to 1 % at ``until``), ``constant`` up to ``until``, or
            ``kl-target`` (raised or lowered to hold ``target_kl``).
        target_kl: Of student to teacher, nats, for ``kl-target``.
        share: Of the states without risk that are asked about.
        risk: States with at least this risk are all asked about.
        trust: Whether the teacher is tested and may be turned off.
        filter: Whether advice that the forecast calls critical is dropped.
        token_drop: First probability that the advice token is hidden; it rises to 1 by ``until``.
        teacher_share: eps_0 of teacher-executed steps, at most 0.2, falling to 0 by ``until``.
        warm_start: Epochs of behaviour cloning before the first update, at most 10.
        warm_start_steps: Decisions that the teacher drives for it, in all environments together.
        keep: States with advice that are kept and learnt from again; 0: only the rollout's own.
        replay: Of these, drawn for each gradient step.
        margin: ``TellDriveDQN``: weight of the large-margin loss beside the distillation.
        temperature: ``TellDriveDQN``: of the softmax over Q.
    """

    weight: float = 1.0
    until: float = 0.4
    schedule: str = "linear"
    target_kl: float = 0.1
    share: float = 0.1
    risk: float = 0.5
    trust: bool = True
    filter: bool = True
    token_drop: float = 0.3
    teacher_share: float = 0.0
    warm_start: int = 0
    warm_start_steps: int = 8192
    keep: int = 0
    replay: int = 512
    margin: float = 0.0
    temperature: float = 0.25

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UnknownNameError: If there is no such schedule.
            ScenarioError: If a number is out of range.
        """
        if self.schedule not in SCHEDULES:
            raise UnknownNameError("schedule", self.schedule, SCHEDULES)
        for name, low, high in (
            ("weight", 0.0, 100.0),
            ("until", 1e-6, 1.0),
            ("target_kl", 1e-6, 10.0),
            ("share", 0.0, 1.0),
            ("risk", 0.0, 1.1),
            ("token_drop", 0.0, 1.0),
            ("teacher_share", 0.0, 0.2),
            ("warm_start", 0, 10),
            ("warm_start_steps", 1, 10**7),
            ("keep", 0, 10**7),
            ("replay", 1, 10**6),
            ("margin", 0.0, 100.0),
            ("temperature", 1e-3, 100.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ScenarioError(f"guidance.{name}", value, f"a number in [{low}, {high}]")

    @classmethod
    def make(cls, given: GuidanceConfig | Mapping[str, Any] | None) -> GuidanceConfig:
        """A configuration as it is, from a mapping, or the default.

        Raises:
            UnknownNameError: If a key is unknown.
        """
        if isinstance(given, cls):
            return given
        known = [field.name for field in fields(cls)]
        for key in dict(given or {}):  # type: ignore[arg-type]
            if key not in known:
                raise UnknownNameError("guidance setting", key, known)
        return cls(**dict(given or {}))  # type: ignore[arg-type]

    def left(self, done: float) -> float:
        """What is left of the guidance phase after a share ``done`` of the training: 1 to 0."""
        return max(0.0, 1.0 - done / self.until)


class Strength:
    """lambda_t: the weight of the distillation loss (``driving.md`` 4.5).

    Args:
        config: With schedule and first weight.
    """

    def __init__(self, config: GuidanceConfig) -> None:
        self.config = config
        self.held = config.weight

    def at(self, done: float) -> float:
        """The weight after a share ``done`` of the training."""
        c = self.config
        left = c.left(done)
        if c.schedule == "linear":
            return c.weight * left
        if left <= 0.0:
            return 0.0
        if c.schedule == "exp":
            return c.weight * math.exp(-math.log(100.0) * (1.0 - left))
        return c.weight if c.schedule == "constant" else self.held

    def saw(self, kl: float) -> None:
        """Hold the target KL: raise the weight when the student is farther away, else lower it."""
        factor = 1.5 if kl > 1.5 * self.config.target_kl else 1.0
        factor = 1 / 1.5 if kl < self.config.target_kl / 1.5 else factor
        self.held = min(max(self.held * factor, 1e-3), 10.0 * max(self.config.weight, 1e-3))


class Trust:
    """tau in [0, 1]: how far advice is believed, from two tests a rollout (``driving.md`` 4.5).

    1. validity: the moving average of the share of valid advice; below one half, tau halves.
    2. agreement advantage: steps where student and teacher chose alike, against the rest, by mean
       normalised advantage; more than one standard error below zero in three updates one after
       the other, tau halves; above zero, it grows by 1.25, up to 1.
    """

    LEAST = 50  # samples a side
    IN_A_ROW = 3

    def __init__(self) -> None:
        self.value = 1.0
        self.validity = 1.0
        self.agreement = 0.0
        self._worse = 0

    @property
    def off(self) -> bool:
        """Whether the teacher is no longer heard."""
        return self.value < OFF

    def state(self) -> list[float]:
        """All that is remembered."""
        return [self.value, self.validity, self.agreement, float(self._worse)]

    def restore(self, state: Sequence[float]) -> None:
        """Go on from :meth:`state`."""
        self.value, self.validity, self.agreement = state[:3]
        self._worse = int(state[3])

    def saw_validity(self, valid: int, asked: int) -> None:
        """Test 1, after the advice of a rollout.

        Args:
            valid: Answers that could be used.
            asked: All of them.
        """
        if asked:
            self.validity = 0.7 * self.validity + 0.3 * valid / asked
            if self.validity < 0.5:
                self.value /= 2

    def saw_advantages(self, advantages: NDArray[Any], alike: NDArray[np.bool_]) -> None:
        """Test 2, before an update.

        Args:
            advantages: Of the steps with advice, shape ``(N,)``.
            alike: Where the executed action was the teacher's choice.
        """
        yes, no = advantages[alike], advantages[~alike]
        self.agreement = float(alike.mean()) if len(alike) else 0.0
        if min(len(yes), len(no)) < self.LEAST:
            return
        scale = max(float(advantages.std()), 1e-8)
        gain = float(yes.mean() - no.mean()) / scale
        error = math.sqrt(float(yes.var()) / len(yes) + float(no.var()) / len(no)) / scale
        self._worse = self._worse + 1 if gain < -error else 0
        if self._worse >= self.IN_A_ROW:
            self.value, self._worse = self.value / 2, 0
        elif gain > 0:
            self.value = min(1.0, self.value * 1.25)
