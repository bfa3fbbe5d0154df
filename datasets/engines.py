"""Who makes the pieces of a dataset: this process, or workers of Ray.

A piece depends on its number alone, so the dataset is the same whoever makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol

from hybridrl.datasets.errors import DatasetError
from hybridrl.datasets.on_ray import Died, run_tasks
from hybridrl.planners.errors import ScenarioError, UnknownNameError

ENGINES = ("serial", "ray")
# Number of a piece to what it holds; of a parallel engine it travels to the workers.
Make = Callable[[int], Any]
Pieces = Generator[tuple[int, Any], None, None]


class Engine(Protocol):
    """Makes pieces.

    Attributes:
        parallel: Whether they are made by other processes.
    """

    parallel: bool

    def pieces(self, make: Make, numbers: Iterator[int]) -> Pieces:
        """Numbers with their pieces, each as it is finished, in any order.

        Args:
            make: Makes one.
            numbers: Which; may be endless, as the iterator is closed when there are enough.

        Raises:
            DatasetError: If a piece's worker died each time.
        """
        ...


class Serial:
    """This process makes them, one after the other."""

    parallel = False

    def pieces(self, make: Make, numbers: Iterator[int]) -> Pieces:
        """See :class:`Engine`."""
        for number in numbers:
            yield number, make(number)


class OnRay:
    """Workers of Ray make them; one whose worker dies is made again.

    Args:
        jobs: Pieces at a time.
        address: Of a running cluster; one is started on this machine when ``None``.
    """

    parallel = True

    def __init__(self, jobs: int = 2, address: str | None = None) -> None:
        self._jobs, self._address = jobs, address

    def pieces(self, make: Make, numbers: Iterator[int]) -> Pieces:
        """See :class:`Engine`."""
        for number, piece in run_tasks(make, numbers, self._jobs, self._address):
            if isinstance(piece, Died):
                raise DatasetError(f"piece {number}", piece.error, "a worker that lives")
            yield number, piece


SERIAL: Engine = Serial()


def make_engine(name: str = "serial", jobs: int = 2, address: str | None = None) -> Engine:
    """An engine by its name.

    Args:
        name: One of :data:`ENGINES`.
        jobs: Pieces at a time, 1 or more.
        address: Of a running Ray cluster.

    Raises:
        UnknownNameError: If there is no such engine.
        ScenarioError: If ``jobs`` is below 1, or another engine is given an address.
    """
    check_engine(name, ENGINES, jobs, address)
    return OnRay(jobs, address) if name == "ray" else SERIAL


def check_engine(name: str, known: Sequence[str], jobs: int, address: str | None) -> None:
    """Refuse an engine that cannot be had as asked for.

    Args:
        name: Of the engine.
        known: Names of engines.
        jobs: Workers.
        address: Of a running Ray cluster, if one is named.

    Raises:
        UnknownNameError: If there is no such engine.
        ScenarioError: If ``jobs`` is below 1, or another engine than ``ray`` is given an address.
    """
    if name not in known:
        raise UnknownNameError("engine", name, known)
    if jobs < 1:
        raise ScenarioError("jobs", jobs, "a number of workers, 1 or more")
    if address is not None and name != "ray":
        raise ScenarioError("address", address, "--engine ray with it; no other engine has one")
