"""All updates of a call of ``train`` recorded once as one CUDA graph, and replayed from then on.

On a GPU small networks wait for the host to launch one operation after the other; a graph is one
launch. What it reads and writes must stay where it is: rows are copied into one tensor, learning
rates are tensors, and metrics are copied out. Everything else that an agent holds as a Python
number (``gamma``, ``tau``, ``target_entropy``) stays as it was when the graph was recorded.

This has never been run on a GPU: the tests run it on a CPU with a recorder that only repeats.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch
from torch import Tensor

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.replay import HybridReplayBuffer
from hybridrl.planners.errors import ScenarioError

REHEARSALS = 3  # eager calls before the recording: states of optimisers and libraries are made
Work = Callable[[], None]


class Recorder(Protocol):
    """Runs work before it is recorded, and records it."""

    def rehearse(self, work: Work) -> None:
        """Run it now."""

    def record(self, work: Work) -> Work:
        """What repeats it on the same tensors; nothing has been computed yet."""


class CudaRecorder:
    """Records on the current CUDA device; rehearses on a side stream, as torch asks for."""

    def rehearse(self, work: Work) -> None:
        """Run it now, after and before all that the current stream does."""
        current = torch.cuda.current_stream()
        side: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            work()
        current.wait_stream(side)

    def record(self, work: Work) -> Work:
        """Replays the graph of all launches of ``work``."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay


class RecordedUpdates:
    """The updates of ``train`` on rows that are drawn beforehand.

    Args:
        model: An agent whose ``learn_from(batch, follow)`` needs nothing but networks and batch.
        recorder: Of the device.
    """

    def __init__(self, model: Any, recorder: Recorder) -> None:
        self.model, self.recorder = model, recorder
        self._recorded: dict[Hashable, _Recording] = {}

    def __call__(self, count: int, batch_size: int) -> dict[str, Tensor]:
        """Do so many updates; means of their metrics on the device."""
        draws = [self.model.draw_rows(batch_size) for _ in range(count)]
        rows, n_offline = torch.stack([drawn for drawn, _ in draws]), draws[0][1]
        optimizers: list[LeanAdam] = self.model.optimizers()
        for optimizer in optimizers:
            optimizer.hold_rates()
        # Loading replaces the states of optimisers, which a graph would go on writing to.
        key = (rows.shape, n_offline, *(optimizer.loads for optimizer in optimizers))
        if key not in self._recorded:
            self._recorded[key] = _Recording(self.model, rows, n_offline)
        return self._recorded[key].run(rows, self.recorder)


class _Recording:
    """One shape of rows: ``(updates, B, width)`` with ``n_offline`` of each batch offline."""

    def __init__(self, model: Any, rows: Tensor, n_offline: int) -> None:
        self.model, self.n_offline = model, n_offline
        self.rows = torch.empty_like(rows)
        self.metrics: dict[str, Tensor] = {}
        self.rehearsed = 0
        self.replay: Work | None = None

    def run(self, rows: Tensor, recorder: Recorder) -> dict[str, Tensor]:
        """Update on these rows."""
        self.rows.copy_(rows)
        if self.rehearsed < REHEARSALS:
            self.rehearsed += 1
            recorder.rehearse(self._work)
        else:
            if self.replay is None:
                self.replay = recorder.record(self._work)
            self.replay()
        return {name: value.clone() for name, value in self.metrics.items()}

    def _work(self) -> None:
        found: dict[str, list[Tensor]] = {}
        for step, rows in enumerate(self.rows):
            batch = self.model.replay_buffer.unpacked(rows, self.n_offline)
            for name, value in self.model.update_number(step, batch).items():
                found.setdefault(name, []).append(value)
        self.metrics = {name: torch.stack(values).mean() for name, values in found.items()}


def recorded_updates(model: Any) -> RecordedUpdates | None:
    """Recorded updates of an agent; without a CUDA device a warning, and ``None`` for eager ones.

    Raises:
        ScenarioError: If the agent's updates are not always the same operations on the device.
    """
    networks = (model.actor, model.critic)
    lean = all(isinstance(network.optimizer, LeanAdam) for network in networks)
    wrong = {
        "another policy than one with ensemble critics": not lean,
        "offline_fraction='uniform'": model.uniform,
        "VecNormalize": model._vec_normalize_env is not None,
        "augmented pictures": getattr(model.policy, "augmented", None) is not None,
        "n_steps or another buffer": type(model.replay_buffer) is not HybridReplayBuffer,
        f"the update of {type(model).__name__}": not model.recordable,
    }
    for what, found in wrong.items():
        if found:
            raise ScenarioError("cuda_graph", True, f"False with {what}")
    if model.device.type != "cuda":
        warnings.warn(f"cuda_graph: updates on {model.device} are not recorded", stacklevel=2)
        return None
    return RecordedUpdates(model, CudaRecorder())
