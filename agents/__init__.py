"""Learning algorithms in the shape of Stable-Baselines3."""

if __name__ != "hybridrl.agents":
    raise ImportError("import hybridrl.agents, not agents: the repository root is on sys.path")
