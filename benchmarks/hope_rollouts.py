"""Roll-outs of a trained parking policy on thousands of fixed scenes, all side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridrl.agents.hope.network import HopeNetwork
from hybridrl.envs.parking.config import ParkingOptions, make_config
from hybridrl.envs.parking.kernels.records import RUNNING
from hybridrl.envs.parking.simulator import ParkingSimulator
from hybridrl.planners.scenario import Scenario


def drive_all(
    network: HopeNetwork,
    scenes: Sequence[Scenario],
    rollouts: int = 1,
    *,
    deterministic: bool = False,
    seed: int = 0,
    **options: Any,
) -> ParkingSimulator:
    """Drive every scene ``rollouts`` times to its end, one batched decision after the other.

    Args:
        network: The policy.
        scenes: Of one vehicle, or of the keyword ``vehicles``.
        rollouts: Of each scene, each with draws of its own.
        deterministic: Take the most likely motion.
        seed: Of the draws.
        **options: Keywords of the environment, over 42 motions with hand-over.

    Returns:
        The simulator; rows ``i * rollouts`` to ``(i + 1) * rollouts - 1`` are those of scene i.
    """
    made = ParkingOptions(**{"action_type": "discrete", "rs": "auto", **options})
    count = len(scenes) * rollouts
    each = made.range is not None
    simulator = ParkingSimulator(count, made.spec, make_config(made), each)
    for i, scene in enumerate(scenes):
        for row in range(i * rollouts, (i + 1) * rollouts):
            simulator.load(row, scene, reversible=made.reversible(scene.scene))
    rng = np.random.default_rng(seed)
    if made.lidar_noise > 0.0:
        simulator.batch.rows["noise"] = rng.integers(1, 2**62, count)
    simulator.begin(np.arange(count))
    actions = np.zeros(count, np.int64)
    while len(left := np.flatnonzero(simulator.batch.rows["outcome"] == RUNNING)):
        logits = network.masked_logits(simulator.batch.rows[left], made.max_decisions)
        # The Gumbel trick: the largest of logits plus noise is a draw from their softmax.
        noise = 0.0 if deterministic else rng.gumbel(size=logits.shape)
        actions[left] = (logits + noise).argmax(axis=1)
        simulator.step_discrete(actions)
    return simulator
