"""What teachers share: advice for many scene vectors at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.agents.tell_drive.teachers.advice import (
    ADVICE_SIZE,
    Teacher,
    actions_of,
    canonical_rows,
)
from hybridrl.envs.driving.scene import Scene


def advice_rows(teacher: Teacher, vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Advice for scene vectors as slots of the observation.

    Args:
        teacher: Any; one with a method ``rows`` answers all of them at once.
        vectors: Shape ``(N, 48)``.

    Returns:
        Shape ``(N, 8)``: five canonical probabilities, confidence, age, valid.
    """
    if not len(vectors):
        return np.zeros((0, ADVICE_SIZE), np.float32)
    batched = getattr(teacher, "rows", None)
    if batched is not None:
        made: NDArray[np.float32] = batched(vectors)
        return made
    scenes = [Scene.from_vector(vector) for vector in vectors]
    said = teacher.advise(scenes)
    rows = [
        canonical_rows([one], actions_of(scene)) for scene, one in zip(scenes, said, strict=True)
    ]
    return np.concatenate(rows)
