"""The parking simulator in batched torch, for CPU or CUDA; imported only when asked for."""

from hybridrl.envs.parking.torch_backend.backend import (
    TorchParkingSimulator,
    decisions_per_second,
    make_pool,
)

__all__ = ["TorchParkingSimulator", "decisions_per_second", "make_pool"]
