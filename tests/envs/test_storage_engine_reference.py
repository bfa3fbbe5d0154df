"""The compiled engine against a slow one in plain Python: equal to the last bit."""

import math
from collections import OrderedDict

import numpy as np
import pytest

from hybridrl.envs.storage.baselines.registry import make_policy
from hybridrl.envs.storage.engine import HSSEngine
from hybridrl.envs.storage.traces.trace import Trace

MASK = (1 << 64) - 1
INF = math.inf


class Random:
    """xorshift64* on Python integers."""

    def __init__(self, seed):
        x = (seed + 0x9E3779B97F4A7C15) & MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        self.x = (x ^ (x >> 31)) or 1

    def uniform(self):
        self.x ^= self.x >> 12
        self.x = (self.x ^ (self.x << 25)) & MASK
        self.x ^= self.x >> 27
        return (float((self.x * 0x2545F4914F6CDD1D & MASK) >> 11) + 0.5) * 2.0**-53


class Device:
    """One device: channels, service times, the pages on it in order of use (last: most recent)."""

    def __init__(self, spec, cap, system):
        self.spec, self.cap, self.system = spec, cap, system
        self.free = [0.0] * spec.channels
        self.pages, self.reserved = OrderedDict(), 0
        self.head = 0
        self.fill, self.fill_at = 0.0, 0.0

    def room(self):
        return self.cap - len(self.pages) - self.reserved

    def part(self, t, page, count, write):
        spec, rng, size = self.spec, self.system.rng, float(count * 4096)
        j = self.free.index(min(self.free))
        start = max(t, self.free[j])
        service = spec.write_us if write else spec.read_us
        if spec.noise_exp:
            service *= spec.noise_base + spec.noise_exp * -math.log(rng.uniform())
        service += size * (1 / spec.write_mbps if write else 1 / spec.read_mbps)
        if spec.kind == "hdd":
            gap = abs(page - self.head)
            if gap:
                mean = spec.seek_write_us if write else spec.seek_read_us
                longest = (mean - spec.seek_min_us) * 15 / 8
                share = min(1.0, gap / float(self.system.span))
                seek = spec.seek_min_us + longest * math.sqrt(share)
                service += seek + rng.uniform() * (60e6 / spec.rpm)
            self.head = page + count
        if write and spec.buffer_bytes:
            drained = spec.sustained_mbps * max(0.0, start - self.fill_at)
            self.fill = max(0.0, self.fill - drained) + size
            self.fill_at = max(start, self.fill_at)
            service += max(0.0, self.fill - spec.buffer_bytes) / spec.sustained_mbps
        self.free[j] = start + service
        return self.free[j]

    def serve(self, t, page, count, write):
        stripe = 32 if len(self.free) > 1 else count
        return max(
            self.part(t, page + k, min(stripe, count - k), write) for k in range(0, count, stripe)
        )


class Job:
    def __init__(self, kind, page, count, src, dst, release, state):
        self.kind, self.page, self.count, self.src, self.dst = kind, page, count, src, dst
        self.release, self.state, self.finish = release, state, INF

    def covers(self, page, count):
        return self.page < page + count and page < self.page + self.count


class Reference:
    """The event model of the engine, with a placement rule and a rule for victims."""

    def __init__(self, trace, config, rule, act_on, seed, max_bg=10):
        self.rng = Random(seed)
        self.config, self.rule, self.all = config, rule, act_on == "all"
        self.trace, self.span, self.max_bg = trace, trace.pages, max_bg
        caps = config.capacities(trace.pages)
        self.devices = [Device(s, c, self) for s, c in zip(config.specs(), caps, strict=True)]
        self.loc = [len(self.devices) - 1] * trace.pages
        self.devices[-1].pages.update(dict.fromkeys(range(trace.pages)))
        self.count = [0] * trace.pages
        self.last = [-1] * trace.pages
        self.jobs, self.slots = [], [0.0] * config.queue_depth
        self.evictions = self.cancelled = self.moved = 0
        self.end, self.i = -1, 0
        rule.start(self)

    # Pages and jobs.

    def shift(self, page, device):
        self.devices[self.loc[page]].pages.pop(page)
        self.devices[device].pages[page] = None
        self.loc[page] = device

    def flying(self, page):
        return any(j.kind != "evict" and j.covers(page, 1) for j in self.jobs)

    def cancel(self, page, count):
        for job in [j for j in self.jobs if j.kind != "evict" and j.covers(page, count)]:
            self.jobs.remove(job)
            self.devices[job.dst].reserved -= job.count
            self.cancelled += 1

    def add(self, kind, page, count, src, dst, t):
        if len(self.jobs) >= self.max_bg:
            return False
        state = "write" if kind == "promote" else "read"
        self.jobs.append(Job(kind, page, count, src, dst, t, state))
        if kind != "evict":
            self.devices[dst].reserved += count
        return True

    def background(self, t):
        """Start and finish what happens before ``t``, in order of time."""
        while True:
            events = []
            for age, job in enumerate(self.jobs):
                if job.state == "writing":
                    events.append((job.finish, 0, job.release, age, job))
                else:
                    device = self.devices[job.src if job.state == "read" else job.dst]
                    events.append((max(min(device.free), job.release), 1, job.release, age, job))
            if not events or min(events)[0] >= t:
                return
            at, _, _, _, job = min(events)
            if job.state == "read":
                job.release = self.devices[job.src].serve(at, job.page, job.count, False)
                job.state = "write"
            elif job.state == "write":
                job.finish = self.devices[job.dst].serve(at, job.page, job.count, True)
                job.state = "writing"
            else:
                self.jobs.remove(job)
                if job.kind != "evict":
                    self.devices[job.dst].reserved -= job.count
                    for page in range(job.page, job.page + job.count):
                        self.shift(page, job.dst)
                        self.moved += 1
                        self.rule.arrived(self, page)

    # One request.

    def run(self):
        return [self.request(i) for i in range(len(self.trace))]

    def request(self, i):
        self.i = i
        self.page, self.n = int(self.trace.page[i]), int(self.trace.npages[i])
        self.write = bool(self.trace.write[i])
        self.sequential, self.end = self.page == self.end, self.page + self.n
        self.mine = range(self.page, self.page + self.n)
        slot = self.slots.index(min(self.slots))
        if self.config.replay == "closed":
            t = self.slots[slot]
        else:
            t = float(self.trace.t_us[i] - self.trace.t_us[0])
        self.background(t)
        decided = self.write or self.all
        self.ready, self.t = t, t
        if decided:
            self.ready = t + 0.24
            self.place(self.rule.place(self))
        finish = self.serve_write() if self.write else self.serve_read(decided)
        self.slots[slot] = finish
        self.rule.served(self)
        return t, finish - t

    def place(self, device):
        last = len(self.devices) - 1
        while device < last and self.devices[device].cap < self.n:
            device += 1
        self.device = device
        come = sum(self.loc[p] != device for p in self.mine)
        if any(self.flying(p) for p in self.mine):
            self.cancel(self.page, self.n)
        plan, need, at = {}, come - self.devices[device].room(), device
        while at < last and need > 0 and come:
            plan[at] = need
            at += 1
            need -= self.devices[at].room()
            need -= sum(self.loc[p] == at for p in self.mine) if self.write else 0
        self.make_room(plan)

    def make_room(self, plan):
        run = []
        for at in sorted(plan, reverse=True):
            for _ in range(plan[at]):
                victim = self.rule.victim(self, at)
                if victim is None:
                    for job in [j for j in self.jobs if j.kind != "evict" and j.dst == at]:
                        self.cancel(job.page, job.count)
                    break
                self.evict(victim, at)
                if run and run[2] == at and victim == run[0] + run[1]:
                    run[1] += 1
                elif run and run[2] == at and victim == run[0] - 1:
                    run[0], run[1] = victim, run[1] + 1
                else:
                    self.flush(run)
                    run = [victim, 1, at]
        self.flush(run)

    def evict(self, victim, at):
        if self.flying(victim):
            self.cancel(victim, 1)
        self.shift(victim, at + 1)
        self.rule.arrived(self, victim)
        self.evictions += 1
        self.moved += 1

    def flush(self, run):
        if run:
            page, count, src = run
            if not self.add("evict", page, count, src, src + 1, self.t):
                read = self.devices[src].serve(self.ready, page, count, False)
                self.ready = self.devices[src + 1].serve(read, page, count, True)

    def use(self, page):
        self.count[page] += 1
        self.last[page] = self.i

    def serve_write(self):
        for p in self.mine:
            self.shift(p, self.device)
            self.use(p)
        return self.devices[self.device].serve(self.ready, self.page, self.n, True)

    def serve_read(self, decided):
        for p in self.mine:
            self.devices[self.loc[p]].pages.move_to_end(p)
            self.use(p)
        finish = self.ready
        for k, device in enumerate(self.devices):
            here = [p for p in self.mine if self.loc[p] == k]
            if here:
                finish = max(finish, device.serve(self.ready, here[0], len(here), False))
        if decided:
            self.promote(finish)
        return finish

    def promote(self, t):
        p = self.page
        while p < self.page + self.n:
            src, q = self.loc[p], p + 1
            if src != self.device and not self.flying(p):
                while q in self.mine and self.loc[q] == src and not self.flying(q):
                    q += 1
                target = self.devices[self.device]
                if target.room() >= q - p and not self.add(
                    "promote", p, q - p, src, self.device, t
                ):
                    target.serve(t, p, q - p, True)
                    for page in range(p, q):
                        self.shift(page, self.device)
                        self.moved += 1
            p = q


class Rule:
    """Least recently used victims; ``choose`` is the placement."""

    def __init__(self, choose=None):
        self.choose = choose

    def start(self, r):
        pass

    def place(self, r):
        return self.choose(r)

    def served(self, r):
        pass

    def arrived(self, r, page):
        pass

    def victim(self, r, device):
        allowed = (p for p in r.devices[device].pages if p not in r.mine)
        first = None
        for page in allowed:
            if not r.flying(page):
                return page
            first = page if first is None else first
        return first


class RandomRule(Rule):
    def start(self, r):
        self.rng = Random(5 + 7919)

    def place(self, r):
        return int(self.rng.uniform() * len(r.devices))


def cde(r):
    if r.count[r.page] >= 4:
        return 0
    if not r.sequential and r.n <= 4:
        return 0 if len(r.devices) == 2 else 1
    return len(r.devices) - 1


class Keyed(Rule):
    """The victim has the largest (key, page) of the pages that may go."""

    def start(self, r):
        n, self.key = len(r.trace), [0.0] * r.trace.pages
        self.next, seen = [None] * n, [n] * r.trace.pages
        for i in range(n - 1, -1, -1):
            pages = range(int(r.trace.page[i]), int(r.trace.page[i] + r.trace.npages[i]))
            self.next[i] = [seen[p] for p in pages]
            for p in pages:
                seen[p] = i

    def largest(self, r, device):
        allowed = [p for p in r.devices[device].pages if p not in r.mine]
        best = max(allowed, key=lambda p: (self.key[p], p), default=None)
        if best is not None and r.flying(best):
            allowed = [p for p in allowed if not r.flying(p)]
            best = max(allowed, key=lambda p: (self.key[p], p), default=None)
        return best

    def victim(self, r, device):
        page = self.largest(r, device)
        return page if page is not None else super().victim(r, device)


class Lfu(Keyed):
    def place(self, r):
        return 0

    def served(self, r):
        for p in r.mine:
            self.key[p] = -float(r.count[p])


class Future(Keyed):
    def __init__(self, read=None, write=INF):
        self.read, self.write = read, write

    def served(self, r):
        for p, use in zip(r.mine, self.next[r.i], strict=True):
            self.key[p] = float(use)

    def place(self, r):
        use, last, here = float(self.next[r.i][0]), len(r.devices) - 1, r.loc[r.page]
        if self.read is not None:
            n = len(r.trace)
            if use - r.i <= (self.write * n if r.write else self.read * n):
                return 0
            return last if r.write else here
        choice = last
        for device in range(last):
            worst = self.largest(r, device)
            if r.devices[device].room() >= r.n or (worst is not None and self.key[worst] > use):
                choice = device
                break
        return choice if r.write else min(choice, here)


RULES = {
    "slow_only": lambda: Rule(lambda r: len(r.devices) - 1),
    "lru_write": lambda: Rule(lambda r: 0),
    "lru_all": lambda: Rule(lambda r: 0),
    "random": RandomRule,
    "cde": lambda: Rule(cde),
    "lfu": Lfu,
    "oracle_belady": Future,
    "oracle_r0.1": lambda: Future(0.1),
    "oracle_r0.01_w0.01": lambda: Future(0.01, 0.01),
}


def some_requests(n=10_000, seed=2):
    rng = np.random.default_rng(seed)
    return Trace.from_arrays(
        np.cumsum(rng.exponential(400, n)),
        rng.zipf(1.2, n) % 400 * 3,
        np.minimum(rng.geometric(0.3, n), 40),
        rng.random(n) < 0.5,
    ).compact()


@pytest.mark.filterwarnings("ignore:.*saturated")
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("perf", {"replay": "closed", "queue_depth": 4}),
        ("cost", {"replay": "open", "backlog_us": 1e15}),
        ("tri", {"replay": "closed"}),
    ],
)
def test_the_compiled_engine_equals_the_plain_one(name, config, options):
    trace = some_requests(10_000 if config == "perf" else 2_000)
    policy = make_policy(name)
    engine = HSSEngine(trace, config, seed=5, policy=policy, **options)
    engine.run()
    slow = Reference(trace, engine.config, RULES[name](), policy.act_on, 5)
    log = np.array(slow.run())
    assert (engine.e.log["arrive"] == log[:, 0]).all()
    assert (engine.e.log["latency"] == log[:, 1]).all()
    assert engine.e.page["loc"].tolist() == slow.loc
    s = engine.e.sys[0]
    assert (s["evictions"], s["cancelled"]) == (slow.evictions, slow.cancelled)
    assert s["moved_pages"] == slow.moved
    engine.check()
