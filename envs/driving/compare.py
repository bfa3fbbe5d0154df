"""Traffic statistics of both back ends, to show that they are the same traffic."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from hybridrl.envs.driving.names import IDLE, NATIVE_ACTIONS
from hybridrl.envs.driving.task import DrivingArrays

STATISTICS = ("mean_speed", "lane_changes", "crash_rate", "cars", "decisions")


def traffic_statistics(env: gym.Env[Any, Any], episodes: int, seed: int) -> dict[str, float]:
    """Drive IDLE and look at the others.

    Args:
        env: A :class:`~hybridrl.envs.driving.env.DrivingEnv`, wrapped or not.
        episodes: How many.
        seed: Of the first; the others count up.

    Returns:
        Mean speed of the others (m/s), their lane changes a car and second, share of episodes in
        which the ego crashed, mean number of others, mean decisions of an episode.
    """
    bare: Any = env.unwrapped
    arrays: DrivingArrays = bare.arrays
    idle = NATIVE_ACTIONS[arrays.options.scenario].index("IDLE")
    assert arrays.canonical[idle] == IDLE
    speeds, counts, changes, crashes, decisions = [], [], 0, 0, 0
    for episode in range(episodes):
        env.reset(seed=seed + episode)
        ended = False
        while not ended:
            _, _, terminated, truncated, info = env.step(idle)
            ended = terminated or truncated
            n, ego = int(arrays.rows["n"][0]), int(arrays.rows["ego"][0])
            others = np.arange(n) != ego
            cars = arrays.cars[0, :n][others]
            cars = cars[cars["delta"] > 0]
            speeds.append(cars["speed"].mean() if len(cars) else np.nan)
            counts.append(len(cars))
            changes += int((cars["lane"] != cars["target"]).sum())
            decisions += 1
        crashes += bool(info["crashed"])
    return {
        "mean_speed": float(np.nanmean(speeds)),
        "lane_changes": changes / max(1, sum(counts)),
        "crash_rate": crashes / episodes,
        "cars": float(np.mean(counts)),
        "decisions": decisions / episodes,
    }
