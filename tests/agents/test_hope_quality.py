"""The later phases of training, in which paths become short and smooth."""

import pytest

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO
from hybridrl.agents.hope.phases import Phase, PhasedDecay, phase_at, read_phases
from hybridrl.planners.errors import ScenarioError, UnknownNameError

GEAR = 5  # of the reward terms


def test_gear_changes_become_dearer_after_the_given_share_of_the_training() -> None:
    env = make_vec(
        "hybridrl/Parking-Normal-v0", 2, seed=0, action_type="discrete", rs="auto", ego=True
    )
    seen = []
    model = HopePPO(
        env=env, n_steps=8, batch_size=16, n_epochs=1, seed=0, learning_rate=1e-3,
        phases=[{"begin": 0.5, "reward_weights": {"gear_change": 0.2}, "learning_rate": 1e-4}],
    )  # fmt: skip
    weights = env.env.unwrapped.task.simulator.config["weights"]

    def watch(inside: dict[str, object], _: dict[str, object]) -> bool:
        seen.append((float(weights[0, GEAR]), model.policy.optimizer.param_groups[0]["lr"]))
        return True

    model.learn(64, callback=watch)
    assert [gear for gear, _ in seen] == [0.05] * 16 + [0.2] * 16
    assert seen[15][1] > 5e-4
    assert seen[-1][1] < 1e-4


def test_a_phase_keeps_what_it_does_not_change() -> None:
    phases = read_phases(
        [
            {"begin": 0.4, "reward_weights": {"gear_change": 0.2}},
            {"begin": 0.8, "learning_rate": 4e-4, "ent_coef": 1e-3},
        ],
        Phase(0.0, 7e-4, 3e-3),
    )
    assert [phase_at(phases, p).ent_coef for p in (0.0, 0.5, 0.8, 1.0)] == [3e-3, 3e-3, 1e-3, 1e-3]
    assert phase_at(phases, 0.9).reward_weights == {"gear_change": 0.2}


def test_the_rate_falls_to_its_share_by_the_phase_that_sets_another() -> None:
    phases = read_phases(
        [{"begin": 0.5, "ent_coef": 0.0}, {"begin": 0.75, "learning_rate": 4e-4}],
        Phase(0.0, 7e-4, 3e-3),
    )
    rate = PhasedDecay(phases, 0.05)
    assert [rate(1 - p) for p in (0.0, 0.375, 0.75, 1.0)] == pytest.approx(
        [7e-4, 7e-4 * 0.525, 4e-4, 2e-5]
    )


def test_phases_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="reward_weights"):
        read_phases([{"begin": 0.5, "reward_weight": {}}], Phase())
    with pytest.raises(ScenarioError, match=r"from 0\.5 to 1"):
        read_phases([{"begin": 0.5}, {"begin": 0.2}], Phase())
