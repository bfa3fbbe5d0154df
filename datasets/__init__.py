"""Offline data: Minari in, Minari out."""

if __name__ != "hybridrl.datasets":
    raise ImportError("import hybridrl.datasets, not datasets: the repository root is on sys.path")
