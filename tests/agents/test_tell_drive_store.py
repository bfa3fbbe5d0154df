"""The mixed store keeps what was advised, draws it again and survives an interruption."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hybridrl.agents.common.trees import load_tree, save_tree
from hybridrl.agents.tell_drive.guidance import GuidanceConfig
from hybridrl.agents.tell_drive.losses import distillation_loss
from hybridrl.agents.tell_drive.store import AdviceStore
from hybridrl.agents.tell_drive.update import guided_losses
from hybridrl.planners.errors import ScenarioError


def rollout(first, steps=3, envs=2, advised=None):
    """Observations whose rows and advice hold a running number; ``advised`` are valid."""
    numbers = np.arange(first, first + steps * envs, dtype=np.float32).reshape(steps, envs)
    advice = np.zeros((steps, envs, 8), np.float32)
    advice[..., 0] = numbers
    advice[..., 7] = 1.0 if advised is None else np.isin(numbers, advised)
    mask = np.ones((steps, envs, 5), np.int8)
    rows = np.broadcast_to(numbers[..., None, None], (steps, envs, 4, 7)).copy()
    return {"rows": rows, "advice": advice, "action_mask": mask}


def held(store, count=400):
    return set(store.draw(count)["advice"][:, 0].int().tolist())


def test_only_states_with_valid_advice_are_kept():
    store = AdviceStore(100, 0)
    assert store.draw(4) == {}
    assert store.add(rollout(0, advised=[1, 4])) == 2
    assert store.add(rollout(6, advised=[])) == 0
    assert store.size == 2 and held(store) == {1, 4}


def test_the_oldest_make_room_and_a_large_rollout_fills_the_ring():
    store = AdviceStore(4, 0)
    store.add(rollout(0, steps=1))
    store.add(rollout(2, steps=1))
    assert held(store) == {0, 1, 2, 3}
    store.add(rollout(6, steps=1))
    assert store.size == 4 and held(store) == {2, 3, 6, 7}
    store.add(rollout(10, steps=5))
    assert held(store) == {16, 17, 18, 19}


def test_parts_of_a_state_stay_together_and_become_float():
    store = AdviceStore(10, 0)
    store.add(rollout(0))
    drawn = store.draw(50)
    assert all(part.dtype == torch.float32 for part in drawn.values())
    assert torch.equal(drawn["rows"][:, 3, 6], drawn["advice"][:, 0])
    assert drawn["action_mask"].shape == (50, 5)


def test_draws_go_on_after_an_interruption(tmp_path):
    store, again = AdviceStore(5, 3), AdviceStore(5, 99)
    store.add(rollout(0, steps=2))
    store.draw(7)
    save_tree(tmp_path / "store", store.state())
    again.restore(load_tree(tmp_path / "store"))
    for one in (store, again):
        one.add(rollout(20, steps=1))
    first, second = store.draw(30), again.draw(30)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert held(store) == held(again) == {1, 2, 3, 20, 21}


def test_bad_sizes_are_refused():
    with pytest.raises(ScenarioError, match="keep"):
        GuidanceConfig(keep=-1)
    with pytest.raises(ScenarioError, match="replay"):
        GuidanceConfig(replay=0)


def test_the_loss_of_drawn_states_replaces_that_of_the_batch():
    class Policy:
        def log_probs_and_values(self, obs):
            return torch.log_softmax(obs["logits"], dim=1), torch.zeros(len(obs["logits"]))

        def teacher_probs(self, obs):
            return obs["teacher"], obs["weight"]

    def observed(seed, count):
        draws = torch.Generator().manual_seed(seed)
        logits = torch.randn(count, 3, generator=draws)
        teacher = torch.softmax(torch.randn(count, 3, generator=draws), dim=1)
        return {"logits": logits, "teacher": teacher, "weight": torch.ones(count)}

    own, other = observed(0, 6), observed(1, 9)
    batch = SimpleNamespace(
        observations=own,
        actions=torch.zeros(6, 1),
        old_log_prob=torch.log_softmax(own["logits"], dim=1)[:, 0],
        advantages=torch.arange(6.0),
        returns=torch.ones(6),
    )
    plain, replayed = (guided_losses(Policy(), batch, 0.2, a)[1] for a in (None, other))
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], replayed[:3], strict=True))
    for found, seen in ((plain[3], own), (replayed[3], other)):
        logs = torch.log_softmax(seen["logits"], dim=1)
        assert torch.allclose(found, distillation_loss(seen["teacher"], logs, seen["weight"]))
