"""A replay buffer that knows episodes: Monte-Carlo returns, n-step returns, rewards transformed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from hybridrl.agents.common.replay import HybridReplayBuffer, HybridSamples, Source
from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from hybridrl.datasets.offline import OfflineDataset

CUT_SHARE = 0.1  # of the future may be missing from a return that is called known


class EpisodeReplayBuffer(HybridReplayBuffer):
    """Adds what needs more than single rows; with the defaults it is its parent.

    Online transitions get their Monte-Carlo return when their episode ends and have ``-inf`` until
    then, never 0. The same holds near a time limit, where most of a return would be missing: rows
    with ``gamma^k > 0.1``, k the rows that are left, stay unknown.

    Args:
        *args: Of :class:`HybridReplayBuffer`.
        n_steps: Rewards that a sampled row sums before it bootstraps; sums end with the episode.
        gamma: Discount of sums and returns.
        with_returns: Keep Monte-Carlo returns.
        reward_scale: Rewards of both sources are multiplied by this before they are kept.
        reward_bias: And this is added.
        failure_reward: For sparse tasks, in the units of the environment: an episode in which
            every reward is this one counts as if it went on for ever (Cal-QL).
        **kwargs: Of :class:`HybridReplayBuffer`.

    Raises:
        ScenarioError: If a number is out of range.
    """

    def __init__(
        self,
        *args: Any,
        n_steps: int = 1,
        gamma: float = 0.99,
        with_returns: bool = False,
        reward_scale: float = 1.0,
        reward_bias: float = 0.0,
        failure_reward: float | None = None,
        **kwargs: Any,
    ) -> None:
        if n_steps < 1:
            raise ScenarioError("n_steps", n_steps, "a whole number from 1")
        if not 0.0 <= gamma <= 1.0 or (gamma == 1.0 and failure_reward is not None):
            raise ScenarioError("gamma", gamma, "a number from 0 to 1 (below 1 with failures)")
        self.n_steps, self.gamma, self.with_returns = n_steps, gamma, with_returns
        self.reward_scale, self.reward_bias = reward_scale, reward_bias
        self.failure_reward = failure_reward
        self._offline_last = np.zeros(0, bool)
        super().__init__(*args, **kwargs)

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Append one transition of every environment; episodes that end get their returns."""
        at = self.pos
        kept = self.reward_scale * np.asarray(reward) + self.reward_bias
        super().add(obs, next_obs, action, kept, done, infos)
        if self.with_returns:
            for env in np.flatnonzero(done):
                self._write_returns(int(env), at)

    def sample_rows(self, *args: Any, **kwargs: Any) -> tuple[Tensor, int]:
        """As the parent's.

        Raises:
            ScenarioError: If rows of several steps are wanted: only :meth:`sample` makes them.
        """
        if self.n_steps > 1:
            raise ScenarioError("n_steps", self.n_steps, "1: this agent works on single rows")
        return super().sample_rows(*args, **kwargs)

    def sample(  # type: ignore[override]
        self,
        batch_size: int,
        env: VecNormalize | None = None,
        source: Source = "mixed",
        offline_fraction: float | None = None,
        generator: np.random.Generator | None = None,
    ) -> HybridSamples:
        """As the parent's; with ``n_steps`` the discount of each row comes along, ``(B, 1)``."""
        if self.n_steps == 1:
            return super().sample(batch_size, env, source, offline_fraction, generator)
        index, n_offline = self.draw(batch_size, source, offline_fraction, generator)
        rows, discounts = self._summed(index)
        return self.unpacked(rows, n_offline, env)._replace(discounts=discounts)

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: without anything of the dataset."""
        return {**super().__getstate__(), "_offline_last": np.zeros(0, bool)}

    def _summed(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Rows whose reward is a sum over steps, with the last step's end, and their discounts."""
        layout = self.layout
        rows, here = self._rows[index], index
        reward = rows[:, layout.reward].clone()
        discount = torch.full_like(reward, self.gamma)
        last = rows
        for step in range(1, self.n_steps):
            going = ~self._final(here, last)
            here = torch.where(going, self._following(here), here)
            last = self._rows[here]
            reward += going * self.gamma**step * last[:, layout.reward]
            discount = torch.where(going, discount * self.gamma, discount)
        rows[:, layout.reward] = reward
        ahead = slice(layout.obs_size, 2 * layout.obs_size)
        rows[:, ahead] = last[:, ahead]
        ends = [layout.terminal, layout.timeout]
        rows[:, ends] = last[:, ends]
        return rows, discount.unsqueeze(1)

    def _final(self, index: Tensor, rows: Tensor) -> Tensor:
        """Whether nothing of the same episode stands after a row, ``(B,)``."""
        layout = self.layout
        final = (rows[:, layout.terminal] + rows[:, layout.timeout]) > 0
        slot = torch.div(index - self.n_offline, self.n_envs, rounding_mode="floor")
        final |= slot == (self.pos - 1) % self.buffer_size
        offline = index < self.n_offline
        if len(self._offline_last):
            marks = torch.from_numpy(self._offline_last).to(index.device)
            final |= offline & marks[index.clamp(max=self.n_offline - 1)]
        return final

    def _following(self, index: Tensor) -> Tensor:
        ring = self.buffer_size * self.n_envs
        online = self.n_offline + (index - self.n_offline + self.n_envs) % ring
        return torch.where(index < self.n_offline, index + 1, online)

    def _packed(self, dataset: OfflineDataset) -> NDArray[np.float32]:
        rows = super()._packed(dataset)
        last = np.zeros(len(rows), bool)
        last[dataset.ends - 1] = True
        self._offline_last = last
        rewards = self.reward_scale * dataset.rewards.astype(np.float64) + self.reward_bias
        rows[:, self.layout.reward] = rewards
        if self.with_returns:
            for start, end in zip(dataset.starts, dataset.ends, strict=True):
                ended = bool(dataset.terminations[end - 1])
                values = self._returns(rewards[start:end], ended)
                rows[start:end, self.layout.mc_return] = values
        return rows

    def _resize_offline(self, count: int) -> None:
        super()._resize_offline(count)
        if not count:
            self._offline_last = np.zeros(0, bool)

    def _write_returns(self, env: int, at: int) -> None:
        """Returns of the episode of an environment that ended in ring slot ``at``."""
        layout, count = self.layout, self.size()
        grid = self._ring.view(self.buffer_size, self.n_envs, layout.width)[:, env]
        # Slots from the newest back, as far as the ring reaches.
        slots = torch.from_numpy((at - np.arange(count)) % self.buffer_size).to(grid.device)
        ends = grid[slots[1:]][:, [layout.terminal, layout.timeout]].sum(dim=1)
        earlier = torch.nonzero(ends)
        length = int(earlier[0]) + 1 if len(earlier) else count
        episode = slots[:length].flip(0)
        rewards = grid[episode, layout.reward].cpu().numpy().astype(np.float64)
        values = self._returns(rewards, bool(grid[at, layout.terminal] > 0))
        grid[episode, layout.mc_return] = torch.from_numpy(values).to(grid)

    def _returns(self, rewards: NDArray[np.float64], terminated: bool) -> NDArray[np.float64]:
        failure = self.failure_reward
        if failure is not None:
            failure = self.reward_scale * failure + self.reward_bias
        return known_returns(rewards, self.gamma, terminated, failure)


def known_returns(
    rewards: NDArray[np.float64],
    gamma: float,
    terminated: bool,
    failure_reward: float | None = None,
) -> NDArray[np.float64]:
    """Discounted return from each row of an episode on, ``-inf`` where too much of it is missing.

    Args:
        rewards: ``(T,)``, oldest first.
        gamma: Discount.
        terminated: The task ended the episode; otherwise time or the data did.
        failure_reward: An episode of nothing but this reward has ``failure_reward / (1 - gamma)``.

    Returns:
        ``(T,)``; with ``k`` rows left of an episode that was cut off, known where
        ``gamma^k <= 0.1``.
    """
    if failure_reward is not None and bool((rewards <= failure_reward).all()):
        return np.full(len(rewards), failure_reward / (1.0 - gamma))
    returns = rewards.copy()
    span, share = 1, gamma
    while span < len(returns):  # sums over 1, 2, 4, ... rows
        returns[:-span] = returns[:-span] + share * returns[span:]
        span, share = 2 * span, share * share
    if not terminated:
        left = np.arange(len(returns), 0, -1)
        returns[gamma**left > CUT_SHARE] = -np.inf
    return returns
