"""The second phase of training, in which paths become short and smooth."""

from hybridrl.agents.common.vec_env import make_vec
from hybridrl.agents.hope import HopePPO

GEAR = 5  # of the reward terms


def test_gear_changes_become_dearer_after_the_given_share_of_the_training() -> None:
    env = make_vec(
        "hybridrl/Parking-Normal-v0", 2, seed=0, action_type="discrete", rs="auto", ego=True
    )
    seen = []
    model = HopePPO(
        env=env, n_steps=8, batch_size=16, n_epochs=1, seed=0,
        quality_weights={"gear_change": 0.2}, quality_from=0.5,
    )  # fmt: skip
    weights = env.env.unwrapped.task.simulator.config["weights"]

    def watch(inside: dict[str, object], _: dict[str, object]) -> bool:
        seen.append(float(weights[0, GEAR]))
        return True

    model.learn(64, callback=watch)
    assert seen == [0.05] * 16 + [0.2] * 16
