"""What ``hybridrl speed storage`` times: whole-trace replay, beside a loop in plain Python."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from hybridrl.benchmarks.speed import Subject
from hybridrl.envs.storage.baselines.heuristics import HOT, SMALL
from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.devices import DEVICES
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.traces.synthetic import WorkloadSpec, generate
from hybridrl.envs.storage.traces.trace import Trace

PAGES = 100_000
PEER = "plain Python, cde"


def storage_subjects(seed: int) -> list[Subject]:
    """Requests a second at 10^5 pages, 4 KiB requests, half of them writes, Zipf 0.99."""
    spec = WorkloadSpec(
        name="speed", write_share=0.5, mean_kib=4, accesses=10, first_pages=PAGES, theta=0.99
    )
    trace = generate(spec, seed)
    return [
        Subject("cde, noise on", "requests", _replay(trace, "cde", noise=True), PEER),
        Subject("lru_write, noise on", "requests", _replay(trace, "lru_write", noise=True), PEER),
        Subject("cde, open replay, noise on", "requests", _open(trace, "cde"), PEER),
        Subject("cde, noise off", "requests", _replay(trace, "cde", noise=False), PEER),
        Subject("slow_only, noise off", "requests", _replay(trace, "slow_only", noise=False), PEER),
        Subject(PEER, "requests", _plain(trace, seed)),
    ]


def _replay(trace: Trace, policy: str, **options: Any) -> Callable[[], int]:
    engine = HSSEngine(trace, "perf", policy=make_policy(policy), log=False, **options)
    step = 100_000

    def work() -> int:
        if engine.position + step > len(trace):
            engine.reset()
        engine.run(engine.position + step)
        return step

    return work


def _open(trace: Trace, policy: str) -> Callable[[], int]:
    from hybridrl.envs.storage.traces.synthetic import set_load

    return _replay(set_load(trace, "perf", 0.3), policy, noise=True, replay="open")


def _plain(trace: Trace, seed: int, count: int = 2000) -> Callable[[], int]:
    """The same policy on two devices, single pages, as a Python programmer would write it."""
    requests = list(zip(trace.page.tolist(), trace.write.tolist(), strict=True))
    devices = [DEVICES["optane"], DEVICES["sata_tlc"]]
    free = [[0.0] * device.channels for device in devices]
    fast: OrderedDict[int, None] = OrderedDict()
    counts: dict[int, int] = {}
    draw = random.Random(seed).expovariate
    state = {"at": 0, "now": 0.0, "end": -1}

    def serve(k: int, now: float, write: bool) -> float:
        device, channels = devices[k], free[k]
        j = channels.index(min(channels))
        base = device.write_us if write else device.read_us
        rate = device.write_mbps if write else device.read_mbps
        service = base * (device.noise_base + device.noise_exp * draw(1.0)) + 4096 / rate
        channels[j] = max(now, channels[j]) + service
        return channels[j]

    def request(page: int, write: bool) -> None:
        now = state["now"]
        if write:
            hot = counts.get(page, 0) >= HOT
            small = page != state["end"] and SMALL >= 1
            if hot or small:
                fast[page] = None
                fast.move_to_end(page)
                if len(fast) > PAGES // 10:
                    fast.popitem(last=False)
                    serve(1, serve(0, now, False), True)
            else:
                fast.pop(page, None)
        elif page in fast:
            fast.move_to_end(page)
        counts[page] = counts.get(page, 0) + 1
        state["end"] = page + 1
        state["now"] = serve(0 if page in fast else 1, now + 0.24, write)

    def work() -> int:
        for _ in range(count):
            page, write = requests[int(state["at"])]
            request(page, write)
            state["at"] = (state["at"] + 1) % len(requests)
        return count

    return work
