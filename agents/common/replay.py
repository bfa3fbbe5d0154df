"""A replay buffer that mixes online transitions with a fixed offline dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from hybridrl.agents.common.rows import RowLayout
from hybridrl.planners.errors import ScenarioError, UnknownNameError

if TYPE_CHECKING:
    from hybridrl.datasets.offline import OfflineDataset

Source = Literal["mixed", "online", "offline"]
SOURCES = ("mixed", "online", "offline")


class HybridSamples(NamedTuple):
    """A batch; the first fields are those of Stable-Baselines3's ``ReplayBufferSamples``.

    Offline rows come first. Observations are ``(B, ...)`` or a dictionary of such tensors.
    """

    observations: Any
    actions: Tensor  # (B, A), in [-1, 1] where they are continuous
    next_observations: Any
    dones: Tensor  # (B, 1), 1 where the task ended the episode; 0 at a time limit
    rewards: Tensor  # (B, 1)
    discounts: Tensor | None = None
    n_offline: int = 0  # rows from the dataset
    mc_returns: Tensor | None = None  # (B, 1), -inf where the return is not known


class HybridReplayBuffer(ReplayBuffer):
    """Online ring and read-only offline part in one float32 matrix.

    The dataset is loaded once, never overwritten and not counted by ``pos``, ``full`` and
    ``size()``. Sampling uses a generator of its own, not NumPy's global one. Pickles hold the
    online part and the dataset's fingerprint; :meth:`attach_offline` brings the dataset back.

    Args:
        buffer_size: Online transitions, over all environments.
        observation_space: A ``Box`` or a ``Dict`` of them.
        action_space: Of the environment; dataset actions are rescaled with its bounds.
        device: Where the rows are kept.
        n_envs: Environments that are stepped side by side.
        optimize_memory_usage: Must be False, as rows hold both observations.
        handle_timeout_termination: Bootstrap at a time limit, as Stable-Baselines3 does.
        offline_dataset: Offline transitions, or ``None``.
        offline_fraction: Share of them in a mixed batch, 0 to 1.
        seed: Of the generator.

    Raises:
        ScenarioError: If an option or the dataset does not fit.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        offline_dataset: OfflineDataset | None = None,
        offline_fraction: float = 0.5,
        seed: int | None = None,
    ) -> None:
        if optimize_memory_usage:
            raise ScenarioError("optimize_memory_usage", True, "False: a row holds s and s'")
        BaseBuffer.__init__(self, buffer_size, observation_space, action_space, device, n_envs)
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.offline_fraction = require_fraction(offline_fraction)
        self.rng = np.random.default_rng(seed)
        self.layout = RowLayout(observation_space, self.action_dim)
        self.fingerprint: str | None = None
        self.n_offline = 0
        self._make_rows()
        if offline_dataset is not None:
            self.attach_offline(offline_dataset)

    def seed(self, seed: int | None) -> None:
        """Start the sampling generator anew."""
        self.rng = np.random.default_rng(seed)

    def attach_offline(self, dataset: OfflineDataset | None, allow_change: bool = False) -> None:
        """Load the offline part; an empty dataset is none.

        Args:
            dataset: Its actions are in the units of the action space.
            allow_change: Accept another dataset than the one that a restored buffer had.

        Raises:
            ScenarioError: If shapes differ from the spaces', or it is another dataset.
        """
        if dataset is None or not len(dataset):
            self._resize_offline(0)
            self.fingerprint = None
            return
        mark = dataset.fingerprint()
        if self.fingerprint not in (None, mark) and not allow_change:
            before = f"the dataset {self.fingerprint[:12]} of before"
            raise ScenarioError("offline_dataset", mark[:12], before)
        rows = self._packed(dataset)
        self._resize_offline(len(rows))
        self._rows[: len(rows)] = torch.from_numpy(rows).to(self.device)
        self.fingerprint = mark

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Append one transition of every environment."""
        layout, rows = self.layout, self._staging
        layout.write_observations(rows, obs, follows=False)
        layout.write_observations(rows, next_obs, follows=True)
        rows[:, layout.actions] = np.asarray(action).reshape(self.n_envs, -1)
        rows[:, layout.reward] = reward
        timeout = np.zeros(self.n_envs, np.float32)
        if self.handle_timeout_termination:
            timeout[:] = [bool(info.get("TimeLimit.truncated", False)) for info in infos]
        rows[:, layout.terminal] = done * (1.0 - timeout)
        rows[:, layout.timeout] = timeout
        start = self.pos * self.n_envs
        self._ring[start : start + self.n_envs] = torch.from_numpy(rows)
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0

    def sample(  # type: ignore[override]
        self,
        batch_size: int,
        env: VecNormalize | None = None,
        source: Source = "mixed",
        offline_fraction: float | None = None,
        generator: np.random.Generator | None = None,
    ) -> HybridSamples:
        """Draw a batch, uniformly within each source; offline rows come first.

        Args:
            batch_size: Rows.
            env: Normalises observations and rewards of both sources.
            source: ``mixed``, ``online`` or ``offline``. Where one side of a mixture is empty, the
                other fills the batch.
            offline_fraction: Share of offline rows in a mixture; the buffer's own by default.
            generator: Draws the rows; the buffer's own by default.

        Raises:
            ScenarioError: If there is nothing to draw from.
        """
        rows, n_offline = self.sample_rows(batch_size, source, offline_fraction, generator)
        return self.unpacked(rows, n_offline, env)

    def sample_rows(
        self,
        count: int,
        source: Source = "mixed",
        offline_fraction: float | None = None,
        generator: np.random.Generator | None = None,
    ) -> tuple[Tensor, int]:
        """Packed rows ``(count, width)`` and how many of them, the first ones, are offline."""
        index, n_offline = self.draw(count, source, offline_fraction, generator)
        return self._rows.index_select(0, index), n_offline

    def draw(
        self,
        count: int,
        source: Source = "mixed",
        offline_fraction: float | None = None,
        generator: np.random.Generator | None = None,
    ) -> tuple[Tensor, int]:
        """Indices ``(count,)`` of rows to sample, and how many of them are offline."""
        n_offline = self._offline_share(count, source, offline_fraction)
        rng = self.rng if generator is None else generator
        index = np.empty(count, np.int64)
        if n_offline:
            index[:n_offline] = rng.integers(self.n_offline, size=n_offline)
        if count > n_offline:
            online = rng.integers(self.size() * self.n_envs, size=count - n_offline)
            index[n_offline:] = self.n_offline + online
        chosen = torch.from_numpy(index)
        on_host = self._rows.device.type == "cpu"
        return chosen if on_host else chosen.to(self._rows.device), n_offline

    def unpacked(
        self, rows: Tensor, n_offline: int = 0, env: VecNormalize | None = None
    ) -> HybridSamples:
        """Name the parts of packed rows; they are views unless ``env`` normalises them."""
        batch = unpack(self.layout, rows, n_offline)
        if env is None:
            return batch
        scaled = env.normalize_reward(batch.rewards.cpu().numpy()).astype(np.float32)
        return batch._replace(
            observations=self._scaled_obs(batch.observations, env),
            next_observations=self._scaled_obs(batch.next_observations, env),
            rewards=torch.from_numpy(scaled).to(rows.device),
        )

    @property
    def offline_rows(self) -> Tensor:
        """Packed rows of the dataset, ``(n_offline, width)``."""
        return self._rows[: self.n_offline]

    @property
    def observations(self) -> Any:  # type: ignore[override]
        """Online observations, ``(buffer_size, n_envs, ...)``, as Stable-Baselines3 keeps them."""
        return self._views(self.layout.observations(self._ring))

    @property
    def next_observations(self) -> Any:  # type: ignore[override]
        """Online next observations, ``(buffer_size, n_envs, ...)``."""
        return self._views(self.layout.observations(self._ring, follows=True))

    @property
    def actions(self) -> NDArray[np.float32]:  # type: ignore[override]
        """Online actions, ``(buffer_size, n_envs, A)``."""
        return self._grid(self._ring[:, self.layout.actions])

    @property
    def rewards(self) -> NDArray[np.float32]:  # type: ignore[override]
        """Online rewards, ``(buffer_size, n_envs)``."""
        return self._grid(self._ring[:, self.layout.reward])

    @property
    def timeouts(self) -> NDArray[np.float32]:  # type: ignore[override]
        """1 where a time limit ended an online episode, ``(buffer_size, n_envs)``."""
        return self._grid(self._ring[:, self.layout.timeout])

    @property
    def dones(self) -> NDArray[np.float32]:  # type: ignore[override]
        """1 where an online episode ended, ``(buffer_size, n_envs)``."""
        ends = self._ring[:, self.layout.terminal] + self._ring[:, self.layout.timeout]
        return self._grid(ends.clamp(max=1.0))

    def export_state(self) -> dict[str, NDArray[Any]]:
        """The online part as plain arrays; the generator and the dataset are not among them."""
        filled = self.size() * self.n_envs
        return {
            "rows": self._ring[:filled].cpu().numpy(),
            "pos": np.array(self.pos),
            "full": np.array(self.full),
        }

    def import_state(self, state: Any) -> None:
        """Take what :meth:`export_state` gave.

        Raises:
            ScenarioError: If it is of a buffer of another shape.
        """
        rows = np.asarray(state["rows"], np.float32)
        pos, full = int(state["pos"]), bool(state["full"])
        expected = ((self.buffer_size if full else pos) * self.n_envs, self.layout.width)
        if rows.shape != expected or not 0 <= pos < self.buffer_size:
            raise ScenarioError("replay rows", rows.shape, f"{expected}, as this buffer has")
        self._ring[: len(rows)] = torch.from_numpy(rows)
        self.pos, self.full = pos, full

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: without the dataset."""
        hidden = ("_rows", "_ring", "_staging", "n_offline")
        state = {key: value for key, value in vars(self).items() if key not in hidden}
        return {**state, "_online": self.export_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore; the offline part is empty until :meth:`attach_offline`."""
        online = state.pop("_online")
        vars(self).update(state)
        self.n_offline = 0
        self._make_rows()
        self.import_state(online)

    def _make_rows(self) -> None:
        ring = self.buffer_size * self.n_envs
        width = self.layout.width
        # NumPy leaves zeroed memory untouched until it is written; torch does not.
        zeros = torch.from_numpy(np.zeros((self.n_offline + ring, width), np.float32))
        self._rows = zeros if self.device.type == "cpu" else zeros.to(self.device)
        self._ring = self._rows[self.n_offline :]
        self._staging = np.zeros((self.n_envs, width), np.float32)
        self._staging[:, self.layout.mc_return] = -np.inf

    def _resize_offline(self, count: int) -> None:
        if count != self.n_offline:
            online = self.export_state()
            self.n_offline = count
            self._make_rows()
            self.import_state(online)

    def _packed(self, dataset: OfflineDataset) -> NDArray[np.float32]:
        self._check_shapes(dataset)
        layout = self.layout
        rows = np.zeros((len(dataset), layout.width), np.float32)
        layout.write_observations(rows, dataset.observations, follows=False)
        layout.write_observations(rows, dataset.next_observations, follows=True)
        actions = np.asarray(dataset.actions, np.float32).reshape(len(rows), -1)
        if isinstance(self.action_space, spaces.Box):
            low, high = self.action_space.low.reshape(-1), self.action_space.high.reshape(-1)
            actions = np.clip(2.0 * (actions - low) / (high - low) - 1.0, -1.0, 1.0)
        rows[:, layout.actions] = actions
        rows[:, layout.reward] = dataset.rewards
        rows[:, layout.terminal] = dataset.terminations
        rows[:, layout.timeout] = dataset.truncations & ~dataset.terminations
        known = dataset.mc_returns
        rows[:, layout.mc_return] = -np.inf if known is None else known
        return rows

    def _check_shapes(self, dataset: OfflineDataset) -> None:
        """Raise a ScenarioError where the dataset's shapes are not those of the spaces."""
        given = dataset.observations
        if isinstance(given, dict) != self.layout.nested:
            expected = f"observations of {self.observation_space}"
            raise ScenarioError("offline_dataset", type(given).__name__, expected)
        parts = given if isinstance(given, dict) else {"": given}
        shapes = {key: array.shape[1:] or (1,) for key, array in parts.items()}
        if shapes != self.layout.shapes:
            expected = f"observations of shape {self.layout.shapes}"
            raise ScenarioError("offline_dataset", shapes, expected)
        size = int(np.prod(dataset.actions.shape[1:]))
        if size != self.action_dim:
            raise ScenarioError("offline_dataset", size, f"actions of {self.action_dim} numbers")

    def _offline_share(self, count: int, source: Source, fraction: float | None) -> int:
        if source not in SOURCES:
            raise UnknownNameError("source", source, SOURCES)
        if not (self.size() or self.n_offline):
            raise ScenarioError("replay buffer", "empty", "at least one transition or a dataset")
        if source != "mixed":
            empty = not (self.size() if source == "online" else self.n_offline)
            if empty:
                raise ScenarioError("source", source, "a source that holds transitions")
            return count if source == "offline" else 0
        if not self.n_offline:
            return 0
        if not self.size():
            return count
        share = self.offline_fraction if fraction is None else require_fraction(fraction)
        return round(share * count)

    def _scaled_obs(self, observations: Any, env: VecNormalize) -> Any:
        device = self._rows.device
        if isinstance(observations, dict):
            plain = {key: part.cpu().numpy() for key, part in observations.items()}
            scaled = env.normalize_obs(plain)
            return {
                key: torch.from_numpy(np.asarray(part, np.float32)).to(device)
                for key, part in scaled.items()  # type: ignore[union-attr]
            }
        scaled = env.normalize_obs(observations.cpu().numpy())
        return torch.from_numpy(np.asarray(scaled, np.float32)).to(device)

    def _grid(self, part: Tensor) -> NDArray[np.float32]:
        shape = (self.buffer_size, self.n_envs, *part.shape[1:])
        grid: NDArray[np.float32] = part.cpu().numpy().reshape(shape)
        return grid

    def _views(self, parts: Any) -> Any:
        if isinstance(parts, dict):
            return {key: self._grid(part) for key, part in parts.items()}
        return self._grid(parts)


def unpack(layout: RowLayout, rows: Tensor, n_offline: int = 0) -> HybridSamples:
    """Name the parts of ``(..., width)`` rows, the first ``n_offline`` of which are offline."""
    return HybridSamples(
        layout.observations(rows),
        rows[..., layout.actions],
        layout.observations(rows, follows=True),
        layout.column(rows, layout.terminal),
        layout.column(rows, layout.reward),
        None,
        n_offline,
        layout.column(rows, layout.mc_return),
    )


def require_fraction(value: Any) -> float:
    """The value itself.

    Raises:
        ScenarioError: If it is outside 0 to 1.
    """
    if not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise ScenarioError("offline_fraction", value, "a share from 0 to 1")
    return float(value)
