"""State of a stacked training on disk, so that it goes on as if it had never stopped.

Laid out as a single agent's state (:mod:`.training_state`) and read without unpickling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hybridrl.agents.common.env_state import env_state, restore_env
from hybridrl.agents.common.stacked_agent import StackedAgent
from hybridrl.agents.common.training_state import newest_state, read_meta, writing_state
from hybridrl.agents.common.trees import load_tree, save_tree
from hybridrl.planners.errors import ScenarioError


def save_stack(stack: StackedAgent, root: Path) -> None:
    """Write the state of a stack, whole or not at all, in place of the one before.

    Args:
        stack: Between two calls of ``learn``.
        root: Folder of states.
    """
    with writing_state(root, stack.steps, {"agent": type(stack).__name__}) as folder:
        torch.save(stack.trained(), folder / "parameters.pth")
        save_tree(folder / "replay", stack.replay.export_state())
        counters = {"steps": stack.steps, "updates": stack.updates}
        random = {"torch": torch.get_rng_state(), "stack": stack.rng.bit_generator.state}
        seen = {"obs": stack.last_obs, "env": env_state(stack.env)}
        save_tree(folder / "state", {**counters, "random": random, **seen})


def load_stack(stack: StackedAgent, root: Path) -> bool:
    """Fill a freshly built stack from the newest state in a folder.

    The training goes on bit for bit where the environment tells its state; else it begins a new
    episode.

    Args:
        stack: Built with the settings, the environments and the data of before.
        root: Folder of states.

    Returns:
        Whether there was a state.

    Raises:
        ScenarioError: If a file is damaged or of another stack.
    """
    folder = newest_state(root)
    if folder is None:
        return False
    read_meta(folder)
    try:
        file = folder / "parameters.pth"
        stack.restore_trained(torch.load(file, stack.sac.device, weights_only=True))
        stack.replay.import_state(load_tree(folder / "replay"))
        _go_on(stack, load_tree(folder / "state"))
    except Exception as error:  # torch, zip, JSON and NumPy each have their own
        raise ScenarioError(str(folder), str(error), "a state of this very stack") from error
    return True


def _go_on(stack: StackedAgent, state: dict[str, Any]) -> None:
    stack.steps, stack.updates = state["steps"], state["updates"]
    if state["env"] is not None:
        stack.env.reset(seed=stack.seed)  # makes it ready; what it draws is overwritten
        restore_env(stack.env, state["env"])
        stack.last_obs = state["obs"]
    stack.rng.bit_generator.state = state["random"]["stack"]
    torch.set_rng_state(state["random"]["torch"])
