"""What is exported computes what torch and NumPy compute, and says so."""

import json

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO
from hybridrl.agents.hope.export import (
    ExportedMotions,
    export_onnx,
    policy_from_weights,
    random_observations,
)
from hybridrl.agents.hope.features import feature_rows
from hybridrl.agents.hope.policy import HopeTokenPolicy
from hybridrl.agents.hope.sac_policy import HopeSACPolicy
from hybridrl.agents.hope.step_scaling import free_share
from hybridrl.agents.hope.weights import SHIPPED, load_network
from hybridrl.planners.errors import ScenarioError, UnknownNameError


def has_onnx():
    pytest.importorskip("onnx", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    return pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture(scope="module")
def shipped():
    return policy_from_weights(SHIPPED)


def test_the_policy_of_a_weights_folder_is_the_network_in_numpy(shipped):
    seen = random_observations(shipped.observation_space, 20)
    rows = feature_rows(seen, np)
    allowed = seen["action_mask"] > 0
    with torch.no_grad():
        found = shipped.log_probs(torch.from_numpy(rows)).numpy()
    logits = np.where(allowed, load_network().logits(rows), -np.inf)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert np.allclose(found[allowed], expected[allowed], atol=1e-4)
    assert (seen["action_mask"] == 0).any() and shipped.observation_space.contains(
        {key: value[0] for key, value in seen.items()}
    )


def test_the_command_writes_a_file_that_numpy_agrees_with(hybridrl, tmp_path, shipped):
    runtime = has_onnx()
    done = hybridrl("export", "hope-ppo", "out/policy.onnx", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["max_abs_difference"] < 1e-5
    session = runtime.InferenceSession(tmp_path / "out" / "policy.onnx")
    seen = random_observations(shipped.observation_space, 33, seed=5)
    (found,) = session.run(["log_probs"], seen)
    logits = load_network().logits(feature_rows(seen, np))
    logits = np.where(seen["action_mask"] > 0, logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.allclose(np.exp(found), weights / weights.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.slow
def test_a_normalised_transformer_and_a_sac_policy_survive_the_round_trip(tmp_path, shipped):
    runtime = has_onnx()
    space = shipped.observation_space
    tokens = HopeTokenPolicy(space, shipped.action_space, lambda _: 0.0, normalize=True)
    rows = torch.from_numpy(feature_rows(random_observations(space, 50, 2), np))
    tokens.features_extractor.scale.update(rows)
    assert export_onnx(tokens, tmp_path / "tokens.onnx")["max_abs_difference"] < 1e-5
    box = spaces.Box(-1.0, 1.0, (2,), np.float32)
    steps = HopeSACPolicy(space, box, lambda _: 1e-3)
    assert export_onnx(steps, tmp_path / "steps.onnx")["max_abs_difference"] < 1e-5
    seen = random_observations(space, 9)
    (actions,) = runtime.InferenceSession(tmp_path / "steps.onnx").run(["action"], seen)
    steer, step = torch.from_numpy(actions).T
    share = free_share(torch.from_numpy(seen["action_mask"]), steer, step >= 0)
    assert (step.abs() <= share + 1e-6).all()


@pytest.mark.slow
def test_run_folders_and_trusted_models_are_exported_too(hybridrl, tmp_path):
    has_onnx()
    words = ("train", "hope-ppo", "hybridrl/Parking-Normal-v0", "-n", 64, "--n-envs", 2)
    assert hybridrl(*words, "--set", "n_steps=8", "--out", "runs").exit_code == 0
    (run,) = tmp_path.glob("runs/train/*/hope-ppo/seed-0")
    assert hybridrl("export", run, "run.onnx").exit_code == 0
    refused = hybridrl("export", run / "model.zip", "zip.onnx")
    assert refused.exit_code == 2 and "--trust" in refused.output
    assert hybridrl("export", run / "model.zip", "zip.onnx", "--trust").exit_code == 0


def test_without_the_extra_the_fix_is_named(hybridrl, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else real(name, *a)
    )
    done = hybridrl("export", "hope-ppo", "policy.onnx")
    assert done.exit_code == 2
    assert "hybridrl[onnx]" in " ".join(done.output.replace("│", " ").split())


def test_other_names_files_and_policies_are_refused(hybridrl, shipped, tmp_path):
    assert hybridrl("export", "hope-ppo", "policy.pt").exit_code == 2
    assert "hope-ppo" in hybridrl("export", "hope-pop", "policy.onnx").output
    has_onnx()
    with pytest.raises(ScenarioError, match="HopePPO"):
        export_onnx(torch.nn.Linear(2, 2), tmp_path / "x.onnx")
    env = make_vec("hybridrl/Parking-Hard-v0", 1, 0, action_type="discrete", ego=True)
    model = HopePPO(env=env, device="cpu", policy_kwargs={"net_arch": [8]})
    model.save_weights(tmp_path)
    text = json.loads((tmp_path / "hope-ppo.json").read_text())
    (tmp_path / "hope-ppo.json").write_text(json.dumps({**text, "policy": "Unknown"}))
    with pytest.raises(UnknownNameError, match="HopePolicy"):
        policy_from_weights(tmp_path)
    assert isinstance(ExportedMotions(shipped), torch.nn.Module)
