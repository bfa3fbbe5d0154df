"""What a small compiled Q-network is made from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hybridrl.agents.common.small_q import HIDDEN, INPUTS, OUTPUTS
from hybridrl.planners.errors import ScenarioError, UnknownNameError

TILE = 32  # batches are multiples of it
SMALL_TILE = 64  # samples that small networks work on at a time
SMALL_ROWS = INPUTS + 2 * HIDDEN + 2 * OUTPUTS + 2  # numbers of each of them
OPTIMISERS = ("sgd", "adam", "rmsprop")
HEADS = ("q", "c51", "count")
MAX_LAYERS = 4
MAX_INPUTS = 16


@dataclass(frozen=True, kw_only=True)
class BrainSpec:
    """What a :class:`~hybridrl.agents.common.compiled_q.Brain` is made from.

    Args:
        bins: Number of bins of each input feature, 2 to 256; at most 16 features.
        actions: How many, 2 to 255.
        hidden: Widths of one to three hidden layers.
        head: ``q``, ``c51``, or ``count``: logarithms of expected counts, of small networks only.
        atoms: Of the ``c51`` head.
        v_min: Lowest return that ``c51`` can express.
        v_max: Highest one.
        learning_rate: Above 0.
        exploration: Probability of a uniform action, 0 to 1.
        batch_size: A multiple of 32.
        capacity: Transitions in the replay memory.
        optimiser: ``adam``, ``rmsprop`` (centred) or ``sgd``.
        huber: Where the loss turns linear; infinity gives half the squared error. With ``count``
            the size of the negative binomial: much larger counts only count by their ratio.
        double: Whether the network in training chooses the action of the target (van Hasselt et
            al., 2016, arXiv:1509.06461).
        seed: Of weights, exploration and batches.
    """

    bins: tuple[int, ...]
    actions: int
    hidden: tuple[int, ...] = (10,)
    head: str = "q"
    atoms: int = 51
    v_min: float = 0.0
    v_max: float = 10.0
    learning_rate: float = 1e-3
    exploration: float = 1e-3
    batch_size: int = 128
    capacity: int = 1000
    optimiser: str = "adam"
    huber: float = 1.0
    double: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UnknownNameError: If head or optimiser is unknown.
            ScenarioError: If a number is out of range.
        """
        words = (("head", self.head, HEADS), ("optimiser", self.optimiser, OPTIMISERS))
        for kind, name, known in words:
            if name not in known:
                raise UnknownNameError(kind, name, known)
        bins, layers, batch = len(self.bins), len(self.hidden), self.batch_size
        bins_fit = 1 <= bins <= MAX_INPUTS and all(2 <= b <= 256 for b in self.bins)
        hidden_fit = 1 <= layers < MAX_LAYERS and all(h >= 1 for h in self.hidden)
        checks = (
            ("bins", self.bins, bins_fit, f"2 to 256 each of at most {MAX_INPUTS}"),
            ("actions", self.actions, 2 <= self.actions <= 255, "2 to 255"),
            ("hidden", self.hidden, hidden_fit, "one to three widths"),
            ("atoms", self.atoms, self.atoms >= 2, "2 or more"),
            ("v_max", self.v_max, self.v_max > self.v_min, f"above v_min = {self.v_min}"),
            ("learning_rate", self.learning_rate, self.learning_rate > 0, "above 0"),
            ("exploration", self.exploration, 0 <= self.exploration <= 1, "0 to 1"),
            ("batch_size", batch, batch >= TILE and batch % TILE == 0, "32, 64, 96, ..."),
            ("capacity", self.capacity, self.capacity >= 1, "1 or more"),
            ("huber", self.huber, self.huber > 0, "above 0"),
            ("head", self.head, self.head != "count" or self.small, "q for large networks"),
        )
        for name, value, good, expected in checks:
            if not good:
                raise ScenarioError(name, value, expected)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of all layers, inputs first."""
        outputs = self.actions * (self.atoms if self.head == "c51" else 1)
        return (len(self.bins), *self.hidden, outputs)

    @property
    def parameters(self) -> int:
        """How many weights and biases."""
        return sum((i + 1) * o for i, o in itertools.pairwise(self.widths))

    @property
    def small(self) -> bool:
        """Whether it takes the unrolled path."""
        fits = all(
            w <= most for w, most in zip(self.widths, (INPUTS, HIDDEN, OUTPUTS), strict=False)
        )
        return fits and self.head != "c51" and len(self.hidden) == 1
