"""Images instead of numbers: a procedural class generator, nothing to download.

Each class has a texture: four plane waves in a palette of three colours, and blobs. Each instance
shows a shifted part of it with another tint and brightness, an occluder and noise, so a class
cannot be told with certainty: the states cannot be decoded, on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hybridrl.planners.errors import ScenarioError

SIDE = 32
SHAPE = (3, SIDE, SIDE)
INSTANCES = {"train": 500, "test": 100}  # of each class, as CIFAR-100 has
_MARGIN = 16  # pixels by which an instance may be shifted
_WAVES, _BLOBS = 4, 5
_SEED = 20_311_084  # of all classes
# Nuisances, between settings at which a small network on frozen random features decodes 63 % and
# 87 % of the classes of unseen instances (docs/comblock.md).
_TINT, _NOISE, _OCCLUDER = 0.2, 0.15, 16


def image_bank(
    classes: int,
    split: str,
    source: Callable[[int, np.random.Generator, str], NDArray[np.uint8]] | None = None,
) -> NDArray[np.uint8]:
    """All instances of the first classes, ``(classes, instances, 3, 32, 32)``.

    Args:
        classes: How many.
        split: ``train`` or ``test``; their instances are disjoint.
        source: Draws an image from class id, generator and split [default: :func:`draw_image`].

    Raises:
        ScenarioError: If the source draws something else than such images.
    """
    if source is None:
        return np.stack([_class_bank(k, split) for k in range(classes)])
    bank = np.empty((classes, INSTANCES[split], *SHAPE), np.uint8)
    for k in range(classes):
        for instance in range(INSTANCES[split]):
            image = np.asarray(source(k, _generator(k, split, instance), split))
            if image.shape != SHAPE or image.dtype != np.uint8:
                raise ScenarioError("image_source", (image.shape, image.dtype), f"uint8 {SHAPE}")
            bank[k, instance] = image
    return bank


def class_texture(class_id: int) -> NDArray[np.float32]:
    """The texture of a class, ``(3, 48, 48)`` in [0, 1]; instances show parts of it.

    Args:
        class_id: From 0 up.
    """
    rng = np.random.default_rng([_SEED, class_id])
    size = SIDE + _MARGIN
    y, x = np.mgrid[:size, :size] / SIDE
    waves = np.zeros((3, size, size))
    for _ in range(_WAVES):
        angle, cycles, phase = rng.uniform(0, [np.pi, 5.0, 2 * np.pi])
        wave = np.sin(2 * np.pi * (1 + cycles) * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        waves += rng.normal(size=(3, 1, 1)) * wave
    texture = 0.5 + 0.15 * waves + rng.uniform(-0.2, 0.2, (3, 1, 1))
    for _ in range(_BLOBS):
        cx, cy, radius = rng.uniform([0, 0, 0.06], [1.5, 1.5, 0.18])
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        texture[:, inside] = rng.uniform(0, 1, (3, 1))
    return np.clip(texture, 0, 1).astype(np.float32)


def draw_image(texture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An instance: shift, tint, brightness, occluder and noise.

    Args:
        texture: Of its class, ``(3, 48, 48)``.
        rng: The only source of draws.

    Returns:
        ``(3, 32, 32)``.
    """
    top, left = rng.integers(0, _MARGIN + 1, 2)
    image = texture[:, top : top + SIDE, left : left + SIDE].astype(np.float64)
    mixing = np.eye(3) + rng.normal(0, _TINT, (3, 3))
    image = (
        np.einsum("cd,dyx->cyx", mixing, image - 0.5) + 0.5 + rng.normal(0, _TINT / 2, (3, 1, 1))
    )
    height, width = rng.integers(_OCCLUDER // 2, _OCCLUDER + 1, 2)
    y, x = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
    image[:, y : y + height, x : x + width] = rng.uniform(0, 1, (3, 1, 1))
    image += rng.normal(0, _NOISE, SHAPE)
    shown: NDArray[np.uint8] = np.clip(255 * image, 0, 255).astype(np.uint8)
    return shown


@lru_cache(maxsize=512)
def _class_bank(class_id: int, split: str) -> NDArray[np.uint8]:
    texture = class_texture(class_id)
    count = INSTANCES[split]
    return np.stack([draw_image(texture, _generator(class_id, split, k)) for k in range(count)])


def _generator(class_id: int, split: str, instance: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, class_id, 1 + (split == "test"), instance])
