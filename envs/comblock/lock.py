"""What a combination lock is: its options, its secret codes, its rotation and what is known of it.

Source: Zhou et al., arXiv 2311.08384, section 5; the same lock as in arXiv 2111.08896 and Hy-Q,
arXiv 2210.06718.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError, UnknownNameError

ACTION_KINDS = ("discrete", "continuous")
OBS_KINDS = ("hadamard", "latent", "image")
ANTI_MODES = ("on_exit", "terminal")
SPLITS = ("train", "test")
N_LATENT = 3  # two good states and the dead one
DEAD = 2


@dataclass(frozen=True, kw_only=True)
class LockOptions:
    """Keywords of the environment, checked.

    Args:
        horizon: Episode length H in steps, 1 to 1000; every episode has exactly H steps.
        n_actions: Latent actions A, 2 to 1000.
        action_kind: ``discrete`` or ``continuous``: a vector of A numbers whose softmax is the
            distribution of the latent action.
        temperature: The latent action is drawn from softmax(action / temperature), above 0.
        obs_kind: ``hadamard``, ``latent`` or ``image``.
        noise: Standard deviation of the Gaussian noise of ``hadamard``, at least 0.
        p_switch: Probability that the good states swap after a correct action.
        anti_reward: Anti-shaped reward, in [0, 1).
        p_anti: Its probability.
        anti_mode: ``on_exit`` pays it when the good states are left, ``terminal`` on the last step
            of every failure.
        lock_seed: Seed of the secret codes; ``None`` draws a seed.
        split: Instances that ``image`` shows: ``train`` or ``test``.

    Raises:
        ScenarioError: If a number is out of range.
        UnknownNameError: If a kind, mode or split is unknown.
    """

    horizon: int = 10
    n_actions: int = 10
    action_kind: str = "discrete"
    temperature: float = 0.1
    obs_kind: str = "hadamard"
    noise: float = 0.1
    p_switch: float = 0.5
    anti_reward: float = 0.1
    p_anti: float = 0.5
    anti_mode: str = "on_exit"
    lock_seed: int | None = None
    split: str = "train"

    def __post_init__(self) -> None:
        """Check every value."""
        for name, low, high in (("horizon", 1, 1000), ("n_actions", 2, 1000)):
            value = getattr(self, name)
            if not (isinstance(value, int | np.integer) and low <= value <= high):
                raise ScenarioError(name, value, f"a whole number from {low} to {high}")
        for name in ("p_switch", "p_anti"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ScenarioError(name, getattr(self, name), "a probability from 0 to 1")
        if not 0.0 <= self.anti_reward < 1.0:
            raise ScenarioError("anti_reward", self.anti_reward, "a number from 0 to below 1")
        if not self.temperature > 0.0:
            raise ScenarioError("temperature", self.temperature, "a number above 0")
        if not 0.0 <= self.noise < np.inf:
            raise ScenarioError("noise", self.noise, "a number from 0 up")
        for name, known in (
            ("action_kind", ACTION_KINDS),
            ("obs_kind", OBS_KINDS),
            ("anti_mode", ANTI_MODES),
            ("split", SPLITS),
        ):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, str(getattr(self, name)), known)

    @classmethod
    def from_keywords(cls, keywords: dict[str, Any]) -> LockOptions:
        """Options from an environment's keywords.

        Raises:
            UnknownNameError: If a keyword is unknown; the message gives the nearest ones.
        """
        known = [f.name for f in fields(cls)]
        for key in keywords:
            if key not in known:
                raise UnknownNameError("keyword of CombLock", key, known)
        return cls(**keywords)


def draw_codes(horizon: int, n_actions: int, lock_seed: int | None) -> NDArray[np.int64]:
    """The secret codes: the correct action of both good states at every step.

    Args:
        horizon: H.
        n_actions: A.
        lock_seed: The same seed gives the same codes; ``None`` draws one.

    Returns:
        Actions, shape ``(2, H)``, independent and uniform on 0 to A - 1.
    """
    rng = np.random.default_rng(lock_seed)
    return rng.integers(0, n_actions, size=(2, horizon))


def hadamard_size(horizon: int) -> int:
    """Dimension D of the rotated observation: the least power of two from H + 4 up."""
    return 1 << (horizon + 3).bit_length()


def hadamard_matrix(size: int) -> NDArray[np.float64]:
    """Sylvester's Hadamard matrix M of plus and minus ones; ``M @ M == size * I``.

    Args:
        size: A power of two.

    Returns:
        Shape ``(size, size)``, symmetric.

    Raises:
        ScenarioError: If ``size`` is no power of two.
    """
    if size < 1 or size & (size - 1):
        raise ScenarioError("size", size, "a power of two")
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def expected_return(success: float, *, anti_reward: float = 0.1, p_anti: float = 0.5) -> float:
    """Expected undiscounted return of a policy that opens the lock with a given probability.

    Every failure is worth ``p_anti * anti_reward`` in both modes, whenever it happens.

    Args:
        success: Probability of opening the lock, in [0, 1].
        anti_reward: As in :class:`LockOptions`.
        p_anti: As in :class:`LockOptions`.
    """
    failure = p_anti * anti_reward
    return failure + (1.0 - failure) * success
