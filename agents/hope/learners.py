"""Several learning processes: each drives its own scenes, all take the same gradient steps."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hybridrl.planners.errors import ScenarioError

if TYPE_CHECKING:
    from hybridrl.agents.hope.hope_ppo import HopePPO

PATIENCE = timedelta(minutes=10)  # for another process, before its silence is an error
_END = 20.0  # seconds that a worker has to end by itself
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Learners:
    """What one of the processes knows of the others (torch.distributed, gloo, this machine).

    Args:
        rank: Its number; 0 logs, saves and calls back.
        count: How many there are.
        meeting: A file in which they find each other.

    Raises:
        ScenarioError: If this process belongs to a group already.
    """

    def __init__(self, rank: int, count: int, meeting: Path) -> None:
        if dist.is_initialized():
            expected = "1 in a process that uses torch.distributed already"
            raise ScenarioError("workers", count, expected)
        self.rank = rank
        self.count = count
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group(
            "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=count,
            timeout=PATIENCE,
        )

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        _spread(flat, tensors)

    def add_up(self, counts: Tensor) -> None:
        """Replace a tensor by its sum over all processes."""
        dist.all_reduce(counts)

    def follow(self, module: nn.Module) -> None:
        """Take parameters and statistics from process 0."""
        state = [tensor.data for tensor in module.state_dict().values()]
        floats = [tensor for tensor in state if tensor.is_floating_point()]
        flat = torch.cat([tensor.reshape(-1).double() for tensor in floats])
        dist.broadcast(flat, src=0)
        _spread(flat, floats)

    def leave(self) -> None:
        """End the membership."""
        dist.destroy_process_group()


@contextmanager
def learners(model: HopePPO, total_timesteps: int, fresh: bool) -> Iterator[Learners]:
    """Start ``model.workers - 1`` more processes that learn with this one.

    Args:
        model: What they learn; its environment must be of the native vector form.
        total_timesteps: As given to ``learn``.
        fresh: Whether ``learn`` counts from 0.

    Raises:
        ScenarioError: If the environment cannot be made again or the device is not the CPU.
    """
    if model.device.type != "cpu":
        raise ScenarioError("device", str(model.device), 'device="cpu" with several workers')
    task = {
        "env": remade(model.env),
        "learn": {"total_timesteps": total_timesteps, "reset_num_timesteps": fresh},
        "seed": 0 if model.seed is None else model.seed,
        "count": model.workers,
    }
    with tempfile.TemporaryDirectory(prefix="hybridrl-") as name:
        folder = Path(name)
        model.save(folder / "model.zip")
        (folder / "task.pkl").write_bytes(pickle.dumps(task))
        workers = [_start(folder, rank) for rank in range(1, model.workers)]
        group = None
        try:
            group = Learners(0, model.workers, folder / "meeting")
            yield group
        finally:
            if group is not None:
                group.leave()
            for worker in workers:
                _end(worker)


def remade(env: Any) -> tuple[str, int, dict[str, Any]]:
    """Id, number and keywords that ``make_vec`` makes an equal environment from.

    Raises:
        ScenarioError: If it was not made by an id.
    """
    spec = env.get_attr("spec")[0] if env is not None and env.has_attr("spec") else None
    if spec is None or "num_envs" not in spec.kwargs:
        expected = "an environment from make_vec(id, n), where there are several workers"
        raise ScenarioError("env", env, expected)
    kwargs = dict(spec.kwargs)
    count = int(kwargs.pop("num_envs"))
    kwargs.pop("vectorization_mode", None)
    return str(spec.id), count, kwargs


def _start(folder: Path, rank: int) -> subprocess.Popen[bytes]:
    """A worker; it ends when its standard input does, so never after this process."""
    return subprocess.Popen(
        [sys.executable, "-m", "hybridrl.agents.hope.worker", str(folder), str(rank)],
        stdin=subprocess.PIPE,
        env={**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "GLOO_SOCKET_IFNAME": "lo"},
    )


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None:
        worker.stdin.close()
    try:
        worker.wait(_END)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
