"""One trace of block requests, in pages."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridrl.envs.storage.kernels.records import MAX_REQUEST, REQUEST
from hybridrl.planners.errors import ScenarioError

MAX_PAGES = 1 << 31
_MAX_PAGE = 1 << 62


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests in the order of their arrival.

    Args:
        t_us: Arrival times, microseconds, not decreasing, shape ``(n,)``.
        page: First page of each request, shape ``(n,)``.
        npages: Length of each request in pages, shape ``(n,)``.
        write: Whether it writes, shape ``(n,)``.
        response_us: Response time that was recorded on the real device, shape ``(n,)``, or none.
        name: What to call it.
        timed: Whether the times mean something; without, only closed replay is possible.
        pages: Unique pages, once the trace is compact: pages are ``0..pages-1`` then.
        page_map: Original number of each page of a compact trace, shape ``(pages,)``.
        notes: What a loader repaired or skipped, one sentence each.

    Raises:
        ScenarioError: If arrays differ in length or hold a value that cannot be.
    """

    t_us: NDArray[np.float64]
    page: NDArray[np.int64]
    npages: NDArray[np.int32]
    write: NDArray[np.bool_]
    response_us: NDArray[np.float64] | None = None
    name: str = "trace"
    timed: bool = True
    pages: int | None = None
    page_map: NDArray[np.int64] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every array."""
        sizes = {len(self.t_us), len(self.page), len(self.npages), len(self.write)}
        if self.response_us is not None:
            sizes.add(len(self.response_us))
        if len(sizes) != 1:
            raise ScenarioError("lengths of the trace's arrays", sorted(sizes), "equal lengths")
        if not len(self):
            return
        _require("page", self.page, 0, _MAX_PAGE)
        _require("npages", self.npages, 1, MAX_REQUEST)
        if not np.isfinite(self.t_us).all() or (np.diff(self.t_us) < 0).any():
            falls = np.diff(self.t_us, prepend=-np.inf) < 0
            bad = int(np.flatnonzero(~np.isfinite(self.t_us) | falls)[0])
            raise ScenarioError(f"t_us[{bad}]", float(self.t_us[bad]), "finite, rising times")

    def __len__(self) -> int:
        """How many requests there are."""
        return len(self.page)

    @staticmethod
    def from_arrays(
        t_us: ArrayLike | None,
        page: ArrayLike,
        npages: ArrayLike,
        write: ArrayLike,
        *,
        name: str = "trace",
    ) -> Trace:
        """A trace of your own, from anything array-like.

        Args:
            t_us: Times in microseconds, not decreasing, or ``None`` for a trace without times.
            page: First pages.
            npages: Lengths in pages, from 1.
            write: True for writes.
            name: What to call it.

        Raises:
            ScenarioError: If lengths differ or a value cannot be.
        """
        first = np.asarray(page, np.int64)
        times = np.arange(len(first), dtype=np.float64) if t_us is None else t_us
        return Trace(
            np.asarray(times, np.float64),
            first,
            np.asarray(npages, np.int32),
            np.asarray(write, np.bool_),
            name=name,
            timed=t_us is not None,
        )

    def packed(self, time_scale: float = 1.0) -> NDArray[np.void]:
        """Requests as the engine reads them; times start at 0 and are scaled."""
        records = np.zeros(len(self), REQUEST)
        if len(self):
            records["t"] = (self.t_us - self.t_us[0]) * time_scale
        records["page"], records["npages"], records["write"] = self.page, self.npages, self.write
        return records

    def save(self, path: str | Path) -> Path:
        """Write the trace as a compressed ``.npz`` file without pickles, whole or not at all."""
        optional = {"response_us": self.response_us, "page_map": self.page_map}
        path = Path(path)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(
                    file,
                    t_us=self.t_us,
                    page=self.page,
                    npages=self.npages,
                    write=self.write,
                    name=np.array(self.name),
                    timed=np.array(self.timed),
                    pages=np.array(-1 if self.pages is None else self.pages),
                    notes=np.array(self.notes, dtype=np.str_),
                    **{key: value for key, value in optional.items() if value is not None},  # type: ignore[arg-type]
                )
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    @staticmethod
    def load(path: str | Path) -> Trace:
        """Read a trace that :meth:`save` wrote; nothing is unpickled.

        Raises:
            ScenarioError: If the file is not such a trace.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {key: file[key] for key in file.files}
            pages = int(data["pages"])
            return Trace(
                data["t_us"].astype(np.float64, copy=False),
                data["page"].astype(np.int64, copy=False),
                data["npages"].astype(np.int32, copy=False),
                data["write"].astype(np.bool_, copy=False),
                response_us=data.get("response_us"),
                name=str(data["name"]),
                timed=bool(data["timed"]),
                pages=None if pages < 0 else pages,
                page_map=data.get("page_map"),
                notes=tuple(str(note) for note in data["notes"]),
            )
        except ScenarioError:
            raise
        except Exception as error:
            raise ScenarioError(
                "trace file", str(path), f"an .npz that Trace.save wrote ({error})"
            ) from None

    def compact(self) -> Trace:
        """The same trace with its pages numbered densely, in order; the map is kept.

        Raises:
            ScenarioError: If more than 2^31 pages are touched.
        """
        if self.pages is not None:
            return self
        starts, lengths, offsets = _merge_runs(self.page, self.npages)
        total = int(lengths.sum())
        if total > MAX_PAGES:
            raise ScenarioError("unique pages", total, f"at most {MAX_PAGES}")
        run = np.searchsorted(starts, self.page, side="right") - 1
        dense = offsets[run] + (self.page - starts[run])
        within = np.arange(total) - np.repeat(offsets, lengths)
        page_map = np.repeat(starts, lengths) + within
        return replace(self, page=dense, pages=total, page_map=page_map)

    def stats(self) -> dict[str, float]:
        """Statistics; see :func:`hybridrl.envs.storage.traces.statistics.stats`."""
        from hybridrl.envs.storage.traces.statistics import stats

        return stats(self)

    def head(self, requests: int) -> Trace:
        """The first requests only, not compact any more."""
        return self.part(0, requests)

    def part(self, start: int, stop: int) -> Trace:
        """Requests ``start`` to ``stop``, with the original page numbers."""
        page = self.page if self.page_map is None else self.page_map[self.page]
        cut = slice(start, stop)
        response = None if self.response_us is None else self.response_us[cut]
        return replace(
            self,
            t_us=self.t_us[cut],
            page=page[cut],
            npages=self.npages[cut],
            write=self.write[cut],
            response_us=response,
            pages=None,
            page_map=None,
        )


def _require(name: str, values: NDArray[Any], low: int, high: int) -> None:
    bad = np.flatnonzero((values < low) | (values > high))
    if len(bad):
        value = int(values[bad[0]])
        raise ScenarioError(f"{name}[{bad[0]}]", value, f"{low} to {high}")


def _merge_runs(
    page: NDArray[np.int64], npages: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Runs of touched pages: starts, lengths, and dense number of each start."""
    order = np.argsort(page, kind="stable")
    first, last = page[order], (page + npages)[order]
    reach = np.maximum.accumulate(last) if len(last) else last
    fresh = np.ones(len(first), np.bool_)
    fresh[1:] = first[1:] > reach[:-1]
    starts = first[fresh]
    ends = reach[np.append(np.flatnonzero(fresh)[1:] - 1, len(first) - 1)] if len(first) else starts
    lengths = ends - starts
    return starts, lengths, np.cumsum(lengths) - lengths


def sorted_trace(
    times: NDArray[np.float64],
    page: NDArray[np.int64],
    npages: NDArray[np.int64],
    write: NDArray[np.bool_],
    response: NDArray[np.float64] | None,
    *,
    name: str,
    timed: bool,
    notes: list[str],
) -> Trace:
    """A trace in order of time; how many requests were out of order is noted."""
    back = int((np.diff(times) < 0).sum())
    if back:
        order = np.argsort(times, kind="stable")
        times, page, npages, write = times[order], page[order], npages[order], write[order]
        response = None if response is None else response[order]
        notes.append(f"times went back {back} times; the requests were sorted")
    return Trace(
        times,
        page,
        npages.astype(np.int32),
        write,
        response_us=response,
        name=name,
        timed=timed,
        notes=tuple(notes),
    )
