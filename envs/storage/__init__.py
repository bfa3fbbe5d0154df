"""Hybrid storage: the compiled simulator, its devices, traces, workloads and baselines."""
