"""Hy-Q in its deep, discrete form, as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from typing import Any

from stable_baselines3 import DQN
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.dqn.policies import DQNPolicy

from hybridrl.agents.common.hybrid import HybridOffPolicyMixin


class HyQ(HybridOffPolicyMixin, DQN):
    """Fitted Q iteration on the union of both data: DQN whose batches are half offline.

    Each update regresses Q on ``r + gamma max_a' Q'(s', a')`` over rows of the dataset and of the
    online buffer together (Song et al., 2022, arXiv 2210.06718, Algorithm 1, with a target network
    for the last fit); actions are greedy, with a little uniform exploration in place of the single
    uniform action of the paper's roll-in. There is neither a bonus nor pessimism.

    Args:
        policy: ``MlpPolicy`` or a class.
        env: With discrete actions.
        learning_rate: Of Q.
        buffer_size: Online transitions, beside the dataset.
        learning_starts: Online transitions before the first update.
        batch_size: Rows of an update, of both kinds together.
        tau: Share of the target's update.
        gamma: Discount.
        train_freq: Steps of every environment between updates.
        gradient_steps: Updates each time.
        target_update_interval: Steps between updates of the target.
        exploration_fraction: Share of the training over which exploration falls.
        exploration_initial_eps: Share of uniform actions at the start.
        exploration_final_eps: And after that.
        offline_dataset: Anything that ``hybridrl.datasets.sources.as_dataset`` reads; ``None`` is
            Stable-Baselines3's DQN.
        offline_fraction: Share of offline rows in a batch.
        **kwargs: Of Stable-Baselines3's DQN.

    Raises:
        ScenarioError: If the dataset does not fit the environment.
    """

    policy: Any
    actor: Any = None  # there is none: actions are those of Q

    def __init__(
        self,
        policy: str | type[DQNPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 1e-3,
        buffer_size: int = 200_000,
        learning_starts: int = 500,
        batch_size: int = 256,
        tau: float = 1.0,
        gamma: float = 0.99,
        train_freq: int = 1,
        gradient_steps: int = 1,
        target_update_interval: int = 1000,
        exploration_fraction: float = 0.1,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        *,
        offline_dataset: Any = None,
        offline_fraction: float = 0.5,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            target_update_interval=target_update_interval,
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            offline_dataset=offline_dataset,
            offline_fraction=offline_fraction,
            _init_setup_model=_init_setup_model,
            **kwargs,
        )
