"""From a suite name to a results table."""

if __name__ != "hybridrl.benchmarks":
    raise ImportError(
        "import hybridrl.benchmarks, not benchmarks: the repository root is on sys.path"
    )
