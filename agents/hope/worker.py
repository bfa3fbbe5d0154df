"""One more learning process of a ``HopePPO``; ``learners.py`` starts it.

It reads what its own parent wrote a moment ago into a folder that only this user can open.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from pathlib import Path


def main() -> None:
    """``python -m hybridrl.agents.hope.worker FOLDER RANK``."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    import hybridrl  # noqa: F401  registers the environments
    from hybridrl.agents.common.vec_env import make_vec
    from hybridrl.agents.hope.hope_ppo import HopePPO
    from hybridrl.agents.hope.learners import Learners

    torch.set_num_threads(1)
    task = pickle.loads((folder / "task.pkl").read_bytes())
    env_id, count, kwargs = task["env"]
    seed = task["seed"] + 1_000_003 * rank
    env = make_vec(env_id, count, seed, **kwargs)
    model = HopePPO.load(folder / "model.zip", env=env, device="cpu")
    model.tensorboard_log, model.verbose = None, 0
    model.set_random_seed(seed)
    env.seed(seed)
    group = Learners(rank, task["count"], folder / "meeting")
    model.learn_with(group, **task["learn"])
    group.leave()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
