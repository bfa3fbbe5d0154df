"""Behaviour policies: trained, killed and resumed, published and rolled out."""

import json
import os
import shutil
import signal
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC

from hybridrl.agents.behaviour import levels, recipes, table, training
from hybridrl.agents.behaviour.table import BEHAVIOURS, Behaviour, behaviour
from hybridrl.datasets import registry
from hybridrl.datasets.behaviour import (
    SHIPPED,
    BehaviourPolicy,
    level_tensors,
    read_facts,
    read_tensors,
    write_tensors,
)
from hybridrl.datasets.minari_store import read_minari
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SETTINGS = {
    "learning_starts": 50, "batch_size": 16,
    "policy_kwargs": {"net_arch": [8, 8], "optimizer_kwargs": {"fused": True}},
}  # fmt: skip
TINY = Behaviour("hybridrl/Gap-Pendulum-GravityX2-Real-v0", 300, 100, 250, SETTINGS)
NAME = "hybridrl/pendulum/{}-v0"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A pendulum that is trained for 300 steps, and a store without shipped policies."""
    monkeypatch.setitem(table.BEHAVIOURS, "pendulum", TINY)
    monkeypatch.setattr(levels, "SHIPPED", tmp_path / "none")
    monkeypatch.setattr(levels, "REFERENCE_EPISODES", 2)
    monkeypatch.setattr(levels, "SCORED_EPISODES", 1)
    monkeypatch.setattr(training, "EVALUATION_EPISODES", 1)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "store"))
    return tmp_path


def test_the_numpy_policy_is_stable_baselines3s_actor():
    model = SAC("MlpPolicy", TINY.env, seed=0, device="cpu", **SETTINGS)
    policy = BehaviourPolicy(training.actor_tensors(model), deterministic=True)
    rng = np.random.default_rng(0)
    for observation in rng.normal(size=(20, 3)).astype(np.float32):
        expected = model.predict(observation, deterministic=True)[0]
        np.testing.assert_allclose(policy(observation, rng), expected, atol=1e-6)
        mean, std = policy.mean_and_std(observation)
        with torch.no_grad():
            theirs = model.actor.get_action_dist_params(torch.from_numpy(observation[None]))
        np.testing.assert_allclose(mean, theirs[0][0], atol=1e-6)
        np.testing.assert_allclose(std, theirs[1][0].exp(), rtol=1e-5)


def test_sampled_actions_have_the_right_spread():
    tensors = {
        "latent_pi.0.weight": np.zeros((4, 2)), "latent_pi.0.bias": np.zeros(4),
        "mu.weight": np.zeros((1, 4)), "mu.bias": np.array([0.3]),
        "log_std.weight": np.zeros((1, 4)), "log_std.bias": np.array([np.log(0.5)]),
    }  # fmt: skip
    policy = BehaviourPolicy({k: v.astype(np.float32) for k, v in tensors.items()})
    rng = np.random.default_rng(0)
    raw = np.arctanh([policy(np.zeros(2), rng)[0] for _ in range(4000)])
    assert abs(raw.mean() - 0.3) < 0.03 and abs(raw.std() - 0.5) < 0.02


def test_damaged_weights_are_refused(tmp_path):
    file = tmp_path / "a.safetensors"
    digest = write_tensors({"mu.weight": np.zeros((1, 1), np.float32)}, file)
    with pytest.raises(ScenarioError, match="state dict of a SAC actor"):
        BehaviourPolicy(read_tensors(file, digest))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ScenarioError, match="sha256"):
        read_tensors(file, digest)
    file.write_bytes(content[:9])
    with pytest.raises(ScenarioError, match="weights of a behaviour policy"):
        read_tensors(file)


def test_levels_are_the_best_checkpoint_and_the_first_at_a_third():
    found = [{"step": s, "return": r} for s, r in ((1, -90), (2, 0), (3, 150), (4, 210), (5, 180))]
    assert levels.choose(found, -100) == {"medium": 3, "expert": 4}
    assert levels.choose(found[:1], -50.0) == {"medium": 1, "expert": 1}
    with pytest.raises(ScenarioError, match="at least one"):
        levels.choose([], 0.0)


_CHILD = """
import os, signal, sys
from pathlib import Path
from hybridrl.agents.behaviour import training
from hybridrl.agents.behaviour.table import Behaviour
training.EVALUATION_EPISODES = 1
row = Behaviour({env!r}, 300, 100, 250, {settings!r})
class Killer:
    def tick(self, text):
        if " 200 " in text:
            os.kill(os.getpid(), signal.SIGKILL)
    def __enter__(self): return self
    def __exit__(self, *_): pass
training.train(row, Path({folder!r}), progress=lambda total: Killer())
"""


@pytest.mark.slow
def test_a_training_killed_with_signal_9_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "EVALUATION_EPISODES", 1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code = _CHILD.format(env=TINY.env, settings=SETTINGS, folder=str(killed))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.run([sys.executable, "-P", "-c", code], env=env, check=False)
    assert child.returncode == -signal.SIGKILL
    assert not (killed / "actor-300.safetensors").exists()
    training.train(TINY, whole)
    training.train(TINY, killed)
    expected = (whole / "actor-300.safetensors").read_bytes()
    assert (killed / "actor-300.safetensors").read_bytes() == expected
    assert training.evaluations(killed) == training.evaluations(whole)


def test_every_level_is_made_from_one_training(tiny):
    for level in ("medium", "expert", "medium-expert", "medium-replay"):
        registry.make_dataset(NAME.format(level))
    medium, both = read_minari(NAME.format("medium")), read_minari(NAME.format("medium-expert"))
    assert (len(medium), len(both)) == (250, 500)
    assert both.head(250).fingerprint() == medium.fingerprint()
    facts = json.loads((tiny / "store/.behaviour/pendulum.json").read_text())
    replay = read_minari(NAME.format("medium-replay"))
    assert len(replay) == facts["levels"]["medium"]["step"]
    assert replay.metadata["is_published_training"] is True
    assert medium.metadata["ref_max_score"] == facts["levels"]["expert"]["return"]
    assert {"behaviour_seed", "levels", "settings", "versions"} <= set(medium.metadata)
    shown = registry.show_dataset(NAME.format("expert"))
    assert shown["score_own"] is not None and shown["score_d4rl"] is None
    with pytest.raises(ScenarioError, match="steps: a replay is cut at a row"):
        registry.make_dataset(NAME.format("medium-replay"), episodes=3, fresh=True)


def test_unknown_robots_are_answered_with_near_names():
    with pytest.raises(UnknownNameError, match="did you mean hopper"):
        behaviour("hoper")
    with pytest.raises(UnknownNameError, match="dataset recipe"):
        recipes.parts_of("hybridrl/robot/medium-v0")


@pytest.mark.parametrize("robot", sorted(path.stem for path in SHIPPED.glob("*.json")))
def test_shipped_policies_are_whole_and_act(robot):
    facts = read_facts(robot)
    row = BEHAVIOURS[robot]
    assert facts["env"] == row.env and facts["settings"]["steps"] == row.steps
    known = {entry["step"]: entry["return"] for entry in facts["checkpoints"]}
    steps = levels.choose(facts["checkpoints"], facts["ref_min_score"])
    for level in ("medium", "expert"):
        assert facts["levels"][level]["step"] == steps[level]
        policy = BehaviourPolicy(level_tensors(facts, SHIPPED, level))
        with gym.make(row.env) as env:
            action = policy(env.observation_space.sample(), np.random.default_rng(0))
            assert env.action_space.contains(action)
    assert known[steps["expert"]] == max(known.values())
    assert facts["ref_max_score"] == facts["levels"]["expert"]["return"] > facts["ref_min_score"]


def test_the_page_shows_the_returns_of_the_shipped_policies(root):
    page = (root / "docs" / "datasets.md").read_text("utf-8")
    for file in SHIPPED.glob("*.json"):
        facts = read_facts(file.stem)
        medium, expert = (facts["levels"][level] for level in ("medium", "expert"))
        row = f"| {file.stem} | {facts['ref_min_score']:.0f} | "
        row += f"{medium['return']:.0f} at step {medium['step']:,} | "
        assert f"{row}{expert['return']:.0f} at step {expert['step']:,} |" in page


def test_damaged_facts_are_refused(tmp_path):
    (tmp_path / "ant.json").write_text("{}")
    with pytest.raises(ScenarioError, match="facts of behaviour policies"):
        read_facts("ant", tmp_path)
    assert read_facts("hopper", tmp_path) is None
    for file in SHIPPED.glob("pendulum*"):
        shutil.copy(file, tmp_path)
    facts = read_facts("pendulum", tmp_path)
    if facts:
        (tmp_path / "pendulum-medium.safetensors").write_bytes(b"")
        with pytest.raises(ScenarioError, match="sha256"):
            level_tensors(facts, tmp_path, "medium")
