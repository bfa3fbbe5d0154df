"""The devices against queueing theory: closed forms, Little's law, calibration, priorities."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.config import make_config
from hybridrl.envs.storage.devices import DEVICES, DeviceSpec
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.kernels.background import add_job
from hybridrl.envs.storage.kernels.compiled import inner
from hybridrl.envs.storage.kernels.drivers import Hooks
from hybridrl.envs.storage.kernels.random import exponential, first_state
from hybridrl.envs.storage.kernels.records import EVICT, NONE, ONE, ZERO
from hybridrl.envs.storage.policy import Policy
from hybridrl.envs.storage.traces.trace import Trace

S = 100.0  # mean service, us
FAST = DeviceSpec("instant", channels=32, read_mbps=1e9, write_mbps=1e9, noise_base=1, noise_exp=0)
LOADS = (0.3, 0.7, 0.9)


def server(channels=1, exponential_service=True):
    """A device whose service is exponential or constant, of mean S, with no transfer time."""
    base, spread = (0.0, 1.0) if exponential_service else (1.0, 0.0)
    return DeviceSpec(
        "server",
        channels=channels,
        read_us=S,
        write_us=S,
        read_mbps=1e9,
        write_mbps=1e9,
        noise_base=base,
        noise_exp=spread,
    )


def poisson(load, channels, n, seed):
    gaps = np.random.default_rng(seed).exponential(S / (channels * load), n)
    return Trace.from_arrays(np.cumsum(gaps), np.zeros(n), np.ones(n), np.zeros(n))


def mean_latency(device, load, channels=1, n=1_000_000, rounds=3):
    """Mean latency of Poisson arrivals at one device, over a few long runs."""
    config = make_config(devices=(FAST, device), replay="open", decision_ns=0.0, backlog_us=1e9)
    total = 0.0
    for seed in range(rounds if load > 0.5 else 1):
        engine = HSSEngine(poisson(load, channels, n, seed), config, seed=seed, log=False)
        engine.run()
        total += float(engine.e.sys["latency_sum"][0]) / n
    return total / (seed + 1)


def erlang_c(load, channels):
    offered = load * channels
    terms = [offered**k / math.factorial(k) for k in range(channels)]
    last = offered**channels / math.factorial(channels) / (1 - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("load", LOADS)
def test_one_exponential_server_waits_as_m_m_1(load):
    assert mean_latency(server(), load) == pytest.approx(S / (1 - load), rel=0.02)


@pytest.mark.parametrize("load", LOADS)
def test_several_exponential_servers_wait_as_m_m_c(load):
    wait = erlang_c(load, 4) * S / (4 * (1 - load))
    assert mean_latency(server(4), load, 4) == pytest.approx(S + wait, rel=0.02)


@pytest.mark.parametrize("load", LOADS)
def test_one_constant_server_waits_as_m_d_1(load):
    expected = S * (1 + load / (2 * (1 - load)))
    assert mean_latency(server(exponential_service=False), load) == pytest.approx(
        expected, rel=0.02
    )


STREAM = np.dtype((np.record, np.dtype([("rng", "u8"), ("gap", "f8"), ("next", "f8")])))


@inner
def _second_class(e, p):
    """Poisson background jobs on the slow device, released before the next request arrives."""
    s, stream = e.sys[0], p[0]
    if s.i < s.n:
        until = e.req[s.first + s.i].t
        while stream.next < until and add_job(e, EVICT, ZERO, ONE, ONE, ZERO, NONE, stream.next):
            stream.next += stream.gap * exponential(stream)


def two_classes(first, second, n=600_000, device=None, log=False):
    """Mean latency of requests at load ``first`` with background work at load ``second``."""

    def stream(engine):
        state = np.zeros(1, STREAM)
        state["rng"], state["gap"], state["next"] = first_state(99), S / second, S / second
        return state

    policy = Policy("second class", Hooks(served=_second_class), stream)
    config = make_config(
        devices=(FAST, device or server()),
        replay="open",
        decision_ns=0.0,
        max_bg=400,
        backlog_us=1e9,
    )
    engine = HSSEngine(poisson(first, 1, n, 0), config, policy=policy, log=log)
    engine.run()
    busy = float(engine.e.dev["busy"][1, 1] / engine.e.sys["last_finish"][0])
    return float(engine.e.sys["latency_sum"][0]) / n, busy, engine


@pytest.mark.parametrize("load", LOADS)
def test_background_work_delays_requests_as_the_lower_of_two_priorities(load):
    first = second = load / 2
    latency, busy, _ = two_classes(first, second)
    # Non-preemptive priority (Cobham): the residual service of both classes, then class one only.
    residual = (first + second) * S
    assert busy == pytest.approx(second, rel=0.02)
    assert latency == pytest.approx(S + residual / (1 - first), rel=0.02)


def logged(config, policy="random", n=20_000, **options):
    rng = np.random.default_rng(3)
    trace = Trace.from_arrays(
        np.cumsum(rng.exponential(300, n)),
        rng.zipf(1.3, n) % 3000,
        rng.integers(1, 12, n),
        rng.random(n) < 0.5,
    )
    engine = HSSEngine(trace, config, policy=make_policy(policy), **options)
    engine.run()
    return engine


@pytest.mark.parametrize("replay", ["open", "closed"])
def test_littles_law_holds_for_the_events_of_a_run(replay):
    log = logged("perf", replay=replay, queue_depth=8).e.log
    arrive, leave = log["arrive"], log["arrive"] + log["latency"]
    times = np.concatenate((arrive, leave))
    steps = np.concatenate((np.ones(len(arrive)), -np.ones(len(leave))))
    order = np.argsort(times, kind="stable")
    in_system = np.cumsum(steps[order])[:-1]
    span = times.max() - times.min()
    mean_number = (in_system * np.diff(times[order])).sum() / span
    assert mean_number == pytest.approx(len(arrive) / span * log["latency"].mean(), rel=1e-9)


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("depth", [1, 4, 64])
def test_closed_replay_gives_the_throughput_that_a_device_is_calibrated_to(name, depth):
    n = 20_000
    rng = np.random.default_rng(0)
    pages = rng.integers(0, 1 << 20, n)
    trace = Trace.from_arrays(None, pages, np.ones(n), np.zeros(n))
    config = make_config(devices=(FAST, name), queue_depth=depth)
    engine = HSSEngine(trace, config)
    engine.run()
    spec = DEVICES[name]
    service = spec.read_4k_us()
    rate = n / float(engine.e.sys["last_finish"][0])
    busy = min(depth, spec.channels)
    assert rate == pytest.approx(busy / service, rel=0.03)
    mean = float(engine.e.log["latency"][depth:].mean())
    assert mean == pytest.approx(max(service, depth * service / spec.channels), rel=0.03)


def test_the_devices_have_the_figures_of_their_sheets():
    assert DEVICES["optane"].read_4k_us() == pytest.approx(8.9, rel=0.03)
    assert DEVICES["sata_tlc"].read_4k_us() == pytest.approx(90, rel=0.03)
    assert DEVICES["sata_tlc"].write_4k_us() == pytest.approx(45, rel=0.03)
    assert DEVICES["sata_low"].read_4k_us() == pytest.approx(150, rel=0.03)
    assert 1e6 / DEVICES["hdd"].read_4k_us() == pytest.approx(80, rel=0.03)
    iops = {"optane": 585e3, "sata_tlc": 97e3, "sata_low": 40e3}
    for name, most in iops.items():
        spec = DEVICES[name]
        assert spec.channels == round(most * spec.read_4k_us() / 1e6)


def test_a_full_write_buffer_drains_at_the_sustained_rate():
    n = 30_000
    trace = Trace.from_arrays(None, np.arange(n), np.ones(n), np.ones(n))
    engine = HSSEngine(trace, "perf", policy=make_policy("slow_only"), queue_depth=32)
    engine.run()
    spec = DEVICES["sata_tlc"]
    written = n * 4096 - spec.buffer_bytes
    rate = written / float(engine.e.sys["last_finish"][0])
    assert rate == pytest.approx(spec.sustained_mbps, rel=0.03)


def test_garbage_collection_amplifies_random_writes_as_greedy_cleaning_does():
    spec = replace(DEVICES["sata_tlc"], sustained_mbps=0, buffer_bytes=0)
    assert spec.amplification() == pytest.approx(2.29, rel=0.01)
    rng = np.random.default_rng(0)
    n = 60_000
    pages = {"random": rng.integers(0, 1 << 22, n), "sequential": np.arange(n)}
    blocks = {}
    for name, page in pages.items():
        trace = Trace.from_arrays(None, page, np.ones(n), np.ones(n))
        config = make_config(devices=("optane", spec), gc=True)
        engine = HSSEngine(trace, config, policy=make_policy("slow_only"))
        engine.e.dev["gc_random"] = 1.0
        engine.run()
        blocks[name] = float(engine.e.dev["gc_count"][1]) * 256 * 8192 / (n * 4096)
    # Logical neighbours by compaction are neighbours on the device as well.
    assert blocks["sequential"] < 1.2 < 2.1 < blocks["random"] < 2.4


def test_a_disk_moves_its_head_in_the_background_too():
    n = 2000
    trace = Trace.from_arrays(np.arange(n) * 1e5, np.arange(n), np.ones(n), np.zeros(n))
    still = HSSEngine(trace, "cost", replay="open")
    still.run()
    assert still.e.log["latency"][1:].max() < 1000  # sequential: no seek, no rotation

    moving = HSSEngine(trace, "cost", replay="open", policy=make_policy("hps"))
    for k in range(100, n, 100):
        moving.run(k)
        add_move(moving, n - k)
    moving.run()
    assert (moving.e.log["latency"] > 1000).sum() >= 10


def add_move(engine, page):
    from hybridrl.envs.storage.kernels.background import queue_move

    queue_move(engine.e, page, 1, 0, -1)


def test_every_channel_is_busy_at_most_all_the_time():
    for config in ("perf", "cost", "tri", "quad"):
        engine = logged(config, queue_depth=16, n=5000)
        assert (engine.utilisation() <= 1).all()


def test_no_channel_is_idle_while_a_request_waits():
    """With one-page reads, a request starts at once or when the first channel becomes free."""
    n = 5000
    trace = poisson(0.9, 4, n, 1)
    config = make_config(devices=(FAST, server(4, False)), replay="open", decision_ns=0.0)
    engine = HSSEngine(trace, config)
    engine.run()
    free = np.zeros(4)
    for arrive, latency in zip(engine.e.log["arrive"], engine.e.log["latency"], strict=True):
        j = int(free.argmin())
        free[j] = max(arrive, free[j]) + S
        assert arrive + latency == pytest.approx(free[j], abs=1e-3)


def test_a_request_waits_for_at_most_one_background_service_a_channel():
    constant = server(exponential_service=False)
    latency = [
        two_classes(0.4, second, n=20_000, device=constant, log=True)[2].e.log["latency"]
        for second in (1e-9, 0.5)
    ]
    delay = latency[1] - latency[0]
    assert -1e-3 <= delay.min() and S / 2 < delay.max() <= S + 1e-3
