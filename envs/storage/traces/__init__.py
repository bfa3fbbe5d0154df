"""Traces of block requests: the format, loaders of public formats, synthetic workloads."""
