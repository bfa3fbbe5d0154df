"""Demonstrations of parking: stored episodes are what the environment does, again and again."""

import gymnasium as gym
import minari
import numpy as np
import pytest

import hybridrl  # noqa: F401
from hybridrl.datasets import parking_demos, registry
from hybridrl.datasets.minari_store import read_minari
from hybridrl.datasets.parking_demos import KINDS, demonstrate, env_id, reset_seed
from hybridrl.datasets.registry import make_dataset
from hybridrl.envs.registration import ENVS
from hybridrl.planners.errors import ScenarioError
from hybridrl.planners.registry import make_planner


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def replayed(env, seed, actions):
    seen, _ = env.reset(seed=seed)
    steps = [(seen, 0.0, False, False)]
    for action in actions:
        action = int(action) if np.ndim(action) == 0 else action
        observation, reward, terminated, truncated, info = env.step(action)
        steps.append((observation, reward, terminated, truncated))
    return steps, info


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_episode_is_replayed_exactly_from_its_seed(kind, store):
    name = make_dataset(f"parking/hard/{kind}", seed=3, episodes=2)
    data = minari.load_dataset(name)
    env = data.recover_environment()
    assert env.spec.id == "hybridrl/Parking-Hard-v0"
    discrete = KINDS[kind].discrete
    assert isinstance(env.action_space, gym.spaces.Discrete) == discrete
    seeds = read_minari(name).metadata["seeds"]
    assert len(seeds) == data.total_episodes == 2
    for seed, episode in zip(seeds, data.iterate_episodes(), strict=True):
        steps, info = replayed(env, seed, episode.actions)
        assert info["is_success"] and episode.terminations[-1]
        for k, (seen, reward, terminated, truncated) in enumerate(steps):
            for key, value in seen.items():
                np.testing.assert_array_equal(value, episode.observations[key][k])
            if k:
                assert np.float32(reward) == np.float32(episode.rewards[k - 1])
                assert terminated == episode.terminations[k - 1]
                assert truncated == episode.truncations[k - 1]


def test_an_interrupted_making_goes_on_and_gives_the_same(store, monkeypatch):
    monkeypatch.setattr(parking_demos, "CHUNK", 2)
    name = "parking/normal/planner-discrete-v0"
    calls = []
    act = demonstrate

    def counted(*args):
        calls.append(args[2])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return act(*args)

    monkeypatch.setattr(parking_demos, "demonstrate", counted)
    with pytest.raises(KeyboardInterrupt):
        make_dataset(name, seed=1, episodes=5)
    make_dataset(name, seed=1, episodes=5, resume=True, stored_as=name)
    assert calls[0] not in calls[4:]  # the first chunk was kept
    whole = read_minari(name)
    monkeypatch.setattr(parking_demos, "demonstrate", act)
    make_dataset(name, seed=1, episodes=5, fresh=True)
    again = read_minari(name)
    assert again.fingerprint() == whole.fingerprint()
    assert again.metadata["seeds"] == whole.metadata["seeds"]
    assert again.metadata["planner"] == "random-rs-64"


def test_rows_cut_the_last_episode_and_provenance_is_kept(store):
    make_dataset("parking/mixed/policy-v0", rows=7)
    data = read_minari("parking/mixed/policy-v0")
    assert len(data) == 7
    facts = data.metadata
    assert facts["env"] == "hybridrl/Parking-Mixed-v0" and facts["planner"] == "hope-ppo"
    assert len(facts["weights_sha256"]) == 64
    assert len(facts["seeds"]) == data.n_episodes


def test_an_episode_that_does_not_end_parked_is_dropped():
    kind = KINDS["planner-v0"]
    with gym.make(env_id("normal"), **kind.env, max_decisions=1) as env:
        planner = make_planner(kind.planner, **kind.options)
        assert demonstrate(env, planner, reset_seed(0, 0)) is None


def test_a_planner_that_solves_nothing_is_given_up(store, monkeypatch):
    monkeypatch.setattr(parking_demos, "ATTEMPTS", 2)
    monkeypatch.setattr(parking_demos, "demonstrate", lambda *args: None)
    with pytest.raises(ScenarioError, match="solves"):
        make_dataset("parking/normal/planner-v0", episodes=1)


def test_every_recipe_names_a_registered_environment_and_a_kind():
    names = [name for name in registry.RECIPES if name.startswith("parking/")]
    ids = {row.id for row in ENVS}
    for name in names:
        _, level, kind = name.split("/")
        assert kind in KINDS and env_id(level) in ids
    assert {f"parking/{level}/{kind}" for level in ("hard", "mixed") for kind in KINDS} <= {*names}
