"""``hybridrl/CombLock-v0``: a combination lock, single and as a native vector."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from hybridrl.envs.comblock.lock import LockOptions
from hybridrl.envs.comblock.rows import ImageSource, LockRows, lock_spaces
from hybridrl.envs.rows_vector import RowsVectorEnv

SIZE = 96  # pixels a step and state of a picture


class CombLockEnv(gym.Env[Any, Any]):
    """Find the one action of ten at every step, or earn next to nothing.

    Args:
        render_mode: ``rgb_array`` or ``None``.
        image_source: For ``obs_kind="image"``: draws an image ``(3, 32, 32)`` of ``uint8`` from
            class id, generator and split.
        **options: Fields of :class:`~hybridrl.envs.comblock.lock.LockOptions`.

    Raises:
        UnknownNameError: If a keyword, kind or mode is unknown.
        ScenarioError: If a value is out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        *,
        render_mode: str | None = None,
        image_source: ImageSource | None = None,
        **options: Any,
    ) -> None:
        self.rows = LockRows(1, LockOptions.from_keywords(options), image_source)
        self.observation_space, self.action_space = lock_spaces(self.rows.options)
        self.render_mode = render_mode
        self._began = False

    @property
    def horizon(self) -> int:
        """Steps of every episode."""
        return self.rows.options.horizon

    @property
    def codes(self) -> NDArray[np.int64]:
        """The secret: correct actions of both good states, ``(2, H)``. Not for agents."""
        return self.rows.codes.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the codes stay. No option is known."""
        super().reset(seed=seed)
        if seed is not None or not self._began:
            self.rows.seed(0, self.np_random)
        self.rows.begin()
        self._began = True
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Args:
            action: From 0 to A - 1, or A numbers whose softmax is the distribution of the action;
                they are not clipped.

        Returns:
            Observation, reward, whether the H steps are over (a real end: nothing follows), never
            truncated, and info: ``step``, ``latent`` and ``is_good``, at the end ``is_success``,
            ``outcome`` (``open`` or ``failed``) and ``depth`` (correct actions).

        Raises:
            ResetNeeded: If the episode is over or has not begun.
            ScenarioError: If the action does not exist or is not finite.
        """
        if not self._began or self.rows.ended:
            raise ResetNeeded("the episode is over or has not begun: call reset()")
        self.rows.step(np.asarray(action)[None])
        ended, info = self.rows.ended, self._info()
        if ended:
            opened, outcome = self.rows.outcomes()
            info["is_success"], info["outcome"] = bool(opened[0]), str(outcome[0])
            info["depth"] = int(self.rows.depth[0])
        return self._observation(), float(self.rows.rewards[0]), ended, False, info

    def get_state(self) -> dict[str, Any]:
        """State, stream and generator: arrays and JSON-able values."""
        return {
            **self.rows.save(),
            "began": self._began,
            "generator": self.np_random.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit."""
        self.rows.restore(state)
        self._began = bool(state["began"])
        self.np_random.bit_generator.state = state["generator"]

    def render(self) -> NDArray[np.uint8] | None:
        """The three states (rows) over the steps (columns), with the present one filled."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        from PIL import Image, ImageDraw

        cell = max(8, SIZE * 6 // (self.horizon + 1) // 2)
        picture = Image.new("RGB", (cell * (self.horizon + 1), cell * 3), "white")
        draw = ImageDraw.Draw(picture)
        for h in range(self.horizon + 1):
            for z, colour in enumerate(((77, 153, 77), (77, 153, 77), (204, 77, 77))):
                box = [h * cell + 2, z * cell + 2, (h + 1) * cell - 3, (z + 1) * cell - 3]
                here = self.rows.steps[0] == h and self.rows.latent[0] == z
                draw.ellipse(box, outline=colour, fill=colour if here else None)
        return np.array(picture, np.uint8)

    def _observation(self) -> Any:
        seen = self.rows.observations[0]
        return seen if isinstance(seen, np.ndarray) else np.int64(seen)

    def _info(self) -> dict[str, Any]:
        z = int(self.rows.latent[0])
        return {"step": int(self.rows.steps[0]), "latent": z, "is_good": z < 2}


class CombLockVectorEnv(RowsVectorEnv):
    """N locks with the same codes in compiled calls; all episodes begin and end together.

    Row ``i`` equals :class:`CombLockEnv` with the same seed bit for bit.

    Args:
        num_envs: N.
        render_mode: Only ``None``.
        image_source: As of :class:`CombLockEnv`.
        **options: Fields of :class:`~hybridrl.envs.comblock.lock.LockOptions`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        render_mode: str | None = None,
        image_source: ImageSource | None = None,
        **options: Any,
    ) -> None:
        chosen = LockOptions.from_keywords(options)
        super().__init__(num_envs, *lock_spaces(chosen), render_mode)
        self.rows = LockRows(num_envs, chosen, image_source)
        self._began = False
        self._never, self._always = np.zeros(num_envs, np.bool_), np.ones(num_envs, np.bool_)

    @property
    def horizon(self) -> int:
        """Steps of every episode."""
        return self.rows.options.horizon

    @property
    def codes(self) -> NDArray[np.int64]:
        """The secret: correct actions of both good states, ``(2, H)``. Not for agents."""
        return self.rows.codes.copy()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin N episodes.

        Args:
            seed: Of the first row; the others count up from it, or one each.
            options: None are known.

        Raises:
            ScenarioError: If there are not N seeds.
        """
        for i, value in enumerate(self._seed_rows(seed)):
            if value is not None or not self._began:
                self.rows.seed(i, self._rngs[i])
        self._began = True
        self.rows.begin()
        return self.rows.observations, self._info()

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One step of every row; at the end of the episodes all begin anew within the step."""
        if not self._began:
            raise ResetNeeded("the episodes have not begun: call reset()")
        self.rows.step(np.asarray(actions))
        rewards = self.rows.rewards.copy()
        if not self.rows.ended:
            return self.rows.observations, rewards, self._never, self._never, self._info()
        info = self._final()
        self.rows.begin()
        return self.rows.observations, rewards, self._always, self._never, info | self._info()

    def get_state(self) -> dict[str, Any]:
        """States, streams and generators: arrays and JSON-able values."""
        generators = self._generators_state()
        return {**self.rows.save(), "began": self._began, "generators": generators}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`get_state` was called, to the last bit."""
        self.rows.restore(state)
        self._began = bool(state["began"])
        self._restore_generators(state["generators"])

    def _info(self) -> dict[str, Any]:
        z = self.rows.latent.copy()
        return {"step": self.rows.steps.copy(), "latent": z, "is_good": z < 2}

    def _final(self) -> dict[str, Any]:
        """The ends of the finished episodes."""
        opened, outcome = self.rows.outcomes()
        facts = {"is_success": opened, "outcome": outcome, "depth": self.rows.depth.copy()}
        return self._endings(self._always, self.rows.observations, facts)
