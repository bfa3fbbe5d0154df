"""What the single and the vector environment share: scenes in, observations and facts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hybridrl.envs.parking.config import ParkingOptions, make_config, write_weights
from hybridrl.envs.parking.kernels.image import LAYERS, SIZE, draw_images
from hybridrl.envs.parking.kernels.records import ACTIONS, LIDAR_RANGE, OUTCOMES, RAYS
from hybridrl.envs.parking.scenes.criterion import CRITERION_LEVELS, criterion_code
from hybridrl.envs.parking.scenes.generate import RawScene, generate, generate_exit
from hybridrl.envs.parking.scenes.levels import CLASSES, find_class, find_level
from hybridrl.envs.parking.scenes.library import draw_class, to_scenario
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.envs.parking.vehicles import normalised
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.scenario import Scenario, load_scenarios, require_free

CLASS_NAMES = tuple(CLASSES)
CLASS_KINDS = tuple((kind.level, kind.scene) for kind in CLASSES.values())
MAX_GOAL_DISTANCE = 50.0
OBSERVED = {"lidar": "lidar", "target": "target", "action_mask": "mask"}


class ParkingTask:
    """N scenes of one configuration: drawing, loading, stepping and reading them.

    Args:
        num_envs: Number of scenes.
        options: The environment's keywords.
    """

    def __init__(self, num_envs: int, options: ParkingOptions) -> None:
        self.options = options
        self.vehicle = options.spec
        self.vehicles = options.range
        self.level = find_level(options.level)
        self._tasks = options.tasks
        self._ladder: NDArray[np.float64] | None = None  # running sums of set probabilities
        self.simulator = ParkingSimulator(
            num_envs, self.vehicle, make_config(options), each=self.vehicles is not None
        )
        pictured = num_envs if options.image else 0
        self._images = np.zeros((pictured, len(LAYERS), SIZE, SIZE), np.uint8)
        self._pool = load_scenarios(options.scenarios) if options.scenarios else []
        for scenario in self._pool:
            self._check(scenario)
        self._current: list[Scenario | tuple[RawScene, str, str]] = []
        self._current = [(_EMPTY, CLASS_NAMES[0], "in")] * num_envs

    @property
    def rows(self) -> NDArray[np.void]:
        """States and observations by name, dtype ``ROW``, shape ``(N,)``."""
        return self.simulator.batch.rows

    def observation_space(self) -> spaces.Dict:
        """Of one scene; metres, and shares in [0, 1]."""
        distance = np.array([MAX_GOAL_DISTANCE, 1, 1, 1, 1], np.float32)
        parts: dict[str, spaces.Space[Any]] = {
            "lidar": spaces.Box(0.0, LIDAR_RANGE, (RAYS,), np.float32),
            "target": spaces.Box(np.array([0, -1, -1, -1, -1], np.float32), distance),
            "action_mask": spaces.Box(0.0, 1.0, (ACTIONS,), np.float32),
        }
        if self.options.image:
            parts["img"] = spaces.Box(0, 255, self._images.shape[1:], np.uint8)
        if self.options.ego:
            parts["ego"] = spaces.Box(-1.0, 1.0, (4,), np.float32)
        if self.vehicles is not None:
            low, high = normalised(self.vehicles.low), normalised(self.vehicles.high)
            parts["vehicle"] = spaces.Box(low, high, dtype=np.float32)
        return spaces.Dict(parts)

    def action_space(self) -> spaces.Space[Any]:
        """``Discrete(42)``, or steering (left positive) and speed in [-1, 1]."""
        if self.options.discrete:
            return spaces.Discrete(ACTIONS)
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    def set_reward_weights(self, changes: Mapping[str, float]) -> None:
        """Weigh reward terms anew; those that are not named are as the options have them."""
        write_weights(self.simulator.config, self.options, changes)

    def set_class_weights(self, weights: Mapping[str, float]) -> None:
        """Draw the level's classes with these probabilities from now on (a curriculum).

        Args:
            weights: Class name to probability; they are divided by their sum, and a class of the
                level that is not named is not drawn.

        Raises:
            UnknownNameError: If a name is not one of the level's classes.
            ScenarioError: If a weight is negative or all are 0.
        """
        for name, weight in weights.items():
            if name not in self.level.classes:
                raise UnknownNameError("class of this level", name, self.level.classes)
            if not weight >= 0.0:
                raise ScenarioError(f"weight of {name}", weight, "0 or more")
        ladder = np.cumsum([weights.get(name, 0.0) for name in self.level.classes])
        if not (np.isfinite(ladder[-1]) and ladder[-1] > 0.0):
            raise ScenarioError("class weights", dict(weights), "at least one above 0")
        self._ladder = ladder / ladder[-1]

    def draw(self, i: int, rng: np.random.Generator) -> None:
        """Load a new scene into row ``i``: of the level, or of the scenario file."""
        if self._pool:
            self.load(i, self._pool[int(rng.integers(len(self._pool)))])
            return
        vehicle = self.vehicle if self.vehicles is None else self.vehicles.draw(rng)
        name = self._draw_class(rng)
        task = self._tasks[0] if len(self._tasks) == 1 else self._tasks[int(rng.integers(2))]
        raw = (generate_exit if task == "out" else generate)(rng, name, vehicle)
        reversible = self.options.reversible(find_class(name).scene)
        label = CLASS_NAMES.index(name)
        self.simulator.load_raw(i, raw, label, reversible, task == "out", vehicle)
        self._current[i] = (raw, name, task)

    def load(self, i: int, scenario: Scenario | Mapping[str, Any]) -> None:
        """Load a scenario (or its JSON object) into row ``i``.

        Raises:
            ScenarioError: If it cannot be used here; the message names the field and the fix.
        """
        if not isinstance(scenario, Scenario):
            plain = dict(scenario) if isinstance(scenario, Mapping) else scenario
            scenario = Scenario.from_json(plain, self.vehicle)
        self._check(scenario)
        kind = (scenario.level, scenario.scene)
        label = CLASS_KINDS.index(kind) if kind in CLASS_KINDS else -1
        self.simulator.load(i, scenario, label, self.options.reversible(scenario.scene))
        self._current[i] = scenario

    def begin(self, which: NDArray[np.int64], rngs: Sequence[np.random.Generator]) -> None:
        """Start the scenes in ``which``; ``rngs`` holds the generator of every row."""
        if self.options.lidar_noise > 0.0:
            for i in which:
                self.rows["noise"][i] = rngs[i].integers(1, 2**62)
        self.simulator.begin(which)
        self._draw_images(which)

    def scenario(self, i: int) -> Scenario:
        """The scene in row ``i``, ready to be written to a file."""
        held = self._current[i]
        if not isinstance(held, Scenario):
            raw, name, task = held
            vehicle = self.simulator.vehicle_of(i)
            held = self._current[i] = to_scenario(raw, name, vehicle, task=task)
        return held

    def observation(self, i: int) -> dict[str, NDArray[Any]]:
        """What the agent sees of scene ``i`` (fresh arrays)."""
        # A field first, then its row: NumPy reads records one by one much more slowly.
        rows = self.rows
        seen = {key: rows[name][i].copy() for key, name in OBSERVED.items()}
        if self.options.image:
            seen["img"] = self._images[i].copy()
        if self.options.ego:
            seen["ego"] = self.ego()[i]
        if self.vehicles is not None:
            seen["vehicle"] = rows["vehicle"][i].copy()
        return seen

    def observations(self) -> dict[str, NDArray[Any]]:
        """What the agent sees of all scenes (fresh arrays, first axis N)."""
        seen = {key: self.rows[name].copy() for key, name in OBSERVED.items()}
        if self.options.image:
            seen["img"] = self._images.copy()
        if self.options.ego:
            seen["ego"] = self.ego()
        if self.vehicles is not None:
            seen["vehicle"] = self.rows["vehicle"].copy()
        return seen

    def ego(self) -> NDArray[np.float32]:
        """Last steering and speed, remaining share of the decisions, bump flag, ``(N, 4)``."""
        rows = self.rows
        left = np.maximum(1.0 - rows["decisions"] / self.options.max_decisions, 0.0)
        columns = [rows["steer"], rows["speed"], left, rows["bump"]]
        return np.stack(columns, axis=1).astype(np.float32)

    def act(self, actions: NDArray[Any]) -> None:
        """One decision in every scene, shape ``(N,)`` or ``(N, 2)``.

        Raises:
            ScenarioError: If an action is not in the action space.
        """
        count = self.simulator.num_envs
        actions = np.asarray(actions)
        if self.options.discrete:
            expected = f"{count} whole numbers from 0 to {ACTIONS - 1}"
            if actions.shape != (count,) or not np.issubdtype(actions.dtype, np.integer):
                raise ScenarioError("action", actions.tolist(), expected)
            actions = actions.astype(np.int64)
            if (actions.view(np.uint64) >= ACTIONS).any():  # negative ones are huge as unsigned
                raise ScenarioError("action", actions.tolist(), expected)
            self.simulator.step_discrete(actions)
        else:
            if actions.shape != (count, 2) or not np.isfinite(actions).all():
                expected = f"{count} times finite (steering, speed) in [-1, 1]"
                raise ScenarioError("action", actions.tolist(), expected)
            self.simulator.step_continuous(actions.astype(np.float64))
        if self.options.image:
            self._draw_images(np.arange(count))

    def criterion_level(self, i: int) -> str:
        """HOPE's difficulty criterion of scene ``i``."""
        batch = self.simulator.batch
        row = batch.rows[i]
        offsets = batch.offsets[i, : row["obstacles"] + 1]
        vertices = batch.vertices[i, : offsets[-1]]
        body = self.simulator.vehicle_of(i).body
        code = criterion_code(row["start"], row["goal"], vertices, offsets, body)
        return CRITERION_LEVELS[code]

    def facts(self, i: int) -> dict[str, Any]:
        """The numbers of scene ``i`` for ``info``."""
        rows = self.rows
        outcome = OUTCOMES[rows["outcome"][i]]
        return {
            "is_success": outcome == "success",
            "outcome": outcome,
            "bump": bool(rows["bump"][i]),
            "bumps": int(rows["bumps"][i]),
            "decisions": int(rows["decisions"][i]),
            "rs_decisions": int(rows["rs_decisions"][i]),
            "path_length": float(rows["path_length"][i]),
            "gear_changes": int(rows["gear_changes"][i]),
            "mask_empty": bool(rows["mask_empty"][i]),
            "label": int(rows["label"][i]),
            "leaving": bool(rows["leaving"][i]),
            "position_error": float(rows["position_error"][i]),
            "heading_error": float(rows["turn_error"][i]),
        }

    def _draw_class(self, rng: np.random.Generator) -> str:
        if self._ladder is None:
            return draw_class(rng, self.level)
        return self.level.classes[int(np.searchsorted(self._ladder, rng.random(), side="right"))]

    def _draw_images(self, which: NDArray[np.int64]) -> None:
        if self.options.image:
            draw_images(self.simulator.batch, which, self.simulator.vehicles, self._images)

    def _check(self, scenario: Scenario) -> None:
        if self.vehicles is not None and scenario.vehicle not in self.vehicles:
            expected = f"a vehicle within {self.vehicles.to_json()}"
            raise ScenarioError("scenario.vehicle", scenario.vehicle.to_json(), expected)
        if self.vehicles is None and scenario.vehicle != self.vehicle:
            raise ScenarioError(
                "scenario.vehicle",
                scenario.vehicle.to_json(),
                f"the environment's vehicle {self.vehicle.to_json()}; make it with vehicle=...",
            )
        require_free(scenario)


_EMPTY = RawScene(np.zeros(3), np.zeros(3), np.zeros(4), np.zeros((0, 4, 2)))
