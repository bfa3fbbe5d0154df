"""A training with a language model over HTTP, and again from its cache with no server."""

import pytest
import torch

from hybridrl.agents import TellDrive
from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.tell_drive.teachers.local import completion_of
from hybridrl.agents.tell_drive.teachers.registry import make_teacher
from hybridrl.agents.tell_drive.teachers.serve import Endpoint


class Scores:
    """Stands in for a model that scores: what it says depends on the scene."""

    name = "scores"

    def scores(self, messages, names):
        text = messages[-1]["content"]
        return [float(hash_of(text + name)) for name in names], 42


def hash_of(text):
    """The same in every process, unlike ``hash``."""
    return sum((i + 1) * ord(letter) for i, letter in enumerate(text)) % 101


def train(teacher):
    env = make_vec("hybridrl/Driving-Merge-v0", 4, seed=3, observation="dict", expose_scene=True)
    guidance = {"until": 1.0, "share": 0.5, "risk": 1.1}
    model = TellDrive(env=env, teacher=teacher, guidance=guidance, n_steps=8, batch_size=32, seed=3)
    model.learn(64)
    return model


def test_a_training_over_http_is_repeated_from_its_cache_bit_for_bit(tmp_path):
    settings = {"model": "scores", "cache": str(tmp_path / "answers.sqlite")}
    with Endpoint(completion_of(Scores()), "scores") as endpoint:
        live = make_teacher("openai", base_url=endpoint.base_url, **settings)
        first = train(live)
    settings["cache_mode"] = "read-only"
    replayed = make_teacher("openai", base_url="http://127.0.0.1:9/v1", **settings)
    again = train(replayed)
    asked = live.ledger.summary()
    assert asked["calls"] > 10 and asked["failed"] == 0
    done = replayed.ledger.summary()
    assert done["calls"] == 0 and done["cached"] == asked["calls"] + asked["cached"]
    weights = again.policy.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in first.policy.state_dict().items())
    alone = train(None).policy.state_dict()
    assert not all(torch.equal(value, weights[key]) for key, value in alone.items())
    assert first.trust.value == pytest.approx(again.trust.value)
