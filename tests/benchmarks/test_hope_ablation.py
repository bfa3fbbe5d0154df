"""The ablation changes one part at a time, trains once a row, and drives without bumping rules."""

import numpy as np
import pytest

from hybridrl.agents.registry import load_preset, settable
from hybridrl.benchmarks.hope_ablation import (
    VARIANTS,
    drive,
    run_variant,
    summarise,
    tables,
    training_of,
    trials,
)
from hybridrl.benchmarks.runner import make_request
from hybridrl.benchmarks.runs import execute, finished
from hybridrl.benchmarks.suites import get_suite
from hybridrl.envs.parking.config import ParkingOptions
from hybridrl.envs.parking.scenes import fixed_scenes

MOTIONS = {"action_type": "discrete", "rs": "auto", "allow_reversed_goal": False}


def request(agents, **settings):
    return make_request("hope-ablation", "smoke", agents, "normal-bay", **settings)


def test_every_row_of_the_suite_is_a_variant_and_the_other_way_round():
    assert set(get_suite("hope-ablation").agents) == set(VARIANTS)


@pytest.mark.parametrize("name", [name for name in VARIANTS if VARIANTS[name].agent])
def test_every_variant_is_made_of_known_settings_and_json(name):
    import json

    (trial,) = trials(request(name))
    inner = training_of(trial)
    known = {*settable(inner.agent), "device", "tensorboard"}
    assert set(inner.settings) <= known
    assert json.loads(json.dumps(inner.settings)) == inner.settings
    ParkingOptions.from_keywords(inner.settings["env_kwargs"])
    assert inner.settings["total_timesteps"] == trial.settings["steps"]


def test_variants_differ_from_the_full_one_in_one_part():
    full = training_of(trials(request("full"))[0]).settings
    assert full["env_kwargs"] == load_preset("hope-ppo")["default"]["env_kwargs"]
    for name, chosen in VARIANTS.items():
        if chosen.agent == "hope-ppo" and name != "full":
            own = training_of(trials(request(name))[0]).settings
            changed = {k for k in own if own[k] != full.get(k)}
            assert len(changed) == 1, (name, changed)


def test_random_motions_are_driven_and_the_best_of_many_is_better():
    scenes = fixed_scenes("normal-parallel", 10)

    def act(seen, allowed):
        assert len(seen["lidar"]) == len(allowed)
        return (rng.random(allowed.shape) * allowed).argmax(axis=1)

    shares = []
    for rollouts in (1, 32):
        rng = np.random.default_rng(0)
        episodes = drive(act, scenes, rollouts, MOTIONS)
        assert all(e.clean == e.found for e in episodes)
        shares.append(sum(e.clean for e in episodes) / 10)
    assert shares[0] < shares[1] and shares[1] >= 0.9


def test_a_trial_trains_drives_and_is_done_once(tmp_path):
    for name in ("mask-as-input", "random-1"):
        (trial,) = trials(request(name))
        result = execute(trial, tmp_path)
        assert result.status == "done", result.error
        assert finished(trial, tmp_path).values == result.values
        rows = summarise([result], tmp_path)
        assert {(row.env, row.agent) for row in rows} == {("normal-bay", name)}
        assert (rows[0].steps > 0) == (name != "random-1")
        (success,) = [row.value for row in rows if row.metric == "success"]
        assert success == result.values["normal-bay"]
        shown = tables(rows)[-1]
        assert shown.rows[0][0] == name
    assert tables([]) == [] and run_variant.__doc__
