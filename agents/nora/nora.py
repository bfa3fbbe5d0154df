"""NORA: no-regret optimistic actor-critic with rare switches, for tables and linear features."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from hybridrl.agents.nora import kernels
from hybridrl.agents.nora.base import EpisodicAgent
from hybridrl.agents.nora.formulas import Floats
from hybridrl.agents.nora.kernels import World
from hybridrl.agents.nora.loop import collect
from hybridrl.agents.nora.regret import RegretLog
from hybridrl.agents.nora.rules import Rules
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.envs.comblock.mdp import TabularMDP
from hybridrl.planners.errors import ScenarioError


class NORA(EpisodicAgent):
    """Optimistic actor-critic with regret guarantees (arXiv 2505.03710, Algorithm 2).

    Before an episode: if the data doubled where it counts, fit an optimistic critic of Q* to all of
    it and forget the actor; then raise the actor's logits by ``eta`` times the critic; then act.
    Offline data are data like any other (hybrid); with ``optimism=0`` there is no bonus at all, and
    what the offline data do not cover stays unknown. ``target="Qpi"``, ``reset="none"`` and
    ``switch="episode"`` make it DOUHUA, Algorithm 1.

    Args:
        policy: ``tabular`` for discrete observations, ``linear`` for features of them or for
            vectors; ``auto`` (or ``MlpPolicy``) is ``linear`` where there are features or
            vectors.
        env: Episodes of at most H steps and discrete actions: an environment, its id or a vector
            of environments. A known :class:`~hybridrl.envs.comblock.mdp.TabularMDP` is for
            :meth:`run`.
        features: Of states and actions, an array ``(S, A, d)``; or of vector observations, a
            function to ``(D,)``, one copy of which stands for each action.
        horizon: H; by default the environment's own ``horizon``.
        optimal_value: Of the environment, for the regret log of :meth:`learn`.
        offline_dataset: Anything that ``hybridrl.datasets.sources.as_dataset`` reads.
        seed: Of the actor's choices.
        device: For the signature of Stable-Baselines3; everything runs on the CPU.
        verbose: 1 prints a line for each call of :meth:`learn`.
        tensorboard_log: For Stable-Baselines3's logger.
        c: Width of the bonus; this and the following are those of
            :class:`~hybridrl.agents.nora.rules.Rules`, which has the defaults.
        eta: Step of the actor, ``theory`` or ``greedy``.
        reset: ``full``, ``partial`` or ``none``.
        switch: ``logdet`` or ``episode``.
        target: ``Q*`` or ``Qpi``.
        optimism: Factor on the bonus.
        v_max: Largest return.
        ridge: Lambda.
        delta: Probability that the bounds fail.

    Raises:
        ScenarioError: If a number is out of range, or the environment does not fit.
        UnknownNameError: If a word is unknown.
    """

    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        policy: str = "auto",
        env: Any = None,
        *,
        features: Any = None,
        horizon: int | None = None,
        optimal_value: float | None = None,
        offline_dataset: Any = None,
        seed: int | None = None,
        device: str = "cpu",
        verbose: int = 0,
        tensorboard_log: str | None = None,
        c: float | None = None,
        eta: float | str | None = None,
        reset: str | None = None,
        switch: str | None = None,
        target: str | None = None,
        optimism: float | None = None,
        v_max: float | None = None,
        ridge: float | None = None,
        delta: float | None = None,
    ) -> None:
        given: dict[str, Any] = {"c": c, "eta": eta, "reset": reset, "switch": switch}
        given |= {"target": target, "optimism": optimism, "v_max": v_max}
        given |= {"ridge": ridge, "delta": delta}
        asked = {name: value for name, value in given.items() if value is not None}
        super().__init__(
            policy,
            Rules(**{**self.defaults, **asked}),
            features=features,
            horizon=horizon,
            optimal_value=optimal_value,
            offline_dataset=offline_dataset,
            seed=seed,
            verbose=verbose,
            tensorboard_log=tensorboard_log,
        )
        if isinstance(env, TabularMDP):
            self.build(env.horizon, env.n_states, env.n_actions)
        elif env is not None:
            self.set_env(env)

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 100,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Act in the environment and learn, until so many steps are done and the episode is over.

        Args:
            total_timesteps: Of this call.
            callback: As of Stable-Baselines3; a rollout is an episode.
            log_interval: Episodes between two lines of the log.
            reset_num_timesteps: Count from 0; what was learned stays.
            progress_bar: Show one.

        Raises:
            ScenarioError: If there is no environment, or an episode is longer than H.
        """
        if self.env is None:
            raise ScenarioError("env", None, "an environment for learn(); run() takes a TabularMDP")
        if reset_num_timesteps:
            self.num_timesteps = 0
        self.plan_for(-(-total_timesteps // self.steps_of_episode))
        collect(self, total_timesteps, callback, log_interval, progress_bar)
        if self.verbose:
            print(f"{self.episodes} episodes, {self.log.switches} switches")
        return self

    def run(self, mdp: TabularMDP, episodes: int, seed: int | None = None) -> RegretLog:
        """Episodes in a known MDP, compiled, with the exact regret of every policy.

        Args:
            mdp: Whose states are the agent's.
            episodes: How many.
            seed: Of actions and transitions; from the agent's generator by default.

        Returns:
            The log of these episodes; ``self.log`` has all.

        Raises:
            ScenarioError: If the agent's critic is not of this MDP's size.
        """
        self.build(mdp.horizon, mdp.n_states, mdp.n_actions)
        self.plan_for(episodes)
        rng = self.rng if seed is None else np.random.default_rng(seed)
        draws = rng.random((episodes, 1 + 3 * mdp.horizon))
        part = RegretLog(np.zeros(episodes), np.zeros(episodes), np.zeros(episodes, np.bool_))
        best = mdp.optimal_value()
        kernels.run(world(mdp), self.critic.tables, self.numbers, best, draws, *vars(part).values())
        self.log = self.log.joined(part)
        self.num_timesteps += episodes * mdp.horizon
        self.episodes += episodes
        return part


def offline_rows(mdp: TabularMDP, policy: Floats, episodes: int, seed: int = 0) -> OfflineDataset:
    """Episodes of a policy in a known MDP, as a dataset that :class:`NORA` can begin with.

    Args:
        mdp: To act in.
        policy: Probabilities, ``(H, S, A)``.
        episodes: How many.
        seed: Of actions and transitions.
    """
    draws = np.random.default_rng(seed).random((episodes, 1 + 3 * mdp.horizon))
    rows, rewards = kernels.roll_out(world(mdp), np.ascontiguousarray(policy), draws)
    return OfflineDataset(
        observations=rows[:, 1],
        actions=rows[:, 2],
        rewards=rewards,
        next_observations=rows[:, 3],
        terminations=rows[:, 0] == mdp.horizon - 1,
        truncations=np.zeros(len(rows), np.bool_),
    )


def world(mdp: TabularMDP) -> World:
    """A tabular MDP as the compiled code takes it."""
    sizes = np.zeros_like(mdp.rewards) if mdp.sizes is None else mdp.sizes
    return World(mdp.transitions, mdp.rewards, sizes, mdp.initial)
