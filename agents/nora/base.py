"""What agents with a critic for every step share: environments, predictions and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import unwrap_vec_normalize

from hybridrl.agents.nora.files import read_agent, write_agent
from hybridrl.agents.nora.finite import FiniteCritic
from hybridrl.agents.nora.kernels import Numbers
from hybridrl.agents.nora.loop import horizon_of, wrapped
from hybridrl.agents.nora.regret import RegretLog, no_log
from hybridrl.agents.nora.rules import Rules
from hybridrl.agents.nora.vectors import VectorCritic
from hybridrl.datasets.sources import as_dataset
from hybridrl.datasets.steps import step_indices
from hybridrl.planners.errors import ScenarioError, UnknownNameError

POLICIES = ("auto", "MlpPolicy", "tabular", "linear")


class EpisodicAgent:
    """An agent whose critic is fitted between episodes of H steps.

    Args:
        policy: One of :data:`POLICIES`.
        rules: Of the agent.
        features: An array ``(S, A, d)``, or a function of vector observations.
        horizon: H; the environment's by default.
        optimal_value: Of the environment, for the regret log.
        offline_dataset: Data to begin with.
        seed: Of the choices.
        verbose: 1 prints.
        tensorboard_log: For Stable-Baselines3's logger.
    """

    def __init__(
        self,
        policy: str,
        rules: Rules,
        *,
        features: Any,
        horizon: int | None,
        optimal_value: float | None,
        offline_dataset: Any,
        seed: int | None,
        verbose: int,
        tensorboard_log: str | None,
    ) -> None:
        if policy not in POLICIES:
            raise UnknownNameError("policy", policy, POLICIES)
        self.rules, self.policy_name = rules, policy
        self.features, self.horizon = features, horizon
        self.optimal_value, self.offline_dataset = optimal_value, as_dataset(offline_dataset)
        self.seed, self.verbose, self.tensorboard_log = seed, verbose, tensorboard_log
        self.device = torch.device("cpu")
        self.rng = np.random.default_rng(seed)
        self.num_timesteps, self.episodes = 0, 0
        self.log: RegretLog = no_log()
        self.env: Any = None
        self.critic: Any = None
        self.observation_space: Any = None
        self.action_space: Any = None
        self._numbers: Numbers | None = None
        self._planned = 0
        self._stats_window_size = 100
        self._last_obs: Any = None
        self._logger: Any = None

    @property
    def numbers(self) -> Numbers:
        """The rules for the problem at hand."""
        if self._numbers is None:
            self.plan_for(1000)
        assert self._numbers is not None
        return self._numbers

    @property
    def finite(self) -> bool:
        """Whether observations are states of a finite set."""
        return isinstance(self.critic, FiniteCritic)

    @property
    def steps_of_episode(self) -> int:
        """H."""
        return int(self.critic.shape[0])

    def add(self, step: int, observation: Any, action: int, reward: float, following: Any) -> None:
        """Learn from one transition, wherever it is from.

        Args:
            step: Of the episode, from 0 to H - 1.
            observation: A state, or a vector.
            action: From 0 to A - 1.
            reward: What it paid.
            following: The next observation.
        """
        self.critic.add(self.numbers, step, observation, action, reward, following)

    def plan_for(self, episodes: int) -> None:
        """Set (1) and (6) for so many episodes more."""
        self._planned = self.episodes + episodes
        critic = self.critic
        self._numbers = self.rules.numbers(critic.shape, critic.dim, critic.linear, self._planned)

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[np.int64], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[Any, tuple[NDArray[np.int64], ...]]:
        """Actions for one observation or a batch.

        The policy depends on the step of the episode, which is its ``state``: hand the one that a
        call returned to the next call, as with recurrent policies of Stable-Baselines3.

        Args:
            observation: One, or a batch of them.
            state: Steps of the episodes so far, as the last call gave them; ``None`` where they
                begin.
            episode_start: ``(n,)`` flags of episodes that begin with this observation.
            deterministic: The most probable action.

        Returns:
            Actions and the next ``state``.
        """
        rows, single = self._batch(observation)
        steps = np.zeros(len(rows), np.int64) if state is None else state[0].copy()
        if episode_start is not None:
            steps[np.asarray(episode_start, np.bool_)] = 0
        actions = np.zeros(len(rows), np.int64)
        for i, seen in enumerate(rows):
            chance = self.critic.probabilities(self.numbers, int(steps[i]), seen)
            drawn = np.searchsorted(chance.cumsum(), self.rng.random() * chance.sum(), "right")
            actions[i] = chance.argmax() if deterministic else min(drawn, len(chance) - 1)
        return (actions[0] if single else actions), ((steps + 1) % self.steps_of_episode,)

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """Take an environment; another one must have the same spaces and horizon.

        Args:
            env: Environment, id, or vector of environments.
            force_reset: Begin new episodes in it.

        Raises:
            ScenarioError: If its actions are not discrete or the critic is of another size.
        """
        self.env = wrapped(env)
        self.observation_space = self.env.observation_space
        self.action_space = self.env.action_space
        if force_reset:
            self._last_obs = None
        if not isinstance(self.action_space, spaces.Discrete):
            raise ScenarioError("action space", self.action_space, "Discrete actions")
        horizon = horizon_of(self.env) if self.horizon is None else self.horizon
        n_actions = int(self.action_space.n)
        if isinstance(self.observation_space, spaces.Discrete):
            self.build(horizon, int(self.observation_space.n), n_actions)
        else:
            self._build_vectors(horizon, n_actions)

    def get_env(self) -> Any:
        """The vector environment."""
        return self.env

    def get_vec_normalize_env(self) -> Any:
        """The wrapper that normalises, where there is one; callbacks ask for it."""
        return unwrap_vec_normalize(self.env)

    @property
    def logger(self) -> Any:
        """Stable-Baselines3's logger."""
        return self._logger

    def set_logger(self, logger: Any) -> None:
        """Use another logger."""
        self._logger = logger

    def build(self, horizon: int, n_states: int, n_actions: int) -> None:
        """Make the critic of a finite state space, unless there is one of that size.

        Raises:
            ScenarioError: If the features do not fit, or there is one of another size.
        """
        if callable(self.features):
            raise ScenarioError("features", self.features, "an array (S, A, d) for finite states")
        if self.policy_name == "linear" and self.features is None:
            raise ScenarioError("features", None, "an array (S, A, d) for policy='linear'")
        phi = None if self.policy_name == "tabular" else self.features
        self._keep(FiniteCritic(horizon, n_states, n_actions, phi, self.rules.ridge))

    def save(self, path: str | Path) -> None:
        """Write rules and everything that was learned; functions and datasets are not saved."""
        description = {
            "agent": type(self).__name__,
            "policy": self.policy_name,
            "rules": asdict(self.rules),
            "shape": list(self.critic.shape),
            "vector": 0 if self.finite else int(self.critic.weights.shape[-1]),
            "counters": [self.num_timesteps, self.episodes, self._planned],
            "seed": self.seed,
            "generator": self.rng.bit_generator.state,
        }
        write_agent(path, self.critic.arrays(), description)

    @classmethod
    def load(cls, path: str | Path, env: Any = None, device: str = "cpu", **kwargs: Any) -> Self:
        """Read what :meth:`save` wrote, without unpickling.

        Args:
            path: Of the file.
            env: To go on learning in.
            device: For the signature of Stable-Baselines3.
            **kwargs: More arguments of the constructor, as a ``features`` function.

        Raises:
            ScenarioError: If the file is missing, damaged or of another agent.
        """
        found, arrays = read_agent(path, cls.__name__)
        phi = arrays.get("features")
        if phi is not None and phi.shape[-1]:
            kwargs.setdefault("features", phi)
        agent = cls(found["policy"], seed=found["seed"], **{**found["rules"], **kwargs})
        horizon, n_states, n_actions = found["shape"]
        size, ridge = found["vector"], agent.rules.ridge
        if size:
            agent.critic = VectorCritic(horizon, size, n_actions, agent.features, ridge)
        else:
            agent.build(horizon, n_states, n_actions)
        agent.critic.load(arrays)
        agent.num_timesteps, agent.episodes, planned = found["counters"]
        agent.plan_for(planned - agent.episodes)
        agent.rng.bit_generator.state = found["generator"]
        if env is not None:
            agent.set_env(env)
        return agent

    def get_parameters(self) -> dict[str, Any]:
        """Arrays as tensors, in the form of Stable-Baselines3."""
        tensors = {name: torch.tensor(array) for name, array in self.critic.arrays().items()}
        return {"critic": tensors}

    def set_parameters(
        self, parameters: Mapping[str, Any], exact_match: bool = True, device: Any = "cpu"
    ) -> None:
        """Take what :meth:`get_parameters` gave."""
        self.critic.load({name: t.cpu().numpy() for name, t in parameters["critic"].items()})

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return [], []

    def _build_vectors(self, horizon: int, n_actions: int) -> None:
        space = self.observation_space
        if self.policy_name == "tabular" or not isinstance(space, spaces.Box):
            raise ScenarioError("observation space", space, "Discrete, or a Box with 'linear'")
        size = int(np.prod(space.shape))
        if callable(self.features):
            size = np.asarray(self.features(np.zeros(space.shape))).size
        self._keep(VectorCritic(horizon, size, n_actions, self.features, self.rules.ridge))

    def _keep(self, critic: Any) -> None:
        """Take a new critic and teach it the dataset, or keep an equal old one."""
        old = self.critic
        if old is not None:
            if (old.shape, old.dim) != (critic.shape, critic.dim):
                raise ScenarioError("critic", critic.shape, f"shape {old.shape}, as it has now")
            return
        self.critic = critic
        data = self.offline_dataset
        if data is None:
            return
        steps = step_indices(data)
        if len(steps) and steps.max() >= self.steps_of_episode:
            allowed = f"episodes of {self.steps_of_episode} steps at most"
            raise ScenarioError("offline_dataset", int(steps.max()) + 1, allowed)
        before, after = np.asarray(data.observations), np.asarray(data.next_observations)
        for i, step in enumerate(steps):
            action, reward = int(data.actions[i]), float(data.rewards[i])
            self.add(int(step), before[i], action, reward, after[i])

    def _batch(self, observation: Any) -> tuple[Any, bool]:
        given = np.asarray(observation)
        space = self.observation_space
        alone = 0 if self.finite else 1 if space is None else len(space.shape)
        single = given.ndim == alone
        return (given[None] if single else given), single
