"""The parking simulator as batched tensors, on the CPU or a GPU.

The same rules as ``simulator.py``, written a second time: tests hold the two against each other.
No Python loop over environments or obstacles and no copy to the host within a decision, unless the
configuration looks for Reeds-Shepp paths (``handover.py``).
"""

from __future__ import annotations

import time
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridrl.envs.parking.config import RS_MODES, ParkingOptions, make_config
from hybridrl.envs.parking.kernels.records import REWARD_TERMS, RUNNING
from hybridrl.envs.parking.scenes.generate import RawScene, generate
from hybridrl.envs.parking.scenes.levels import find_level
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.envs.parking.torch_backend import handover
from hybridrl.envs.parking.torch_backend.drive import decide, measures
from hybridrl.envs.parking.torch_backend.model import Rows, make_model
from hybridrl.envs.parking.torch_backend.observe import Nearest, Scenes, observe
from hybridrl.envs.parking.torch_backend.scenes import (
    FAR,
    count_nearest,
    empty_rows,
    grown,
    padded_scenes,
    problem_rows,
)
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.path import Path
from hybridrl.planners.scenario import Scenario
from hybridrl.planners.vehicle import VehicleSpec

_RS_TERM = REWARD_TERMS.index("rs_distance")
_POOL = 512  # scenes that a measurement draws its resets from


class TorchParkingSimulator:
    """N independent scenes stepped together; the methods of ``ParkingSimulator``.

    Args:
        num_envs: Number of scenes N.
        vehicle: Who drives in all of them.
        config: Record of dtype ``CONFIG`` (:func:`~hybridrl.envs.parking.config.make_config`).
        device: Where states, observations and obstacles live, as in ``"cuda"``.
        dtype: ``torch.float64``, or ``torch.float32`` for speed on a GPU (contacts are then right
            to about 1e-5 m, well within the 1e-3 m that a motion stays away).
        compile: Fuse the decision with ``torch.compile``; the first steps then take a minute.

    Attributes:
        rows: States and observations by the names of ``records.ROW``, tensors of N rows. A step
            replaces tensors, never changes them, so earlier observations stay valid.
        trace: Driven arcs (curvature, signed length), shape ``(N, T, 2)``.

    Raises:
        ScenarioError: If the configuration has rate limits, a lidar mask or lidar noise.
    """

    def __init__(
        self, num_envs: int, vehicle: VehicleSpec, config: NDArray[np.void],
        device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64,
        compile: bool = False,
    ) -> None:  # fmt: skip
        self.num_envs = num_envs
        self.vehicle = vehicle
        self.config = config
        self.device = torch.device(device)
        self.dtype = dtype
        self.rows: Rows = empty_rows(num_envs, self.device, dtype)
        arcs = int(config["max_decisions"][0]) + 8
        self.trace = torch.zeros(num_envs, arcs, 2, dtype=dtype, device=self.device)
        self._model = make_model(vehicle, config, self.device, dtype)
        self._scenes = Scenes(
            torch.full((num_envs, 1, 4, 2), FAR, dtype=dtype, device=self.device),
            torch.full((num_envs, 1, 3), FAR, dtype=dtype, device=self.device),
        )
        self._nearest = Nearest(1, 1)
        self._rs = RS_MODES[int(config["rs"][0])]
        self._rs_weight = float(config["weights"][0, _RS_TERM])
        self._on_host = self._rs != "off" or self._rs_weight != 0.0
        self._decide = torch.compile(decide, dynamic=False) if compile else decide
        self._observe = torch.compile(observe, dynamic=False) if compile else observe

    @cached_property
    def _host(self) -> ParkingSimulator:
        """Takes scenes in, and does Reeds-Shepp work on copies."""
        return ParkingSimulator(self.num_envs, self.vehicle, self.config)

    def load_raw(self, i: int, scene: RawScene, label: int = -1, reversible: bool = False) -> None:
        """Put a generated scene into row ``i``; :meth:`begin` starts it."""
        self._host.load_raw(i, scene, label, reversible)

    def load(self, i: int, scenario: Scenario, label: int = -1, reversible: bool = False) -> None:
        """Put any scenario into row ``i``; :meth:`begin` starts it.

        Raises:
            ScenarioError: If it asks to leave a slot, which needs the numba back end.
        """
        if scenario.task != "in":
            raise ScenarioError("scenario.task", scenario.task, "'in' with the torch back end")
        self._host.load(i, scenario, label, reversible)

    def begin(self, which: NDArray[np.int64]) -> None:
        """Put the scenes in ``which`` at their starts and observe them."""
        which = np.asarray(which, np.int64)
        if len(which) == 0:
            return
        batch, index = self._host.batch, torch.as_tensor(which, device=self.device)
        scenes = padded_scenes(batch, which, self.trace)
        self._make_room(scenes, count_nearest(batch, which, self._model))
        scenes = grown(scenes, *self._scenes.vertices.shape[1:3])
        for old, new in zip(self._scenes, scenes, strict=True):
            old[index] = new
        rows = problem_rows(batch, which, self.rows)
        now = measures(rows, self._model)
        rows["best_iou"] = now.pop("iou")
        rows |= now | {"first_distance": now["distance"]}
        rows |= observe(rows, scenes, self._model, self._nearest)
        self.rows = {name: old.index_copy(0, index, rows[name]) for name, old in self.rows.items()}
        self._begin_on_host(which, index)

    def _begin_on_host(self, which: NDArray[np.int64], index: Tensor) -> None:
        if self._rs_weight != 0.0:
            lengths = handover.rs_lengths(self._host, self.rows)[index]
            for name in ("rs_length", "first_rs_length"):
                self.rows[name] = self.rows[name].index_copy(0, index, lengths)
        if self._rs != "off":
            self.rows = self.rows | handover.look(self._host, self.rows, which)

    def reset_from(self, pool: TorchParkingSimulator, which: Tensor, picks: Tensor) -> None:
        """Restart rows with scenes of another simulator that have just begun, all on the device.

        Args:
            pool: Same vehicle, configuration, device and dtype; none of its scenes has moved.
            which: Rows to restart, bool, shape ``(N,)``.
            picks: Row of the pool for each, int64, shape ``(N,)``; read where ``which``.

        Raises:
            ScenarioError: If paths are looked for, which needs the scenes on the host.
        """
        if self._on_host:
            raise ScenarioError("rs", self._rs, "'off' for resets on the device; or load and begin")
        self._make_room(pool._scenes, pool._nearest)
        full = grown(pool._scenes, *self._scenes.vertices.shape[1:3])
        self._scenes = Scenes(
            *(_pick(a, b, which, picks) for a, b in zip(self._scenes, full, strict=True))
        )
        self.rows = {
            name: _pick(old, pool.rows[name], which, picks) for name, old in self.rows.items()
        }

    def step(self, steer: Tensor, speed: Tensor, actions: Tensor | None = None) -> None:
        """One decision in every scene, with normalised steering and speed of shape ``(N,)``.

        ``actions`` are the numbers of the discrete motions, where they are that.
        """
        old = self.rows
        new, curvature, length = self._decide(
            old, self._scenes, self._model, self._nearest, steer, speed, actions
        )
        known = torch.zeros_like(old["bump"])
        if self._rs == "auto":
            known = old["rs_arcs"] > 0
            new = _keep(old, new, known)
            length = torch.where(known, 0.0, length)
        self._write_trace(old["arcs"], curvature, length)
        rows = old | new
        if self._rs_weight != 0.0:
            rows |= self._rs_reward(rows, known)
        if self._rs != "off":
            trace = self.trace if self._rs == "auto" else None
            rows |= handover.hand_over(self._host, rows, known, trace)
        self.rows = rows | self._observe(rows, self._scenes, self._model, self._nearest)

    def step_discrete(self, actions: NDArray[np.int64] | Tensor) -> None:
        """One decision in every scene with motions 0 to 41, shape ``(N,)``."""
        index = torch.as_tensor(actions, dtype=torch.int64, device=self.device)
        self.step(self._model.action_steer[index], self._model.action_speed[index], index)

    def step_continuous(self, actions: NDArray[np.floating] | Tensor) -> None:
        """One decision with normalised ``(steer, speed)`` rows in [-1, 1], shape ``(N, 2)``."""
        clipped = torch.as_tensor(actions, device=self.device).clamp(-1.0, 1.0).to(self.dtype)
        self.step(clipped[:, 0], clipped[:, 1])

    def driven_path(self, i: int) -> Path:
        """The path driven in scene ``i`` since it began."""
        arcs = self.trace[i, : int(self.rows["arcs"][i])].double().tolist()
        start = self.rows["start"][i].double().tolist()
        return Path.from_arcs(tuple(start), [(k, s) for k, s in arcs])

    def found_path(self, i: int) -> Path | None:
        """The free Reeds-Shepp path found from the present pose of scene ``i``, if any."""
        arcs = int(self.rows["rs_arcs"][i])
        if arcs == 0:
            return None
        x, y, heading = (float(self.rows[name][i]) for name in ("x", "y", "heading"))
        curvature, length = (
            self.rows[name][i, :arcs].double().cpu().numpy() for name in ("rs_curvature", "rs_arc")
        )
        return Path((x, y, heading), curvature, length)

    def _make_room(self, scenes: Scenes, nearest: Nearest) -> None:
        """Grow the obstacle tensors when scenes have more of them than any before."""
        self._scenes = grown(self._scenes, *scenes.vertices.shape[1:3])
        self._nearest = Nearest(*map(max, self._nearest, nearest))

    def _write_trace(self, arcs: Tensor, curvature: Tensor, length: Tensor) -> None:
        """Append the arcs just driven; a place after the last arc may hold anything."""
        place = arcs.clamp(max=self.trace.shape[1] - 1)
        rows = torch.arange(self.num_envs, device=self.device)
        self.trace[rows, place] = torch.stack([curvature, length], dim=-1)

    def _rs_reward(self, rows: Rows, known: Tensor) -> Rows:
        """The Reeds-Shepp term of rows that go on after a decision (``parking.md`` 10)."""
        now = handover.rs_lengths(self._host, rows)
        scale = rows["first_rs_length"].clamp(min=1e-6)
        value = (-now / scale).exp() - (-rows["rs_length"] / scale).exp()
        go = (rows["outcome"] == RUNNING) & ~known
        value = torch.where(go, self._rs_weight * value, 0.0)
        terms = rows["terms"].clone()
        terms[:, _RS_TERM] = value
        return {
            "terms": terms,
            "reward": rows["reward"] + value,
            "rs_length": torch.where(go, now, rows["rs_length"]),
        }


def _pick(old: Tensor, pool: Tensor, which: Tensor, picks: Tensor) -> Tensor:
    """Rows of ``pool`` where ``which``, else those of ``old``."""
    shape = (-1,) + (1,) * (old.dim() - 1)
    return torch.where(which.view(shape), pool[picks], old)


def _keep(old: Rows, new: Rows, known: Tensor) -> Rows:
    """Undo a decision in rows that have a path to drive instead; they get no reward for it."""
    kept = {
        name: torch.where(known.view((-1,) + (1,) * (t.dim() - 1)), old[name], t)
        for name, t in new.items()
    }
    for name in ("reward", "terms"):
        shape = known.view((-1,) + (1,) * (kept[name].dim() - 1))
        kept[name] = torch.where(shape, 0.0, kept[name])
    return kept


def make_pool(
    size: int, level: str, config: NDArray[np.void], device: str | torch.device,
    dtype: torch.dtype, seed: int = 0,
) -> TorchParkingSimulator:  # fmt: skip
    """A simulator of freshly begun scenes of a level, to restart others from.

    Args:
        size: Number of scenes.
        level: As in ``"hard"``.
        config: Record of dtype ``CONFIG``.
        device: Where it lives.
        dtype: Of its numbers.
        seed: Of its scenes.
    """
    pool = TorchParkingSimulator(size, VehicleSpec(), config, device, dtype)
    rng = np.random.default_rng(seed)
    cycle = find_level(level).cycle
    for i in range(size):
        pool.load_raw(i, generate(rng, cycle[i % len(cycle)]), i % len(cycle))
    pool.begin(np.arange(size))
    return pool


def random_allowed(simulator: TorchParkingSimulator, generator: torch.Generator) -> Tensor:
    """One allowed motion of each scene, uniformly at random, shape ``(N,)``, int64."""
    allowed = simulator.rows["allowed"]
    noise = torch.rand(allowed.shape, device=allowed.device, generator=generator)
    return (noise * allowed + allowed).argmax(-1)


def decisions_per_second(
    num_envs: int, steps: int, device: str = "cpu", dtype: torch.dtype = torch.float32,
    compile: bool = False, *, contact: str = "certified", level: str = "hard",
) -> float:  # fmt: skip
    """Measured speed of decisions with lidar, target and mask, resets included, no Reeds-Shepp.

    Random allowed motions; scenes restart on the device from a pool made beforehand.

    Args:
        num_envs: Scenes stepped together.
        steps: Decisions of each that are timed.
        device: As in ``"cuda"``.
        dtype: Of the numbers.
        compile: See :class:`TorchParkingSimulator`.
        contact: ``"certified"`` or ``"sampled"``.
        level: Of the scenes.
    """
    config = make_config(ParkingOptions(action_type="discrete", contact=contact, rs="off"))
    pool = make_pool(_POOL, level, config, device, dtype)
    simulator = TorchParkingSimulator(num_envs, VehicleSpec(), config, device, dtype, compile)
    generator = torch.Generator(device).manual_seed(0)
    draw = partial(torch.randint, _POOL, (num_envs,), device=device, generator=generator)
    everyone = torch.ones(num_envs, dtype=torch.bool, device=device)
    simulator.reset_from(pool, everyone, draw())
    began = 0.0
    for k in range(-5, steps):
        if k == 0:
            _wait(device)
            began = time.perf_counter()
        simulator.step_discrete(random_allowed(simulator, generator))
        simulator.reset_from(pool, simulator.rows["outcome"] != RUNNING, draw())
    _wait(device)
    return num_envs * steps / (time.perf_counter() - began)


def _wait(device: str) -> None:
    """Let a GPU finish what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
