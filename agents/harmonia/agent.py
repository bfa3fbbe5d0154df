"""The storage agent behind ``Harmonia`` and ``Sibyl``: settings, networks, runs, files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.common.brain_spec import BrainSpec
from hybridrl.agents.common.compiled_q import (
    EXPLORATION,
    Brain,
    act,
    greedy,
    make_brain,
    memory_bytes,
    new_wait,
)
from hybridrl.agents.common.storage_files import filled_brain, read_agent, write_agent
from hybridrl.agents.harmonia.hooks import HOOKS
from hybridrl.agents.harmonia.profiles import PLACEMENTS, REWARDS, StorageSettings, make_settings
from hybridrl.agents.harmonia.state import (
    RULES,
    Minds,
    make_minds,
)
from hybridrl.agents.harmonia.worth import HOOKS as WORTH_HOOKS
from hybridrl.agents.harmonia.worth_predict import Market, cheapest_devices, equal_values
from hybridrl.agents.harmonia.worth_state import Worth, empty_worth, make_worth
from hybridrl.envs.storage.config import HSSConfig
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.kernels.features import bins_of
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError

_SIX = (1, 0, 2, 3, 4, 5)  # Sibyl's features in the order of Harmonia's


class StorageAgent:
    """Learns online where data shall be, inside the storage engine.

    The whole loop of requests, decisions, rewards and updates is one compiled call; 1,000 requests
    train every network with 8 batches. What was learned stays in the agent: another :meth:`learn`
    goes on from it, :meth:`run` with ``learn=False`` only uses it.

    Args:
        policy: For the signature of Stable-Baselines3; only ``MlpPolicy``.
        env: A storage environment or its id: gives the trace and system of :meth:`learn`.
        profile: ``harmonia``, ``sibyl`` or ``default``.
        seed: Of weights, exploration and batches.
        device: For the signature of Stable-Baselines3; everything runs on the CPU.
        verbose: 1 prints a line for each run.
        tensorboard_log: For the signature of Stable-Baselines3; not used.
        **settings: Fields of :class:`~hybridrl.agents.harmonia.profiles.StorageSettings`.

    Raises:
        UnknownNameError: If a profile, a setting or one of its words is unknown.
        ScenarioError: If a value is out of range.
    """

    default_profile = "harmonia"

    def __init__(
        self,
        policy: str = "MlpPolicy",
        env: Any = None,
        *,
        profile: str | None = None,
        seed: int | None = 0,
        device: str = "cpu",
        verbose: int = 0,
        tensorboard_log: str | None = None,
        **settings: Any,
    ) -> None:
        if policy != "MlpPolicy":
            raise ScenarioError("policy", policy, "MlpPolicy")
        self.profile = profile or self.default_profile
        self.settings: StorageSettings = make_settings(self.profile, settings)
        self.seed = 0 if seed is None else seed
        self.verbose = verbose
        self.num_timesteps = 0
        self.env = env
        self.devices = 0
        self.brains: dict[str, Brain] = {}
        self.market: Market | None = None
        self._specs(2)

    def learn(
        self,
        source: str | Trace | int | None = None,
        config: str | HSSConfig = "perf",
        *,
        seed: int | None = None,
        **options: Any,
    ) -> Self:
        """Run a workload from beginning to end and learn from it.

        Args:
            source: A workload's name or a trace; a number of requests learns in the agent's
                environment, episode after episode.
            config: Of the storage system, where ``source`` is a workload or a trace.
            seed: Of the service times and the workload; the agent's seed by default.
            **options: More for :class:`~hybridrl.envs.storage.engine.HSSEngine`.
        """
        if isinstance(source, int) or source is None:
            self._learn_env(source)
        else:
            self.run(source, config, seed=seed, **options)
        return self

    def run(
        self,
        source: str | Trace,
        config: str | HSSConfig = "perf",
        *,
        learn: bool = True,
        seed: int | None = None,
        **options: Any,
    ) -> HSSEngine:
        """Run a workload; returns the finished engine, whose log and books can be measured.

        Args:
            source: A workload's name or a trace.
            config: Of the storage system.
            learn: Whether the networks train; without, nothing of the agent changes.
            seed: Of the service times and the workload; the agent's seed by default.
            **options: More for :class:`~hybridrl.envs.storage.engine.HSSEngine`.
        """
        seed = self.seed if seed is None else seed
        if isinstance(source, str):
            from hybridrl.envs.storage.traces.workloads import make_workload

            source = make_workload(source, seed=seed)
        options = {"extent_pages": self.settings.extent_pages, **options}
        engine = HSSEngine(source, config, seed=seed, policy=self.engine_policy(learn), **options)
        engine.run()
        if learn:
            self.keep(engine.state, engine.devices)
            self.num_timesteps += engine.position
        if self.verbose:
            mean = float(engine.e.sys["latency_sum"][0]) / max(1, engine.position)
            print(f"{engine.position} requests, mean latency {mean:.1f} us")
        return engine

    def engine_policy(self, learn: bool = True) -> Policy:
        """This agent as the engine takes policies; each run gets copies of the networks.

        Args:
            learn: Whether the copies train.
        """
        moves = self.settings.migration == "agent"
        return Policy(
            type(self).__name__.lower(),
            WORTH_HOOKS if self._worth else HOOKS,
            lambda engine: self._state(engine, learn),
            act_on=self.settings.act_on,
            interval=None if moves and not self._worth else 0,
        )

    def keep(self, state: Minds | Worth, devices: int) -> None:
        """Take over what a run of :meth:`engine_policy` has learned."""
        self.devices = devices
        place = Brain(state.p_numbers.copy(), state.p_counts.copy(), state.p_memory.copy())
        move = Brain(state.m_numbers.copy(), state.m_counts.copy(), state.m_memory.copy())
        self.brains = {"placement": place, "migration": move}
        if isinstance(state, Worth):
            self.market = Market.of(state, devices)

    @property
    def _worth(self) -> bool:
        return self.settings.learner == "worth"

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        *,
        agent: str = "placement",
    ) -> tuple[NDArray[np.int64], None]:
        """Devices for observations of the storage environments.

        Args:
            observation: Seven features in [0, 1], shape ``(7,)`` or ``(batch, 7)``.
            state: Not used.
            episode_start: Not used.
            deterministic: Without exploration.
            agent: ``placement`` or ``migration``.

        Returns:
            Devices, shape ``()`` or ``(batch,)``, and ``None``.
        """
        brain = self._brain(agent)
        rows = np.atleast_2d(np.asarray(observation, np.float64))
        if rows.shape[-1] != 7:
            raise ScenarioError("observation", rows.shape, "seven features")
        bins = np.zeros((len(rows), 8), np.int64)
        bins[:, :7] = np.rint(rows * (np.array(bins_of(self.devices or 2)) - 1))
        if self._worth:
            market = self.market or Market.unknown(self.devices or 2)
            chosen = cheapest_devices(brain, bins, market, self.settings)
            return chosen.reshape(np.shape(observation)[:-1]), None
        if not self.settings.coordination:
            bins[:, 4:7] = 0
        if agent == "placement" and self.settings.features == "six":
            bins[:, :6] = bins[:, _SIX]
        choose = greedy if deterministic else act
        devices = np.array([choose(brain, row) for row in bins], np.int64)
        return devices.reshape(np.shape(observation)[:-1]), None

    def memory_report(self, devices: int = 2) -> dict[str, Any]:
        """Bytes of both agents, counted from the arrays that a run carries.

        Args:
            devices: For how many.

        Returns:
            Bytes of each part, ``total`` of the agents, and apart from them
            ``page_metadata_per_page``: the published 4 bytes and ours.
        """
        placer, mover = (make_brain(spec) for spec in self._specs(devices))
        minds: Minds | Worth = (
            empty_worth(placer, mover) if self._worth else make_minds(placer, mover, self._rules())
        )
        report: dict[str, Any] = {"placement": memory_bytes(placer)}
        if self.settings.migration == "agent":
            report["migration"] = memory_bytes(mover)
        used = sum(sum(part.values()) for part in report.values())
        pending = sum(array.nbytes for array in minds[6:])
        report |= {
            "pending": pending,
            "total": used + pending,
            "total_kib": (used + pending) / 1024,
        }
        from hybridrl.envs.storage.kernels.records import PAGE

        report["page_metadata_per_page"] = {"published": 4, "ours": PAGE.itemsize + 4}
        return report

    def save(self, path: str | Path) -> Path:
        """Write ``<path>/agent.safetensors`` and ``agent.json``; nothing in them is code."""
        description = {
            "agent": type(self).__name__,
            "profile": self.profile,
            "seed": self.seed,
            "devices": self.devices,
            "num_timesteps": self.num_timesteps,
            "settings": asdict(self.settings),
            "market": self.market._asdict() if self.market else None,
        }
        return write_agent(Path(path), self.brains, description)

    @classmethod
    def load(cls, path: str | Path, env: Any = None) -> Self:
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            ScenarioError: If a file is missing, damaged or of another agent.
        """
        found, tensors = read_agent(Path(path), cls.__name__)
        try:
            agent = cls(env=env, profile=found["profile"], seed=found["seed"], **found["settings"])
            agent.devices, agent.num_timesteps = found["devices"], found["num_timesteps"]
            agent.market = Market(**found["market"]) if found["market"] else None
            specs = agent._specs(agent.devices or 2)
            for name, spec in zip(("placement", "migration"), specs, strict=True):
                if agent.devices:
                    agent.brains[name] = filled_brain(make_brain(spec), tensors, name)
        except (KeyError, TypeError, ValueError) as error:
            fix = f"a folder of {cls.__name__}.save"
            raise ScenarioError(str(path), str(error), fix) from error
        return agent

    def _brain(self, agent: str) -> Brain:
        if agent not in ("placement", "migration"):
            raise ScenarioError("agent", agent, "placement or migration")
        if agent not in self.brains:
            place, move = (make_brain(spec) for spec in self._specs(self.devices or 2))
            for brain in (place, move):
                if self._worth:
                    equal_values(brain)
            self.brains = {"placement": place, "migration": move}
        return self.brains[agent]

    def _learn_env(self, total_timesteps: int | None) -> None:
        if self.env is None:
            raise ScenarioError("env", None, "a workload for learn(), or env= for the agent")
        env = self.env
        if isinstance(env, str):
            import gymnasium as gym

            import hybridrl  # noqa: F401

            env = gym.make(env)
        left = total_timesteps if total_timesteps is not None else 100_000
        make_engine = env.get_wrapper_attr("make_engine")
        while left > 0:
            engine = make_engine(self.engine_policy(), seed=self.seed + self.num_timesteps)
            engine.run(left)
            left -= engine.position
            self.num_timesteps += engine.position
            self.keep(engine.state, engine.devices)

    def _specs(self, devices: int) -> tuple[BrainSpec, BrainSpec]:
        """Shapes of the placement and the migration network."""
        s = self.settings
        seven = bins_of(devices)
        place_bins = tuple(seven[i] for i in _SIX) if s.features == "six" else seven
        shared: dict[str, Any] = {
            "actions": devices,
            "exploration": s.first_exploration,
            "capacity": s.capacity,
            "optimiser": s.optimiser,
            "double": s.double,
            "huber": s.dispersion if self._worth else 1.0,
        }
        placer = BrainSpec(
            bins=place_bins,
            hidden=s.hidden,
            head=s.head,
            atoms=s.atoms,
            v_max=s.v_max,
            learning_rate=s.place_rate,
            batch_size=s.place_batch,
            seed=2 * self.seed,
            **shared,
        )
        head = s.head if s.migration == "agent" else "q"
        mover = BrainSpec(
            bins=seven,
            hidden=s.hidden if s.migration == "agent" else (10,),
            head=head,
            atoms=s.atoms,
            v_max=s.v_max,
            learning_rate=s.move_rate,
            batch_size=s.move_batch,
            seed=2 * self.seed + 1,
            **shared,
        )
        return placer, mover

    def _rules(self) -> NDArray[np.void]:
        s = self.settings
        rules = np.zeros(1, RULES)
        values = {
            "placer": PLACEMENTS.index(s.placement),
            "reward": REWARDS.index(s.reward),
            "six": s.features == "six",
            "blind": not s.coordination,
            "learning": 1,
            "warm": s.warmup_requests if s.warmup != "none" else 0,
            "place_gamma": s.place_gamma,
            "move_gamma": s.move_gamma,
            "evict_weight": s.evict_weight,
            "window": s.window,
            "every": s.train_every,
            "place_batches": s.place_batches,
            "move_batches": s.move_batches if s.migration == "agent" else 0,
            "explore_last": s.exploration,
            "explore_fall": s.exploration_fall,
            "mean": 1.0,
            "coin": 88172645463325252 + 2 * self.seed,
        }
        for name, value in values.items():
            rules[name] = value
        return rules

    def _state(self, engine: HSSEngine, learn: bool) -> Minds | Worth:
        devices = engine.devices
        if devices != self.devices:
            self.devices = devices
            self.brains = {}
        placer, mover = self._brain("placement"), self._brain("migration")
        if self._worth:
            return make_worth(engine, self.settings, placer, mover, learn, self.seed)
        rules = self._rules()
        specs = engine.config.specs()
        rules["unit"] = specs[0].read_4k_us()
        warmup = self.settings.warmup
        rules["base"] = PLACEMENTS.index("cde" if warmup == "none" else warmup)
        rules["evict_weight"] = self.settings.evict_weight / specs[-1].channels
        rules["learning"] = learn
        if self.num_timesteps:
            rules["warm"] = 0
        minds = make_minds(placer, mover, rules)
        if not learn:
            for brain in (Brain(*minds[:3]), Brain(*minds[3:6])):
                brain.numbers[EXPLORATION] = 0.0
                new_wait(brain)
        return minds
