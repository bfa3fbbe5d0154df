"""Fuzz parsers for some seconds each: ``python tests/fuzz/run.py --seconds 150 [TARGET ...]``.

Coverage-guided, by Atheris (libFuzzer), in a process for each target. A line of JSON for each says
how many inputs were tried, how many were refused with an error of ours, what else was raised, and
whether the process hung or died. Inputs that raised something else stay in ``--crashes``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

# Compiled kernels show no branches, but tell when they leave an array.
os.environ["NUMBA_BOUNDSCHECK"] = "1"
sys.path.insert(0, str(Path(__file__).parent))
HANG = 60  # seconds for one input


class Count:
    """Numbers of a run, kept in a file, as the fuzzer ends its process itself."""

    def __init__(self, file: Path, crashes: Path) -> None:
        self.file, self.crashes = file, crashes
        self.inputs = self.refused = 0
        self.others: dict[str, str] = {}
        self._written = 0.0

    def tell(self, force: bool = False) -> None:
        """Write, once in a while."""
        if force or time.monotonic() - self._written > 0.5:
            self._written = time.monotonic()
            told = {"inputs": self.inputs, "refused": self.refused, "others": self.others}
            self.file.write_text(json.dumps(told))

    def other(self, name: str, error: BaseException, data: bytes) -> None:
        """Keep the first input for each kind of error and place."""
        places = traceback.extract_tb(error.__traceback__)
        own = [place for place in places if "/fuzz/" not in place.filename][-1:] or places[-1:]
        kind = f"{type(error).__name__} at {Path(own[0].filename).name}:{own[0].lineno}"
        if kind not in self.others:
            self.crashes.mkdir(parents=True, exist_ok=True)
            file = self.crashes / f"{name}-{hashlib.sha1(data).hexdigest()[:12]}"
            file.write_bytes(data)
            self.others[kind] = f"{error} ({file})"[:300]
            self.tell(force=True)


def main() -> int:
    """Fuzz what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"))
    parser.add_argument("--corpus", type=Path, help="folder that keeps what was found")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        fuzz(asked.targets[0], asked)
    from targets import TARGETS

    with tempfile.TemporaryDirectory(prefix="fuzz-numba-") as cache:
        os.environ.setdefault("NUMBA_CACHE_DIR", cache)  # other kernels than those in use
        bad = [one(name, asked) for name in asked.targets or TARGETS]
    return int(any(bad))


def one(name: str, asked: argparse.Namespace) -> bool:
    """Fuzz one target in a process of its own; whether something was wrong."""
    from fuzzing import memory

    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory()) as here:
        count, started = Path(here) / "count.json", time.monotonic()
        words = [name, "--seconds", asked.seconds, "--crashes", asked.crashes, "--child", count]
        words += ["--corpus", asked.corpus / name if asked.corpus else Path(here) / "corpus"]
        command = [sys.executable, "-P", __file__, *map(str, words)]
        with (Path(here) / "log").open("w+") as log:
            given = {**os.environ, "FUZZ_FOLDER": here}
            code = subprocess.run(command, stdout=log, stderr=log, env=given).returncode
            log.seek(0)
            end = log.read()[-2000:]
        told = json.loads(count.read_text()) if count.exists() else {"inputs": 0, "others": {}}
    dead = "" if code == 0 else end
    spent = round(time.monotonic() - started)
    print(json.dumps({"target": name, "seconds": spent, **told, "died": dead}), flush=True)
    return bool(dead or told["others"])


def fuzz(name: str, asked: argparse.Namespace) -> None:
    """Fuzz one target in this process, which the fuzzer ends."""
    import atheris
    from fuzzing import ours
    from targets import TARGETS

    warnings.simplefilter("ignore")
    target, count = TARGETS[name], Count(asked.child, asked.crashes)
    importlib.import_module("hybridrl.envs.storage.traces.parse")  # compiled: not to be watched
    with atheris.instrument_imports(include=list(target.modules)):
        for module in target.modules:
            load(module)
        known = ours()
    corpus = Path(asked.corpus)
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)

    def once(data: bytes) -> None:
        count.inputs += 1
        try:
            target.parse(data)
        except known:
            count.refused += 1
        except Exception as error:
            count.other(name, error, data)
        count.tell()

    options = [f"-max_total_time={asked.seconds}", f"-timeout={HANG}", "-rss_limit_mb=3000"]
    options += ["-max_len=4096", "-print_final_stats=1", f"-artifact_prefix={asked.crashes}/"]
    asked.crashes.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


def load(name: str) -> None:
    """Import a module, and what stands in it where it is a package of ours."""
    module = importlib.import_module(name)
    if name.startswith("hybridrl.") and hasattr(module, "__path__"):
        for found in pkgutil.iter_modules(module.__path__):
            if found.name not in ("comblock", "parking_demos"):
                importlib.import_module(f"{name}.{found.name}")


if __name__ == "__main__":
    sys.exit(main())
