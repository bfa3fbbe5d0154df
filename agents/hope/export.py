"""A parking policy as ONNX: observations in, decisions out, normalisation and mask inside."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridrl.agents.hope.features import LIDAR, MASK, PARTS, feature_rows, parts_of
from hybridrl.agents.hope.policy import HopePolicy, HopeTokenPolicy
from hybridrl.agents.hope.sac_policy import HopeSACPolicy
from hybridrl.agents.hope.weights import fill_policy, read_weights
from hybridrl.planners.errors import ScenarioError, UnknownNameError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
BATCH = 16  # observations of the round trip
_POLICIES: dict[str, type[HopePolicy]] = {
    "HopePolicy": HopePolicy,
    "HopeTokenPolicy": HopeTokenPolicy,
}
_INPUTS = ("action_mask", "lidar", "target", "ego", "vehicle")

Observation = dict[str, NDArray[np.float32]]


class ExportedMotions(nn.Module):
    """Observations to ``log_probs`` of the 42 motions, shape ``(N, 42)``.

    Args:
        policy: Of a ``HopePPO``.
    """

    output = "log_probs"

    def __init__(self, policy: HopePolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(
        self,
        action_mask: Tensor,
        lidar: Tensor,
        target: Tensor,
        ego: Tensor | None = None,
        vehicle: Tensor | None = None,
    ) -> Tensor:
        """Masked log-probabilities; forbidden motions are below -1e7."""
        return self.policy.log_probs(_rows(action_mask, lidar, target, ego, vehicle))


class ExportedSteps(nn.Module):
    """Observations to the most likely ``action``: steering and step in [-1, 1], ``(N, 2)``.

    Args:
        policy: Of a ``HopeSAC``.
    """

    output = "action"

    def __init__(self, policy: HopeSACPolicy) -> None:
        super().__init__()
        self.actor = policy.actor

    def forward(
        self,
        action_mask: Tensor,
        lidar: Tensor,
        target: Tensor,
        ego: Tensor | None = None,
        vehicle: Tensor | None = None,
    ) -> Tensor:
        """Steps are scaled to what the mask leaves free."""
        rows = _rows(action_mask, lidar, target, ego, vehicle)
        return self.actor.draw(rows, deterministic=True)[0]


def export_onnx(policy: HopePolicy | HopeSACPolicy, out: Path) -> dict[str, float]:
    """Write a policy as ONNX with a free batch size, and compare what the file computes.

    Args:
        policy: Of a ``HopePPO`` or a ``HopeSAC``.
        out: File to write.

    Returns:
        Largest absolute difference to torch on random observations (in probabilities, or in
        normalised actions), and the file's size in bytes.

    Raises:
        ScenarioError: If the extra ``onnx`` is missing, the policy is another one, or the file
            computes something else.
    """
    require_onnx()
    module = _module_of(policy).cpu().eval()
    space = policy.observation_space
    seen = random_observations(space, BATCH)
    tensors = {key: torch.from_numpy(value) for key, value in seen.items()}
    batch = torch.export.Dim("batch", min=1)
    with _quiet():
        torch.onnx.export(
            module,
            kwargs=tensors,
            f=str(out),
            input_names=list(tensors),
            output_names=[module.output],
            dynamic_shapes={key: {0: batch} for key in tensors},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    gap = max_difference(module, out, space)
    if not gap < 1e-4:
        raise ScenarioError(str(out), gap, "an export whose round trip agrees to 1e-4")
    return {"max_abs_difference": gap, "bytes": out.stat().st_size}


def max_difference(module: Any, file: Path, space: spaces.Space[Any], seed: int = 1) -> float:
    """Largest absolute difference between torch and ONNX Runtime on random observations.

    Args:
        module: :class:`ExportedMotions` or :class:`ExportedSteps`.
        file: That :func:`export_onnx` wrote.
        space: Of the observations.
        seed: Of them.
    """
    session = onnx_session(file)
    gap = 0.0
    for count in (1, 7, 64):  # the batch size is free
        seen = random_observations(space, count, seed + count)
        with torch.no_grad():
            expected = module(**{k: torch.from_numpy(v) for k, v in seen.items()}).numpy()
        (found,) = session.run(None, seen)
        if module.output == "log_probs":
            expected, found = np.exp(expected), np.exp(found)
        gap = max(gap, float(np.abs(expected - found).max()))
    return gap


def onnx_session(file: Path) -> Any:
    """ONNX Runtime's session of a file, on one CPU thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def policy_from_weights(folder: Path) -> HopePolicy:
    """The policy of a weights folder, without an environment.

    Raises:
        ScenarioError: If a file is missing or damaged.
        UnknownNameError: If its policy class is none of ours.
    """
    tensors, description = read_weights(folder)
    name = description["policy"]
    if name not in _POLICIES:
        raise UnknownNameError("policy", name, _POLICIES)
    policy = _POLICIES[name](
        _space_of(int(description["inputs"])),
        spaces.Discrete(MASK),
        lambda progress: 0.0,
        net_arch=description["net_arch"],
        activation_fn=getattr(nn, description["activation"]),
        normalize=description.get("normalize", False),
    )
    fill_policy(policy, tensors, str(folder))
    return policy


def random_observations(space: spaces.Space[Any], count: int, seed: int = 0) -> Observation:
    """Plausible observations of a parking environment, each with some motions blocked.

    Args:
        space: Its observation space.
        count: How many.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    parts: Mapping[str, Any] = space.spaces  # type: ignore[attr-defined]
    seen = {
        key: rng.uniform(parts[key].low, parts[key].high, (count, *parts[key].shape))
        for key in _INPUTS
        if key in parts
    }
    seen["action_mask"] *= rng.random((count, MASK)) < 0.6
    return {key: value.astype(np.float32) for key, value in seen.items()}


def require_onnx() -> None:
    """Refuse to go on without the extra ``onnx``.

    Raises:
        ScenarioError: Naming what is missing and the command that installs it.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        fix = "the extra onnx: pip install 'hybridrl[onnx]'"
        raise ScenarioError("installed packages", f"no {', '.join(missing)}", fix)


def _rows(
    action_mask: Tensor, lidar: Tensor, target: Tensor, ego: Tensor | None, vehicle: Tensor | None
) -> Tensor:
    seen = {"action_mask": action_mask, "lidar": lidar, "target": target}
    seen |= {k: v for k, v in (("ego", ego), ("vehicle", vehicle)) if v is not None}
    rows: Tensor = feature_rows(seen, torch)
    return rows


def _module_of(policy: HopePolicy | HopeSACPolicy) -> Any:
    if isinstance(policy, HopePolicy):
        return ExportedMotions(policy)
    if isinstance(policy, HopeSACPolicy):
        return ExportedSteps(policy)
    raise ScenarioError("policy", type(policy).__name__, "that of a HopePPO or a HopeSAC")


def _space_of(inputs: int) -> spaces.Dict:
    distance = np.array([50, 1, 1, 1, 1], np.float32)
    parts: dict[str, spaces.Space[Any]] = {
        "action_mask": spaces.Box(0.0, 1.0, (MASK,), np.float32),
        "lidar": spaces.Box(0.0, 10.0, (LIDAR,), np.float32),
        "target": spaces.Box(np.array([0, -1, -1, -1, -1], np.float32), distance),
    }
    optional = {"ego": (4,), "vehicle": (PARTS["vehicle"],)}
    for name in parts_of(inputs):
        if name in optional:
            parts[name] = spaces.Box(-1.0, 1.0, optional[name], np.float32)
    return spaces.Dict(parts)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of its own operators; none of that is about the policy."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
