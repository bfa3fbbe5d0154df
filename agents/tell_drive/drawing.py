"""What the student looks at, drawn over the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridrl.envs.driving.drawing import _VIEWS, draw_scene
from hybridrl.envs.driving.kernels.observe import LATERAL, POSITION

if TYPE_CHECKING:
    from hybridrl.envs.driving.task import DrivingArrays

HEAD_COLOURS = ((255, 80, 200), (80, 255, 230), (255, 220, 60), (160, 120, 255))
WIDEST = 7  # pixels of a line whose weight is 1
FAINTEST = 0.02  # weights below it are not drawn


def draw_attention(arrays: DrivingArrays, row: int, weights: NDArray[Any]) -> NDArray[np.uint8]:
    """A picture of a scene with a line from the ego to each car, as wide as its weight.

    Args:
        arrays: Scenes of either back end, as they were observed.
        row: Which of them.
        weights: Of ``attention_weights``: shape ``(heads, N)``; each head has its colour, and the
            ego's weight on itself is a circle around it.

    Returns:
        Shape ``(H, W, 3)``.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(draw_scene(arrays, row))
    pen = ImageDraw.Draw(picture)
    places = positions(arrays, row)
    pixels = _pixels(arrays, row, places)
    for head, own in enumerate(np.asarray(weights)):
        colour = HEAD_COLOURS[head % len(HEAD_COLOURS)]
        x, y = pixels[0]
        radius = 4 + 3 * head + 8 * float(own[0])
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
        for place, weight in zip(pixels[1:], own[1:], strict=False):
            if weight >= FAINTEST:
                line = (x, y + 3 * head, float(place[0]), float(place[1]) + 3 * head)
                pen.line(line, fill=colour, width=max(1, round(WIDEST * float(weight))))
    return np.asarray(picture)


def positions(arrays: DrivingArrays, row: int) -> NDArray[np.float64]:
    """World positions of the observed cars, the ego first, metres, shape ``(N, 2)``.

    Cars beyond the range of an observation stand at its edge; absent ones at the ego.
    """
    facts, seen = arrays.rows[row], arrays.seen[row].astype(np.float64)
    ego = arrays.cars[row][int(facts["ego"])]
    own = np.array([float(ego["x"]), float(ego["y"])])
    if bool(arrays.config[0]["absolute"]):
        places: NDArray[np.float64] = seen[:, 1:3] * POSITION
    else:
        places = own + seen[:, 1:3] * np.array([POSITION, LATERAL])
    places[seen[:, 0] < 0.5] = own
    places[0] = own
    return places


def _pixels(arrays: DrivingArrays, row: int, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """World positions in the picture of ``draw_scene``."""
    width, height, scale, fixed = _VIEWS[arrays.options.scenario]
    ego = places[0]
    middle = fixed or (float(ego[0]) + 0.25 * width / scale, 1.5 * 4.0)
    corner = np.array([width / 2 - scale * middle[0], height / 2 - scale * middle[1]])
    made: NDArray[np.float64] = corner + scale * places
    return made
