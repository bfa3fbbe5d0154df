"""Compiled Q-networks against float64 NumPy, torch and hand-made cases."""

import math

import numpy as np
import pytest
import torch

from hybridrl.agents.common.brain_spec import BrainSpec
from hybridrl.agents.common.compiled_q import (
    ATOMS,
    EXPLORATION,
    SCALE,
    SIZE,
    WIDTH,
    act,
    acting,
    draw,
    greedy,
    layers_of,
    learned,
    make_brain,
    mean_return,
    memory_bytes,
    new_wait,
    outputs_of,
    remember,
    returns_at,
)
from hybridrl.agents.common.compiled_update import copy_weights, train, update
from hybridrl.agents.common.small_q import quick_exp, sigmoid
from hybridrl.agents.common.torch_q import (
    Swish,
    TorchLearner,
    count_loss,
    huber_loss,
    projected,
)
from hybridrl.planners.errors import ScenarioError, UnknownNameError

SEVEN = (2, 8, 64, 64, 8, 4, 64)
SIX = (8, 2, 64, 64, 8, 2)
SPECS = {
    "adam": BrainSpec(bins=SEVEN, actions=4, learning_rate=1e-2),
    "double": BrainSpec(bins=SEVEN, actions=2, double=True, batch_size=64),
    "sgd, wide": BrainSpec(bins=SEVEN, actions=2, hidden=(17,), optimiser="sgd", huber=0.3),
    "two layers": BrainSpec(bins=SIX, actions=3, hidden=(9, 5), optimiser="rmsprop"),
    "count": BrainSpec(bins=SEVEN, actions=4, head="count", learning_rate=1e-2, huber=0.3),
    "count, half a tile left": BrainSpec(
        bins=SEVEN, actions=2, head="count", learning_rate=1e-2, huber=0.3, batch_size=96
    ),
    "half a tile": BrainSpec(bins=SEVEN, actions=3, hidden=(12,), batch_size=32),
    "c51": BrainSpec(bins=SIX, actions=2, hidden=(20, 30), head="c51", atoms=11, v_max=3.0),
    "c51, double": BrainSpec(bins=SIX, actions=2, head="c51", atoms=5, v_max=2.0, double=True),
}


def filled(spec, count=200):
    brain = make_brain(spec)
    rng = np.random.default_rng(7)
    for _ in range(count):
        here, there = (padded(rng.integers(0, spec.bins)) for _ in range(2))
        discount = 0.9 * float(rng.random() < 0.8)
        reward = float(rng.poisson(1.5)) if spec.head == "count" else rng.normal()
        remember(brain, here, int(rng.integers(spec.actions)), reward, there, discount)
    return brain


def padded(bins):
    row = np.zeros(8, np.uint8)
    row[: len(bins)] = bins
    return row


def exact_outputs(brain, bins):
    x = bins[: brain.counts[WIDTH]] * brain.numbers[SCALE : SCALE + brain.counts[WIDTH]]
    layers = layers_of(brain, acting(brain))
    for weight, bias in layers[:-1]:
        z = weight @ x + bias
        x = z / (1 + np.exp(-z))
    weight, bias = layers[-1]
    return weight @ x + bias


def test_swish_is_wrong_by_less_than_5e_3_everywhere():
    x = np.linspace(-40, 40, 20001)
    ours = np.array([v * sigmoid(v) for v in x])
    assert np.abs(ours - x / (1 + np.exp(-x))).max() < 5e-3
    assert np.allclose(Swish()(torch.from_numpy(x)).numpy(), ours, atol=1e-12)


def test_the_exponential_without_a_call_is_exact_to_twelve_figures():
    x = np.linspace(-20, 20, 4001)
    assert np.array([quick_exp(v) for v in x]) == pytest.approx(np.exp(x), rel=1e-12)


@pytest.mark.parametrize("actions", [2, 3, 4])
def test_decisions_agree_with_float64_on_999_of_1000_random_states(actions):
    rng = np.random.default_rng(actions)
    agreed, total = 0, 0
    for seed in range(20):
        brain = make_brain(BrainSpec(bins=SEVEN, actions=actions, seed=seed))
        acting(brain)[:] *= 3.0
        for _ in range(500):
            bins = padded(rng.integers(0, SEVEN))
            exact = int(exact_outputs(brain, bins).argmax())
            agreed += exact == greedy(brain, bins)
            total += 1
    assert agreed >= 0.999 * total


@pytest.mark.parametrize("name", SPECS)
def test_torch_makes_the_same_updates(name):
    ours, other = filled(SPECS[name]), filled(SPECS[name])
    learner = TorchLearner(other)
    rng = np.random.default_rng(3)
    before = learned(ours).copy()
    for step in range(40):
        chosen = rng.integers(0, 200, SPECS[name].batch_size)
        assert update(ours, chosen) == pytest.approx(learner.update(chosen), abs=1e-6)
        if step % 10 == 9:
            copy_weights(ours)
            learner.copy_weights()
    size = len(acting(ours))
    assert np.abs(learned(ours)[:size] - learned(other)[:size]).max() < 1e-6
    assert np.abs(learned(ours)[:size] - before[:size]).max() > 1e-3


def test_padding_of_a_small_network_stays_zero():
    brain = filled(SPECS["double"])
    train(brain, 30)
    shown = sum(w.size + b.size for w, b in layers_of(brain, learned(brain)))
    assert shown == SPECS["double"].parameters == 102
    assert np.count_nonzero(learned(brain)[: len(acting(brain))]) <= shown


def test_harmonias_networks_have_the_published_numbers_of_parameters():
    assert [BrainSpec(bins=SEVEN, actions=d).parameters for d in (2, 4)] == [102, 124]


def test_a_network_learns_which_action_pays():
    spec = BrainSpec(bins=(2, 2), actions=2, learning_rate=1e-2, batch_size=32, seed=1)
    brain = make_brain(spec)
    rng = np.random.default_rng(0)
    for _ in range(500):
        bins, action = padded(rng.integers(0, 2, 2)), int(rng.integers(2))
        remember(brain, bins, action, float(action == (bins[0] ^ bins[1])), bins, 0.0)
    train(brain, 1500)
    copy_weights(brain)
    for a in (0, 1):
        for b in (0, 1):
            assert greedy(brain, padded([a, b])) == a ^ b


def test_c51_learns_the_mean_of_a_random_reward():
    spec = BrainSpec(bins=(2,), actions=2, head="c51", atoms=21, v_max=1.0, learning_rate=1e-2)
    brain = make_brain(spec)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        action = int(rng.integers(2))
        remember(
            brain, padded([0]), action, float(rng.random() < (0.3, 0.7)[action]), padded([0]), 0
        )
    train(brain, 400)
    copy_weights(brain)
    start = outputs_of(brain, acting(brain), padded([0]))
    means = [mean_return(brain.numbers, start + a * 21, int(brain.counts[ATOMS])) for a in (0, 1)]
    assert means == pytest.approx([0.3, 0.7], abs=0.05)


def test_counts_are_learned_at_every_size_over_their_exposure():
    spec = BrainSpec(bins=(2,), actions=2, head="count", learning_rate=1e-2, huber=0.3)
    brain = make_brain(spec)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        action, exposure = int(rng.integers(2)), float(rng.choice([0.5, 2.0]))
        count = float(rng.poisson((0.5, 5.0)[action] * exposure))
        remember(brain, padded([0]), action, count, padded([0]), np.log(exposure))
    train(brain, 600)
    copy_weights(brain)
    logs = exact_outputs(brain, padded([0]))
    assert np.exp(logs[0]) == pytest.approx(0.5, rel=0.2)
    assert np.exp(logs[1]) == pytest.approx(5.0, rel=0.1)


def test_the_count_loss_is_the_negative_binomial_likelihood():
    def minus_log(y, mean):
        chance = size / (size + mean)
        ways = math.lgamma(y + size) - math.lgamma(size) - math.lgamma(y + 1)
        return -(ways + size * math.log(chance) + y * math.log(1 - chance)) / size

    size, counts, means = 0.3, np.array([0.0, 1.0, 7.0]), np.array([0.2, 1.0, 3.0])
    ours = count_loss(torch.tensor(np.log(means)), torch.tensor(counts), size).item()
    exact = np.array([minus_log(y, mean) for y, mean in zip(counts, means, strict=True)])
    other = np.array([minus_log(y, 1.0) for y in counts])
    shifted = count_loss(torch.zeros(3, dtype=torch.float64), torch.tensor(counts), size).item()
    assert ours - shifted == pytest.approx((exact - other).mean())


def test_losses_with_numbers_worked_by_hand():
    values, targets = torch.tensor([0.0, 0.0]), torch.tensor([0.5, -3.0])
    assert huber_loss(values, targets, 1.0).item() == pytest.approx((0.125 + 2.5) / 2)
    support = torch.tensor([0.0, 1.0, 2.0])
    moved = projected(
        torch.tensor([0.25]), torch.tensor([0.5]), torch.tensor([[0, 0, 1.0]]), support
    )
    assert moved.tolist() == [[0.0, 0.75, 0.25]]
    far = projected(torch.tensor([9.0]), torch.tensor([1.0]), torch.tensor([[1.0, 0, 0]]), support)
    assert far.tolist() == [[0.0, 0.0, 1.0]]


def test_exploration_has_its_rate_and_uniform_actions():
    brain = make_brain(BrainSpec(bins=SEVEN, actions=4, exploration=0.2))
    bins = padded([1] * 7)
    best = greedy(brain, bins)
    taken = np.array([act(brain, bins) for _ in range(20000)])
    assert np.mean(taken != best) == pytest.approx(0.2 * 3 / 4, abs=0.01)
    brain.numbers[EXPLORATION] = 0.0
    new_wait(brain)
    assert {act(brain, bins) for _ in range(100)} == {best}


def test_draws_are_uniform_and_repeat_with_the_seed():
    one, two = (make_brain(BrainSpec(bins=SEVEN, actions=2, seed=5)) for _ in range(2))
    draws = np.array([draw(one.counts) for _ in range(20000)])
    assert 0 <= draws.min() and draws.max() < 1
    assert np.histogram(draws, 10, (0, 1))[0].min() > 1800
    assert draws[:10].tolist() == [draw(two.counts) for _ in range(10)]


def test_the_memory_is_a_ring():
    brain = filled(BrainSpec(bins=SIX, actions=2, capacity=16, hidden=(5, 5)), count=20)
    assert brain.counts[SIZE] == 16
    remember(brain, padded([1] * 6), 1, 2.5, padded([0] * 6), 0.5)
    assert brain.memory[4].tolist() == [1] * 6 + [0] * 6 + [1]
    first = returns_at(brain) + 8
    assert brain.numbers[first : first + 2].tolist() == [2.5, 0.5]


def test_equal_seeds_train_alike():
    one, two = filled(SPECS["adam"]), filled(SPECS["adam"])
    train(one, 20)
    train(two, 20)
    assert (one.numbers == two.numbers).all()


def test_training_an_empty_memory_changes_nothing():
    brain = make_brain(SPECS["adam"])
    before = brain.numbers.copy()
    train(brain, 3)
    assert (brain.numbers == before).all()


def test_memory_is_counted_to_the_byte():
    brain = make_brain(SPECS["c51"])
    assert sum(memory_bytes(brain).values()) == sum(array.nbytes for array in brain)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 100}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"exploration": 1.5}, "exploration"),
        ({"bins": (1, 2)}, "bins"),
        ({"hidden": ()}, "hidden"),
        ({"v_max": -1.0}, "v_max"),
        ({"actions": 1}, "actions"),
        ({"capacity": 0}, "capacity"),
    ],
)
def test_numbers_out_of_range_are_named(change, named):
    with pytest.raises(ScenarioError, match=named):
        BrainSpec(**{"bins": SEVEN, "actions": 2, **change})


@pytest.mark.parametrize("change", [{"head": "dueling"}, {"optimiser": "lion"}])
def test_unknown_words_are_refused(change):
    with pytest.raises(UnknownNameError):
        BrainSpec(bins=SEVEN, actions=2, **change)
