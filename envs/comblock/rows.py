"""N locks side by side, without Gymnasium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from hybridrl.envs.comblock import kernel
from hybridrl.envs.comblock.images import SHAPE, image_bank
from hybridrl.envs.comblock.lock import DEAD, N_LATENT, LockOptions, draw_codes, hadamard_size
from hybridrl.planners.errors import ScenarioError

ImageSource = Callable[[int, np.random.Generator, str], NDArray[np.uint8]]


class LockRows:
    """States, random streams and observations of N locks with the same codes.

    Args:
        count: N.
        options: Of the lock.
        image_source: For ``obs_kind="image"``: draws an image ``(3, 32, 32)`` from class id,
            generator and split [default: our own textures].
    """

    def __init__(
        self, count: int, options: LockOptions, image_source: ImageSource | None = None
    ) -> None:
        self.options, self.count = options, count
        self.codes = draw_codes(options.horizon, options.n_actions, options.lock_seed)
        self.latent, self.steps, self.depth = (np.zeros(count, np.int64) for _ in range(3))
        self.rewards = np.zeros(count)
        self.streams = np.zeros((count, 4), np.uint64)
        self._chosen = np.zeros(count, np.int64)
        self._shown = np.zeros(count, np.int64)
        self._all = np.arange(count)
        self._bank: NDArray[np.uint8] | None = None
        self._instances = 1
        if options.obs_kind == "hadamard":
            size = hadamard_size(options.horizon)
            self._rotated = np.zeros((count, size), np.float32)
        elif options.obs_kind == "image":
            classes = N_LATENT * (options.horizon + 1)
            bank = image_bank(classes, options.split, image_source)
            self._instances = bank.shape[1]
            self._bank = bank.reshape(-1, *SHAPE)

    @property
    def observations(self) -> NDArray[Any]:
        """What every row shows now: ``(N, D)``, ``(N,)`` or ``(N, 3, 32, 32)``; a copy."""
        if self.options.obs_kind == "hadamard":
            return self._rotated.copy()
        return self._shown.copy() if self._bank is None else self._bank[self._shown]

    @property
    def ended(self) -> bool:
        """Whether the episodes, which all began together, are over."""
        return bool(self.steps[0] >= self.options.horizon)

    def seed(self, row: int, generator: np.random.Generator) -> None:
        """Seed a row's stream with four words of a generator."""
        self.streams[row] = generator.integers(0, 2**64, 4, dtype=np.uint64)

    def begin(self) -> None:
        """Begin an episode in every row."""
        kernel.begin(self._all, self.streams, self.latent, self.steps, self.depth)
        self._observe()

    def step(self, actions: NDArray[Any]) -> None:
        """One step of every row.

        Args:
            actions: ``(N,)`` latent actions, or ``(N, A)`` numbers where they are continuous.

        Raises:
            ScenarioError: If an action does not exist or is not finite.
        """
        o = self.options
        if o.action_kind == "continuous":
            wanted = np.ascontiguousarray(actions, np.float64).reshape(self.count, o.n_actions)
            if not np.isfinite(wanted).all():
                raise ScenarioError("action", wanted[~np.isfinite(wanted)][0], "finite numbers")
            kernel.latent_actions(wanted, o.temperature, self.streams, self._chosen)
        else:
            self._chosen[:] = actions
            if self._chosen.min() < 0 or self._chosen.max() >= o.n_actions:
                raise ScenarioError("action", actions, f"whole numbers from 0 to {o.n_actions - 1}")
        kernel.advance(
            self._chosen, self.codes, o.p_switch, o.p_anti, o.anti_reward,
            o.anti_mode == "terminal", self.streams, self.latent, self.steps, self.depth,
            self.rewards,
        )  # fmt: skip
        self._observe()

    def outcomes(self) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which rows opened the lock, and ``open`` or ``failed`` for each."""
        opened = self.latent != DEAD
        return opened, np.where(opened, "open", "failed").astype(object)

    def save(self) -> dict[str, Any]:
        """The whole state as arrays."""
        return {name: array.copy() for name, array in self._state().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`save` was called, to the last bit.

        Raises:
            ScenarioError: If it is the state of other locks.
        """
        own = self._state()
        if not np.array_equal(state["codes"], self.codes):
            raise ScenarioError("codes", state["codes"], "those of this lock: give its lock_seed")
        for name, array in own.items():
            array[...] = state[name]

    def _observe(self) -> None:
        o = self.options
        if o.obs_kind == "hadamard":
            kernel.observe_rotated(
                self._all, self.latent, self.steps, o.horizon + 3, o.noise, self.streams,
                self._rotated,
            )  # fmt: skip
        else:
            kernel.observe_instances(
                self._all, self.latent, self.steps, self._instances, self.streams, self._shown
            )

    def _state(self) -> dict[str, NDArray[Any]]:
        names = ("codes", "latent", "steps", "depth", "streams", "rewards", "_shown")
        arrays = {name: getattr(self, name) for name in names}
        return arrays | ({"_rotated": self._rotated} if hasattr(self, "_rotated") else {})


def lock_spaces(options: LockOptions) -> tuple[Space[Any], Space[Any]]:
    """Observation and action space of a lock."""
    observations: dict[str, Space[Any]] = {
        "hadamard": Box(-np.inf, np.inf, (hadamard_size(options.horizon),), np.float32),
        "latent": Discrete(N_LATENT * (options.horizon + 1)),
        "image": Box(0, 255, SHAPE, np.uint8),
    }
    actions: dict[str, Space[Any]] = {
        "discrete": Discrete(options.n_actions),
        "continuous": Box(-1.0, 1.0, (options.n_actions,), np.float32),
    }
    return observations[options.obs_kind], actions[options.action_kind]
