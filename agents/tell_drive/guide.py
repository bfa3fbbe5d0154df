"""Asks the teacher about what the student meets, and writes the advice beside the observations."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from hybridrl.agents.tell_drive.guidance import GuidanceConfig
from hybridrl.agents.tell_drive.observation import ADVICE, AGE, VALID
from hybridrl.agents.tell_drive.teachers.advice import ADVICE_SIZE, Teacher
from hybridrl.agents.tell_drive.teachers.base import advice_rows
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.envs.driving.scene import ACTION_RISK_AT, AVAILABLE_AT, RISK_AT, SCENE_SIZE
from hybridrl.planners.errors import ScenarioError

CRITICAL, HIGH = 0.8, 0.5
_EXPOSE = "a driving environment with observation='dict' and expose_scene=True"


def scenes_of(env: VecEnv) -> NDArray[np.float32]:
    """The scene vectors of every environment, shape ``(B, 48)``.

    Raises:
        ScenarioError: If an environment shows none.
    """
    try:
        arrays = env.get_attr("arrays")
    except AttributeError as error:
        raise ScenarioError("env", str(error), _EXPOSE) from None
    if not all(one.options.expose_scene for one in arrays[:1]):
        raise ScenarioError("expose_scene", False, _EXPOSE)
    if len(arrays) > 1 and arrays[0] is not arrays[1]:
        return np.concatenate([one.scenes for one in arrays])
    made: NDArray[np.float32] = arrays[0].scenes.copy()
    return made


def expose(env: VecEnv, wanted: bool) -> None:
    """Have the environments make scenes, or save that time when nobody is asked any more."""
    arrays = env.get_attr("arrays")
    for one in arrays[:1] if arrays[0] is arrays[-1] else arrays:
        if hasattr(one, "expose"):
            one.expose(wanted)


def unsafe(rows: NDArray[np.float32], scenes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which advice the forecast calls critical while another action is safe (``driving.md`` 4.5).

    Args:
        rows: Advice, shape ``(N, 8)``.
        scenes: Shape ``(N, 48)``.
    """
    risks = np.asarray(scenes)[:, ACTION_RISK_AT : ACTION_RISK_AT + len(ACTIONS)]
    bits = np.rint(np.asarray(scenes)[:, AVAILABLE_AT] * 31.0).astype(np.int64)
    free = (bits[:, None] >> np.arange(len(ACTIONS))) & 1 > 0
    best = rows[:, : len(ACTIONS)].argmax(axis=1)
    advised = np.take_along_axis(risks, best[:, None], axis=1)[:, 0]
    others = np.where(free, risks, np.inf)
    np.put_along_axis(others, best[:, None], np.inf, axis=1)
    dangerous: NDArray[np.bool_] = (advised >= CRITICAL) & (others.min(axis=1) < HIGH)
    return dangerous & (rows[:, VALID] > 0)


class Guide:
    """Chooses states, asks about them, filters the answers, and counts.

    Teachers that need the simulator, and those whose advice is acted on or shown to the student,
    are asked at every step; all others after the rollout, in one batch.

    Args:
        teacher: Who is asked.
        config: Which states are.
        seed: Of the choice.

    Attributes:
        live: Advice is acted on or shown to the student, so it is needed at every step.
        hidden: Share of the advice that is not shown (its age is set to 1).
        asked: States of this rollout that were asked about.
        valid: Answers among them that can be used.
        seconds: That this took.
    """

    def __init__(self, teacher: Teacher, config: GuidanceConfig, seed: int | None) -> None:
        self.teacher = teacher
        self.config = config
        self.live = False
        self.hidden = 0.0
        self.steps = 0
        self._rng = np.random.default_rng(seed)
        self._scenes: list[NDArray[np.float32]] = []
        self._rows: list[NDArray[np.float32]] = []
        self.reset()

    def choices(self) -> str:
        """State of the generator that chooses, as text."""
        return json.dumps(self._rng.bit_generator.state)

    def choose_on(self, state: str) -> None:
        """Go on from :meth:`choices`."""
        self._rng.bit_generator.state = json.loads(state)

    def reset(self, steps: int = 0) -> None:
        """Begin a rollout of so many steps."""
        self.steps = steps
        self._scenes.clear()
        self._rows.clear()
        self.asked = self.valid = 0
        self.seconds = 0.0

    @property
    def now(self) -> bool:
        """Whether the teacher is asked at every step."""
        return self.live or hasattr(self.teacher, "rows_in")

    def see(self, env: VecEnv, observations: Any) -> None:
        """One step: keep the scenes, and where it is needed ask at once.

        Args:
            env: As it stands before the step.
            observations: Of it; the advice slot is written when advice is live.
        """
        if len(self._scenes) >= self.steps:
            return
        scenes = scenes_of(env)
        self._scenes.append(scenes)
        if self.now:
            rows = self._ask(scenes, env)
            rows[self._rng.random(len(rows)) < self.hidden, AGE] = 1.0
            self._rows.append(rows)
            if self.live:
                observations[ADVICE][:] = rows

    def write(self, buffer: DictRolloutBuffer) -> None:
        """Put the advice of the whole rollout into the buffer's observations."""
        steps = self.steps
        if not self.now:
            scenes = np.concatenate(self._scenes[:steps])
            self._rows = list(self._ask(scenes).reshape(steps, -1, ADVICE_SIZE))
        buffer.observations[ADVICE][:] = np.stack(self._rows[:steps])

    def choose(self, scenes: NDArray[np.float32]) -> NDArray[np.int64]:
        """Which states are asked about: all with risk and a share of the others (3.8)."""
        if scenes.shape[1:] != (SCENE_SIZE,):
            raise ScenarioError("scene", scenes.shape, f"shape (N, {SCENE_SIZE})")
        drawn = self._rng.random(len(scenes)) < self.config.share
        return np.flatnonzero(drawn | (scenes[:, RISK_AT] >= self.config.risk))

    def _ask(self, scenes: NDArray[np.float32], env: VecEnv | None = None) -> NDArray[np.float32]:
        began = time.perf_counter()
        chosen = self.choose(scenes)
        rows = np.zeros((len(scenes), ADVICE_SIZE), np.float32)
        if len(chosen):
            inside = getattr(self.teacher, "rows_in", None)
            if inside is not None and env is not None:
                said = inside(env.get_attr("arrays"), chosen)
            else:
                said = advice_rows(self.teacher, scenes[chosen])
            if self.config.filter:
                said = np.where(unsafe(said, scenes[chosen])[:, None], np.float32(0), said)
            rows[chosen] = said
            self.asked += len(chosen)
            self.valid += int((said[:, VALID] > 0).sum())
        self.seconds += time.perf_counter() - began
        return rows


class Watching(BaseCallback):
    """Shows the guide every state of a rollout, beside the callback that was given.

    Args:
        inner: The callback of the training, already set up.
        guide: Is shown each state.
        env: The training environment.
        steps: Of a rollout.
    """

    def __init__(self, inner: BaseCallback, guide: Guide, env: VecEnv, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.inner = inner
        self.guide = guide
        self.env = env
        self.model = inner.model
        self.parent = inner.parent

    def on_rollout_start(self) -> None:
        """The state before the first step."""
        self.inner.on_rollout_start()
        self.guide.reset(self.steps)
        self.guide.see(self.env, self.model._last_obs)

    def on_step(self) -> bool:
        """The state after a step, which is the one before the next."""
        go_on = self.inner.on_step()
        self.guide.see(self.env, self.locals["new_obs"])
        return go_on

    def on_rollout_end(self) -> None:
        """Hand it on."""
        self.inner.on_rollout_end()

    def update_locals(self, locals_: dict[str, Any]) -> None:
        """Keep the loop's variables, here and inside."""
        self.locals = locals_
        self.inner.update_locals(locals_)

    def _on_step(self) -> bool:
        return True
