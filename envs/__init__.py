"""Gymnasium environments for parking, driving, hybrid storage and dynamics gaps."""

if __name__ != "hybridrl.envs":
    raise ImportError("import hybridrl.envs, not envs: the repository root is on sys.path")
