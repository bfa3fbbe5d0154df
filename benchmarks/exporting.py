"""From the name of a policy to a file that runs without Python."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from hybridrl.benchmarks.planning import require_suffix
from hybridrl.planners.errors import ScenarioError, UnknownNameError
from hybridrl.planners.json_text import parse_json

SHIPPED = "hope-ppo"


def export_policy(name: str, out: Path, trust: bool = False) -> dict[str, Any]:
    """Write a parking policy as ONNX and check the round trip.

    Args:
        name: ``hope-ppo`` for the shipped weights, a folder of ``save_weights``, a run folder of
            ``hybridrl train``, or a ``model.zip``.
        out: File that ends with ``.onnx``.
        trust: Unpickle a ``model.zip``, which runs code from the file.

    Returns:
        Who was exported, the largest difference of the round trip and the file's size.

    Raises:
        UnknownNameError: If there is no such policy.
        ScenarioError: If the extra is missing or the policy is none of a HOPE agent.
    """
    require_suffix("out", out, (".onnx",))
    from hybridrl.agents.hope.export import export_onnx, require_onnx

    require_onnx()
    policy = _policy(name, trust)
    out.parent.mkdir(parents=True, exist_ok=True)
    return {"policy": f"{name} ({type(policy).__name__})", **export_onnx(policy, out)}


def _policy(name: str, trust: bool) -> Any:
    from hybridrl.agents.hope.export import policy_from_weights
    from hybridrl.agents.hope.weights import DESCRIPTION
    from hybridrl.agents.hope.weights import SHIPPED as FOLDER

    path = FOLDER if name == SHIPPED else Path(name)
    if (path / DESCRIPTION).is_file():
        return policy_from_weights(path)
    if path.is_dir():
        return _of_run(path)
    if path.suffix == ".zip" and path.is_file():
        return _of_zip(path, trust)
    raise UnknownNameError("policy, weights folder, run folder or model", name, [SHIPPED])


def _of_run(folder: Path) -> Any:
    import gymnasium as gym

    from hybridrl.benchmarks.evaluate import environment_of, load_policy

    env, kwargs = environment_of(str(folder), None)
    with gym.make(env, **kwargs) as made:
        return load_policy(str(folder), made).policy


def _of_zip(file: Path, trust: bool) -> Any:
    if not trust:
        raise ScenarioError("model", str(file), "--trust, because loading it runs code from it")
    from hybridrl.agents.hope import HopePPO, HopeSAC

    owners: dict[str, type[HopePPO] | type[HopeSAC]] = {
        "hybridrl.agents.hope.policy": HopePPO,
        "hybridrl.agents.hope.sac_policy": HopeSAC,
    }
    agent = owners.get(_policy_module(file))
    if agent is None:
        raise ScenarioError("model", str(file), "a model of HopePPO or HopeSAC")
    return agent.load(file, device="cpu").policy


def _policy_module(file: Path) -> str:
    """Where the policy's class of a model file stands, told without unpickling."""
    try:
        with zipfile.ZipFile(file) as archive:
            data = parse_json(archive.read("data"))
        return str(data["policy_class"]["__module__"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return ""
