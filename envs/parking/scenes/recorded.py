"""Recorded parking lots: a user's own copy of the data as JSON, and scenes from it.

The data of the recorded family may not be redistributed (``parking.md`` 4.5), so none is here.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybridrl.envs.parking.scenes import shapes
from hybridrl.envs.parking.scenes.generate import DEFAULT_VEHICLE, RawScene
from hybridrl.envs.parking.scenes.library import quads_of
from hybridrl.envs.parking.scenes.lot import cull
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.json_text import parse_json
from hybridrl.planners.scenario import FORMAT, UNITS, Pose, Scenario, default_bounds
from hybridrl.planners.vehicle import Body, VehicleSpec

Array = NDArray[np.float64]
MARGIN = 20.0  # map bounds around start and goal, metres
POSITION_NOISE = 0.05  # standard deviation, metres
HEADING_NOISE = 0.02  # standard deviation, radians
RESET_TRIES = 1_000  # noisy starts drawn before giving up
CASE = "a case of (start poses (n, 3), goal pose (3,), obstacle rings (m, 2))"


class _Allowed:
    """A function that a pickle may call; it cannot be changed by the pickle."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a function has no state")


class _DataType:
    """Stands in for a pickled NumPy type: NumPy's own unpickling is never run."""

    def __init__(self, code: str, *_: object) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[fiub][1248]|O8?", code)):
            raise pickle.UnpicklingError(f"arrays of type {code!r} are not allowed")
        self._code, self._order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = state[1] if state[1] in ("<", ">") else "="

    def read(self, raw: Any, shape: Any, order: Any) -> Any:
        """Values of an array from its bytes, or from a list where they are objects."""
        if self._code.startswith("O"):
            return list(raw)
        values = np.frombuffer(raw, np.dtype(self._order + self._code))
        return values.reshape(shape, order="F" if order == "F" else "C").astype(np.float64)


class _PickledArray:
    """Stands in for a pickled NumPy array until its state arrives."""

    values: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        self.values = kind.read(raw, shape, "F" if fortran else "C")


def _from_buffer(raw: Any, kind: _DataType, shape: Any, order: Any) -> _PickledArray:
    array = _PickledArray()
    array.values = kind.read(raw, shape, order)
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r} is not allowed")
    return text.encode("latin1")


_MODULES = ("numpy.core", "numpy._core")
_GLOBALS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _PickledArray,
    ("numpy", "dtype"): _DataType,
    ("_codecs", "encode"): _encode,
    **{(f"{m}.multiarray", "_reconstruct"): lambda *_: _PickledArray() for m in _MODULES},
    **{
        (f"{m}.multiarray", "scalar"): lambda kind, raw: float(kind.read(raw, (1,), "C")[0])
        for m in _MODULES
    },
    **{(f"{m}.numeric", "_frombuffer"): _from_buffer for m in _MODULES},
}


class _SafeUnpickler(pickle.Unpickler):
    """Reads plain containers, numbers and NumPy arrays; anything else is refused unread."""

    @classmethod
    def read(cls, data: bytes) -> Any:
        """The value of a pickle, when it has no number by which memory would be taken ahead."""
        for code, number, _ in pickletools.genops(data):
            if code.name.endswith("PUT") and (number or 0) > len(data):
                raise pickle.UnpicklingError(f"it counts {number} objects in {len(data)} bytes")
        return cls(io.BytesIO(data)).load()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _GLOBALS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data")
        return _Allowed(_GLOBALS[module, name])


def _plain(value: Any, depth: int = 0) -> Any:
    """Nested lists and arrays instead of what was unpickled; dictionaries give their values."""
    if depth > 8:
        raise pickle.UnpicklingError("it is nested too deeply")
    value = value.values if isinstance(value, _PickledArray) else value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value


def read_plain_pickle(path: str | Path) -> Any:
    """Read a pickle of plain data without running any code that it names.

    Returns:
        Nested lists, numbers, strings and float64 arrays; dictionaries become lists of values.

    Raises:
        ScenarioError: If the file cannot be read or holds anything else.
    """
    try:
        return _plain(_SafeUnpickler.read(Path(path).read_bytes()))
    except Exception as error:  # a damaged pickle raises almost anything
        expected = "a pickle of plain lists, numbers and NumPy arrays"
        raise ScenarioError(f"{path} ({error})", type(error).__name__, expected) from error


def convert_recorded(
    pickle_path: str | Path, json_path: str | Path, vehicle: VehicleSpec = DEFAULT_VEHICLE
) -> int:
    """Turn a recorded-lot pickle into scenario JSON, without running any code in it.

    The file is an ordinary scenario file with one scenario a case, its first start; beside
    ``scenarios`` it has ``starts``, all start poses of each, which :class:`RecordedLot` reads.

    Args:
        pickle_path: A list of cases ``(start poses, goal pose, obstacle rings)``.
        json_path: File to write, whole or not at all.
        vehicle: Who parks there.

    Returns:
        The number of cases.

    Raises:
        ScenarioError: If the pickle holds more than plain data, or a case cannot be used.
    """
    cases = read_plain_pickle(pickle_path)
    if not isinstance(cases, list) or not cases:
        raise ScenarioError(str(pickle_path), cases, f"a list of cases, each {CASE}")
    pairs = [_read_case(i, case, vehicle) for i, case in enumerate(cases)]
    data = {
        "format": FORMAT,
        "units": UNITS,
        "source": f"recorded lot, converted from {Path(pickle_path).name}",
        "vehicle": vehicle.to_json(),
        "scenarios": [scenario.to_json() for scenario, _ in pairs],
        "starts": [starts.tolist() for _, starts in pairs],
    }
    target = Path(json_path)
    partial = target.with_name(target.name + ".partial")
    partial.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    partial.replace(target)
    return len(pairs)


def _read_case(number: int, case: Any, vehicle: VehicleSpec) -> tuple[Scenario, Array]:
    try:
        starts, goal, rings = case
        poses = np.array(starts, np.float64).reshape(-1, 3)
        target = np.array(goal, np.float64).reshape(3)
        obstacles = [_open_ring(np.array(ring, np.float64)) for ring in rings]
        xmin, xmax, ymin, ymax = default_bounds(_pose(poses[0]), _pose(target), MARGIN)
        scenario = Scenario(
            start=_pose(poses[0]),
            goal=_pose(target),
            obstacles=obstacles,
            bounds=(xmin, xmax, ymin, ymax),
            vehicle=vehicle,
            id=f"recorded-{number:03d}",
            level="recorded",
            scene="lot",
        )
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise ScenarioError(f"cases[{number}] ({error})", case, CASE) from error
    if not np.isfinite(poses).all():
        raise ScenarioError(f"cases[{number}] starts", poses, "finite poses")
    return scenario, poses


def _pose(values: Array) -> Pose:
    x, y, heading = values.tolist()
    return x, y, heading


def _open_ring(ring: Array) -> Array:
    closed = len(ring) > 1 and np.array_equal(ring[0], ring[-1])
    return ring[:-1] if closed else ring


@dataclass(frozen=True)
class RecordedCase:
    """One recorded lot.

    Args:
        id: Its name.
        starts: Recorded start poses, shape ``(S, 3)``.
        goal: Goal pose, shape ``(3,)``.
        quads: All obstacles, convex and counter-clockwise, shape ``(M, 4, 2)``.
        circles: Their bounding circles ``(x, y, radius)``, shape ``(M, 3)``.
    """

    id: str
    starts: Array
    goal: Array
    quads: Array
    circles: Array


class RecordedLot:
    """Scenes from a file that :func:`convert_recorded` wrote, by HOPE's reset rule.

    Args:
        path: The JSON file.

    Raises:
        ScenarioError: If the file or a case in it cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            data = parse_json(Path(path).read_text(encoding="utf-8"))
            pairs = list(zip(data["scenarios"], data["starts"], strict=True))
        except (OSError, ValueError, KeyError, TypeError) as error:
            expected = "a file that convert_recorded wrote"
            raise ScenarioError(str(path), str(error), expected) from error
        self.vehicle = VehicleSpec.from_json(data.get("vehicle"))
        self.cases = [self._case(item, starts) for item, starts in pairs]

    def _case(self, item: Any, starts: Iterable[Any]) -> RecordedCase:
        scenario = Scenario.from_json(item, self.vehicle)
        quads = quads_of(scenario.obstacles)
        circles = np.empty((len(quads), 3))
        for quad, circle in zip(quads, circles, strict=True):
            shapes.put_circle(quad, circle)
        try:
            poses = np.array(starts, np.float64).reshape(-1, 3)
        except (TypeError, ValueError) as error:
            raise ScenarioError(
                f"starts of {scenario.id}", starts, "poses x, y, heading"
            ) from error
        if not len(poses) or not np.isfinite(poses).all():
            raise ScenarioError(f"starts of {scenario.id}", starts, "one finite pose or more")
        return RecordedCase(scenario.id, poses, np.array(scenario.goal), quads, circles)

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.cases)

    def generate(self, rng: np.random.Generator, case: int | None = None) -> RawScene:
        """Draw one scene: a noisy recorded start, start and goal each turned half of the time.

        Args:
            rng: Source of every draw.
            case: Number of the case, modulo their count; drawn when ``None``.

        Raises:
            ScenarioError: If no noisy start of the case is free of obstacles.
        """
        count = len(self.cases)
        chosen = self.cases[int(rng.integers(count)) if case is None else case % count]
        found, *arrays = _reset(
            rng, chosen.starts, chosen.goal, chosen.quads, chosen.circles, self.vehicle.body
        )
        if not found:
            raise ScenarioError(f"case {chosen.id}", chosen.starts, "a start free of obstacles")
        return RawScene(*arrays)

    def sample(self, rng: np.random.Generator, case: int | None = None) -> Scenario:
        """Draw one scene, see :meth:`generate`, as a :class:`Scenario`."""
        raw = self.generate(rng, case)
        return Scenario(
            start=_pose(raw.start),
            goal=_pose(raw.goal),
            obstacles=list(raw.quads),
            bounds=tuple(raw.bounds.tolist()),
            vehicle=self.vehicle,
            id="recorded" if case is None else self.cases[case % len(self)].id,
            level="recorded",
            scene="lot",
        )


@njit(cache=True, error_model="numpy")
def _reset(
    rng: np.random.Generator, starts: Array, goal: Array, quads: Array, circles: Array, body: Body
) -> tuple[bool, Array, Array, Array, Array]:
    """The reset rule of ``parking.md`` 4.5; the noise is drawn again until the start is free."""
    start, target, bounds = np.empty(3), goal.copy(), np.empty(4)
    found = False
    for _ in range(RESET_TRIES):
        start[:] = starts[rng.integers(0, len(starts))]
        for axis in range(3):
            start[axis] += rng.normal(0.0, POSITION_NOISE if axis < 2 else HEADING_NOISE)
        if shapes.free_of_quads(start, body, quads, circles, len(quads)):
            found = True
            break
    shapes.finish(start, target, MARGIN, bounds)
    kept = np.empty_like(quads)
    count = cull(bounds, quads, kept)
    for pose in (target, start):
        if rng.random() < 0.5:
            shapes.turn_about_center(pose, body)
    return found, start, target, bounds, kept[:count].copy()
