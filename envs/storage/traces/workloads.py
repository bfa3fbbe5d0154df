"""The named suite of 17 workloads (storage.md 7.4).

Ours: synthetic traces with the statistics below. The first fourteen carry the names of the MSR
Cambridge volumes that they resemble. Their write shares are well known; the other columns are
recalled from the literature, and popularity, drift and scans are our choice. Given the real trace,
:func:`~hybridrl.envs.storage.traces.fit.fit` replaces them.
"""

from __future__ import annotations

from hybridrl.envs.storage.config import HSSConfig
from hybridrl.envs.storage.traces.synthetic import WorkloadSpec, generate, set_load
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import UnknownNameError

# name: write share (%), mean KiB, accesses of a first page, unique first pages, theta, phases, scan
_TABLE: dict[str, tuple[float, float, float, int, float, int, float]] = {
    "hm_1": (4.7, 15.2, 44.5, 6_265, 1.1, 4, 0.05),
    "mds_0": (88.1, 9.6, 3.5, 31_933, 0.8, 4, 0.1),
    "prn_1": (24.7, 20.0, 2.6, 6_891, 0.7, 6, 0.3),
    "proj_0": (87.5, 38.0, 48.3, 1_381, 1.0, 2, 0.05),
    "proj_2": (12.4, 42.4, 2.9, 27_967, 0.6, 6, 0.4),
    "proj_3": (5.2, 9.6, 3.6, 19_397, 0.8, 4, 0.3),
    "prxy_0": (96.9, 7.2, 95.7, 525, 1.2, 2, 0.0),
    "prxy_1": (34.5, 12.8, 150.1, 6_845, 1.2, 2, 0.0),
    "rsrch_0": (90.7, 10.0, 34.7, 5_504, 1.0, 4, 0.05),
    "src1_0": (43.6, 43.2, 12.7, 13_640, 0.8, 4, 0.2),
    "stg_1": (36.3, 40.8, 1.1, 3_787, 0.5, 4, 0.6),
    "usr_0": (59.6, 22.8, 19.7, 2_138, 0.9, 4, 0.1),
    "wdev_2": (99.9, 8.0, 17.7, 4_270, 1.0, 2, 0.0),
    "web_1": (45.9, 29.6, 1.2, 6_095, 0.6, 4, 0.5),
    "vdi_mix": (65.0, 24.0, 5.0, 40_000, 0.9, 8, 0.1),
    "ycsb_a": (50.0, 4.0, 20.0, 50_000, 0.99, 1, 0.0),
    "ycsb_d": (5.0, 4.0, 20.0, 50_000, 0.99, 1, 0.0),
}
WORKLOADS: dict[str, WorkloadSpec] = {
    name: WorkloadSpec(
        name=name,
        write_share=row[0] / 100,
        mean_kib=row[1],
        accesses=row[2],
        first_pages=row[3],
        theta=row[4],
        phases=row[5],
        scan=row[6],
        sequential=0.0 if name.startswith("ycsb") else 0.1,
        latest=name == "ycsb_d",
    )
    for name, row in _TABLE.items()
}


def make_workload(
    name: str,
    seed: int = 0,
    scale: float = 1.0,
    config: str | HSSConfig = "perf",
    load: float = 0.3,
) -> Trace:
    """A trace of the suite.

    Args:
        name: One of :data:`WORKLOADS`.
        seed: Of the generator.
        scale: Factor on requests and pages.
        config: For whose slowest device the arrival times are set.
        load: Utilisation of that device if it served everything alone.

    Raises:
        UnknownNameError: If there is no such workload.
    """
    if name not in WORKLOADS:
        raise UnknownNameError("workload", name, WORKLOADS)
    return set_load(generate(WORKLOADS[name].scaled(scale), seed), config, load)


def with_shift(first: Trace, second: Trace, name: str = "shift") -> Trace:
    """One workload, and half-way another: for the adaptation test.

    Args:
        first: Runs to its end; its pages come first.
        second: Follows at once, over pages of its own.
        name: Of the result.
    """
    import numpy as np

    a, b = first.compact(), second.compact()
    gap = float(np.diff(a.t_us).mean()) if len(a) > 1 else 1.0
    return Trace(
        np.concatenate((a.t_us, b.t_us - b.t_us[0] + a.t_us[-1] + gap)),
        np.concatenate((a.page, b.page + (a.pages or 0))),
        np.concatenate((a.npages, b.npages)),
        np.concatenate((a.write, b.write)),
        name=name,
        timed=a.timed and b.timed,
    ).compact()
