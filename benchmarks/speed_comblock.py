"""What ``hybridrl speed comblock`` and ``hybridrl speed hnpg`` time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import hybridrl  # noqa: F401  (registers the ids)
from hybridrl.benchmarks.speed import Subject
from hybridrl.envs.comblock.lock import DEAD, LockOptions, draw_codes, hadamard_matrix

ID = "hybridrl/CombLock-v0"
LANES = 1024
HORIZON = 10
PLAIN, PLAIN_SMOOTH = "plain Python", "plain Python, continuous"
LOOP = "a network after the other, autograd"


def comblock_subjects(seed: int) -> list[Subject]:
    """Steps of locks of ten and fifty steps, beside an environment without compiled code."""
    smooth = {"action_kind": "continuous"}
    return [
        Subject(f"vector of {LANES}", "steps", _vector(seed), PLAIN),
        Subject(f"vector of {LANES}, continuous", "steps", _vector(seed, **smooth), PLAIN_SMOOTH),
        Subject(f"vector of {LANES}, H = 50", "steps", _vector(seed, horizon=50), PLAIN),
        Subject(f"vector of {LANES}, latent", "steps", _vector(seed, obs_kind="latent"), PLAIN),
        Subject("gym.make", "steps", _single(seed), PLAIN),
        Subject(PLAIN, "steps", _plain(seed, smooth=False)),
        Subject(PLAIN_SMOOTH, "steps", _plain(seed, smooth=True)),
    ]


def hnpg_subjects(seed: int) -> list[Subject]:
    """Iterations of HNPG (ten steps, 1,000 rows of each kind): stacked, and one by one."""
    import torch

    torch.set_num_threads(1)
    subjects = []
    for kind in ("discrete", "continuous"):
        stacked, loop = _updates(seed, kind)
        peer = f"{LOOP}: {kind}"
        subjects += [
            Subject(f"stacked networks: {kind}", "iterations", stacked, peer),
            Subject(peer, "iterations", loop),
        ]
    return subjects


def _vector(seed: int, **keywords: Any) -> Callable[[], int]:
    lock = {"horizon": HORIZON, **keywords}
    env: Any = gym.make_vec(ID, LANES, vectorization_mode="vector_entry_point", **lock)
    env.reset(seed=seed)
    env.action_space.seed(seed)
    actions = [env.action_space.sample() for _ in range(8)]

    def work() -> int:
        for action in actions:
            env.step(action)
        return len(actions) * LANES

    return work


def _single(seed: int) -> Callable[[], int]:
    env = gym.make(ID, horizon=HORIZON)
    env.reset(seed=seed)
    actions = np.random.default_rng(seed).integers(0, 10, 256)

    def work() -> int:
        for action in actions:
            if env.step(action)[2]:
                env.reset()
        return len(actions)

    return work


class _PlainLock:
    """The lock as one would write it first: NumPy on single states."""

    def __init__(self, options: LockOptions, rng: np.random.Generator) -> None:
        self.options, self.rng = options, rng
        self.codes = draw_codes(options.horizon, options.n_actions, 0)
        self.rotation = hadamard_matrix(16)

    def reset(self) -> Any:
        self.latent, self.step_number = int(self.rng.integers(2)), 0
        return self.observe()

    def observe(self) -> Any:
        coded = np.zeros(16)
        coded[: self.options.horizon + 3] = self.rng.normal(0, 0.1, self.options.horizon + 3)
        coded[self.latent] += 1
        coded[3 + self.step_number] += 1
        return (self.rotation @ coded).astype(np.float32)

    def step(self, action: Any) -> tuple[Any, float, bool]:
        if self.options.action_kind == "continuous":
            scores = np.exp((action - action.max()) / self.options.temperature)
            action = self.rng.choice(len(scores), p=scores / scores.sum())
        reward, last = 0.0, self.step_number == self.options.horizon - 1
        if self.latent != DEAD and action == self.codes[self.latent, self.step_number]:
            reward = float(last)
            if self.rng.random() < 0.5:
                self.latent = 1 - self.latent
        else:
            if self.latent != DEAD and self.rng.random() < 0.5:
                reward = 0.1
            self.latent = DEAD
        self.step_number += 1
        return self.observe(), reward, last


def _plain(seed: int, smooth: bool) -> Callable[[], int]:
    rng = np.random.default_rng(seed)
    kind = "continuous" if smooth else "discrete"
    env = _PlainLock(LockOptions(horizon=HORIZON, action_kind=kind), rng)
    actions: Any = rng.random((256, 10)) if smooth else rng.integers(0, 10, 256)
    env.reset()

    def work() -> int:
        for action in actions:
            if env.step(action)[2]:
                env.reset()
        return len(actions)

    return work


def _updates(seed: int, kind: str) -> tuple[Callable[[], int], Callable[[], int]]:
    """The same iteration on the same rows: with stacked networks, and network after network."""
    from hybridrl.agents.common.vec_env import make_vec
    from hybridrl.agents.hnpg import HNPG
    from hybridrl.datasets.comblock import comblock_dataset

    keywords: dict[str, Any] = {"horizon": HORIZON, "lock_seed": seed, "action_kind": kind}
    data = comblock_dataset(LockOptions(**keywords), "eps", 2000, seed)
    env = make_vec(ID, 100, seed=seed, **keywords)
    model = HNPG("MlpPolicy", env, n_steps=HORIZON, seed=seed, device="cpu", offline_dataset=data)
    model.learn(1000)

    def stacked() -> int:
        model.train()
        return 1

    return stacked, _Loop(model).iteration


class _Loop:
    """One policy and one critic a step, each fitted by torch's Adam and stepped alone."""

    def __init__(self, model: Any) -> None:
        from hybridrl.agents.hnpg.policy import HNPGPolicy

        self.model, members = model, model.n_members
        spaces = model.observation_space, model.action_space
        self.policies = [HNPGPolicy(*spaces, lambda _: 3e-4) for _ in range(members)]

    def iteration(self) -> int:
        from hybridrl.agents.hnpg.step import PolicyRows, natural_step

        online, offline = self.model._rollout, self.model._offline.sample(100)
        for h in reversed(range(len(self.policies))):
            policy, rows = self.policies[h], slice(h, h + 1)
            features = _joined(online.features.transpose(0, 1)[:, h][None], offline.features[rows])
            actions = _joined(online.actions.transpose(0, 1)[:, h][None], offline.actions[rows])
            self._fit(policy, features, actions, h, offline)
            log_prob = policy.head.log_prob(actions, *policy.outputs(features)).detach()
            gain = policy.q_values(features, actions) - policy.values(features, 10)
            natural_step(
                policy,
                PolicyRows(
                    features=features,
                    actions=actions,
                    log_prob=log_prob,
                    advantages=gain.detach(),
                    mask=log_prob * 0 + 1,
                ),
                _region(self.model),
            )
        return 1

    def _fit(self, policy: Any, features: Any, actions: Any, h: int, offline: Any) -> None:
        import torch

        targets = features[..., 0] * 0
        if h + 1 < len(self.policies):
            with torch.no_grad():
                later = self.policies[h + 1].values(offline.next_features[h : h + 1], 1)
            targets[:, -later.shape[1] :] = later
        adam = torch.optim.Adam(policy.critic.parameters(), lr=3e-4)
        for _ in range(30):
            loss = (policy.q_values(features, actions) - targets).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()


def _joined(online: Any, offline: Any) -> Any:
    import torch

    return torch.cat([online, offline], dim=1)


def _region(model: Any) -> Any:
    from hybridrl.agents.hnpg.step import TrustRegion

    return TrustRegion(
        max_kl=model.target_kl,
        damping=model.cg_damping,
        iterations=model.cg_max_steps,
        shrink=model.line_search_shrinking_factor,
        tries=model.line_search_max_iter,
        accept=0.1,
        kl_check=model.kl_check,
    )
