"""What all tests share: repeatable randomness, the command line in an empty folder, and workers."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from typer.testing import CliRunner

settings.register_profile("ci", derandomize=True, max_examples=30, deadline=None)
settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent
# Compiled code that takes long to build -> what a test file that needs it speaks of.
KERNELS = {
    "parking": r"(envs|benchmarks)\.(parking|hope)|agents\.hope|hybridrl/Parking"
    r"|benchmarks import .*parking",
    "driving": r"(envs|benchmarks)\.driving|agents\.tell_drive|hybridrl/Driving",
    "storage": r"(envs|benchmarks)\.storage|agents\.(harmonia|sibyl|common\.compiled_q)",
    "nora": r"agents\.(nora|lsvi_ucb)|benchmarks import .*optimism_regret",
    "planners": r"hybridrl\.planners\.(?!errors)",
}


@cache
def group_of(file: Path) -> str | None:
    """Which tests share a worker: those of the same kernels, else those of the same file.

    Two workers that begin with the same kernels would both compile them. Pages and commands need
    kernels of all kinds: their tests come last, one by one, when these are compiled.
    """
    if file.parent.name in ("tests", "cli"):
        return None
    text = file.read_text(encoding="utf-8")
    return next((name for name, words in KERNELS.items() if re.search(words, text)), file.stem)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """``pytest -n 2`` gives the tests of a group to one worker, the largest groups first."""
    from xdist.scheduler import LoadScopeScheduling

    class ByKernels(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(ROOT / nodeid.partition("::")[0]) or nodeid

    return ByKernels(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that is the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def skewed_trace():
    """``skewed_trace(seed, requests, objects, skew, gap_us)``: half writes of Zipf's popularity."""
    from hybridrl.envs.storage.traces.trace import Trace

    def make(seed, requests, objects, skew, gap_us):
        rng = np.random.default_rng(seed)
        pages = (rng.zipf(skew, requests) % objects) * 4
        sizes, writes = rng.integers(1, 5, requests), rng.random(requests) < 0.5
        times = np.cumsum(rng.exponential(gap_us, requests))
        return Trace.from_arrays(times, pages, sizes, writes).compact()

    return make


@pytest.fixture
def hybridrl(tmp_path, monkeypatch):
    """Runs the command line in an empty folder: ``hybridrl("list", "envs")`` gives the result."""
    from hybridrl.cli import app

    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])
