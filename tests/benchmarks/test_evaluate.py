"""Rolling out policies: what is recorded, which seeds, whose masks."""

import gymnasium as gym
import numpy as np
import pytest

from hybridrl.benchmarks.evaluate import (
    FIRST_SEED,
    EpisodeRecord,
    RandomPolicy,
    environment_of,
    evaluate_one,
    summary,
)
from hybridrl.benchmarks.rows_file import write_rows
from hybridrl.benchmarks.runs import RunConfig


class Corridor(gym.Env):
    """Three steps; reward is the action; only one action is allowed at a time."""

    observation_space = gym.spaces.Discrete(4)
    action_space = gym.spaces.Discrete(5)

    def __init__(self):
        self.at = 0
        self.seeds = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.at = 0
        return 0, {}

    def action_masks(self):
        return np.arange(5) == self.at + 1

    def step(self, action):
        self.at += 1
        done = self.at == 3
        info = {"is_success": action == 3, "outcome": "arrived"} if done else {}
        return self.at, float(action), done, False, info


class Two:
    """Always takes action 2."""

    def predict(self, observation, deterministic=True):
        return 2, None


def test_a_random_policy_takes_only_what_the_mask_allows():
    env = gym.wrappers.OrderEnforcing(Corridor())
    records = list(evaluate_one(RandomPolicy(env.action_space), env, episodes=4))
    assert [record.episode_return for record in records] == [6.0] * 4
    assert all(record.success and record.outcome == "arrived" for record in records)


def test_a_policy_without_masks_is_left_alone():
    (record,) = evaluate_one(Two(), Corridor(), episodes=1, timestep=50)
    assert record == EpisodeRecord(50, 0, FIRST_SEED, 6.0, 3, False, "arrived")


def test_seeds_are_fixed_fresh_and_different_for_every_seed():
    env = Corridor()
    for seed in (0, 0, 1):
        list(evaluate_one(Two(), env, episodes=3, seed=seed))
    first, again, other = env.seeds[:3], env.seeds[3:6], env.seeds[6:]
    assert first == again
    assert len({*first, *other}) == 6
    assert min(env.seeds) >= FIRST_SEED


def test_the_summary_has_a_success_rate_only_where_success_is_defined():
    known = [EpisodeRecord(0, i, i, 2.0 * i, 5, i > 0, "") for i in range(4)]
    numbers = summary(known)
    assert (numbers["return_mean"], numbers["success_rate"]) == (3.0, 0.75)
    assert numbers["success_95"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    unknown = [EpisodeRecord(0, 0, 0, 1.0, 5, None, "")]
    assert "success_rate" not in summary(unknown)


def test_episodes_are_written_a_row_each(tmp_path):
    write_rows(tmp_path / "e.csv", EpisodeRecord, evaluate_one(Two(), Corridor(), episodes=2))
    lines = (tmp_path / "e.csv").read_text().splitlines()
    assert lines[0] == "timestep,episode,seed,episode_return,length,success,outcome"
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (None, True),
        ("hybridrl/Parking-Extreme-v0", True),
        ("hybridrl/SparsePoint-v0", False),
        ("nobody/Knows-v0", False),
    ],
)
def test_the_keywords_of_a_run_hold_for_environments_of_its_class(
    asked, kept, monkeypatch, tmp_path
):
    trained = {"ego": True, "rs": "auto"}
    env = "hybridrl/Parking-Mixed-v0"
    settings = {"env_kwargs": trained}
    config = RunConfig(suite="train", env=env, agent="hope-sac", work="", settings=settings)
    monkeypatch.setattr("hybridrl.benchmarks.evaluate.run_config", lambda folder: config)
    keywords = trained if kept else {}
    assert environment_of(str(tmp_path), asked) == (asked or env, keywords)
    assert environment_of(str(tmp_path), asked, {"rs": "off"})[1] == {**keywords, "rs": "off"}
