"""Episodes as GIF or MP4 files, and sheets of stills side by side."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path as FilePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hybridrl.planners.path import Path, advance
from hybridrl.planners.scenario import Scenario

Array = NDArray[np.float64]
Frame = NDArray[np.uint8]
_COLORS = 128
_BACKGROUND = (24, 27, 32)


def save_animation(frames: Iterable[Frame], path: str | FilePath, fps: float = 20.0) -> None:
    """Write frames as an animation, whole or not at all.

    Args:
        frames: RGB pictures of one size, ``uint8``, each ``(height, width, 3)``; at least one.
        path: File to write; ``.gif`` loops, ``.mp4`` needs the extra ``video``.
        fps: Frames a second. A GIF counts in hundredths of a second and rounds to them, so that
            it shows no more than 50.

    Raises:
        ValueError: If there is no frame, sizes differ, or the suffix or ``fps`` cannot be used.
        ImportError: If an MP4 is asked for without ``imageio-ffmpeg``; the message names the extra.
    """
    file = FilePath(path)
    suffix = file.suffix.lower()
    writers = {".gif": _write_gif, ".mp4": _write_mp4}
    if suffix not in writers:
        raise ValueError(f"{file.name!r} has no animation suffix; use .gif or .mp4")
    if not 0 < fps <= 100:
        raise ValueError(f"fps is {fps}; expected more than 0 and at most 100")
    pictures = _same_size(frames)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Writers read the format from the suffix, so that stays last.
    partial = file.with_name(f"{file.stem}.partial{suffix}")
    try:
        writers[suffix](pictures, partial, fps)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def animate_path(
    scenario: Scenario,
    path: Path,
    out: str | FilePath,
    fps: float = 20.0,
    speed: float = 2.0,
    size: tuple[int, int] = (640, 640),
    info: str = "",
) -> None:
    """Write an animation of a vehicle that drives a path at its top speed.

    Args:
        scenario: Where it drives.
        path: What it drives.
        out: ``.gif`` or ``.mp4`` file.
        fps: Frames a second.
        speed: Of playback: 2 shows two seconds of driving in one.
        size: ``(width, height)`` of the frames, pixels.
        info: A line of text in the corner of every frame, before the gear.

    Raises:
        ValueError: If ``speed`` is not positive, or as :func:`save_animation` does.
        ImportError: As :func:`save_animation` does.
    """
    save_animation(path_frames(scenario, path, fps, speed, size, info), out, fps)


def path_frames(
    scenario: Scenario,
    path: Path,
    fps: float = 20.0,
    speed: float = 2.0,
    size: tuple[int, int] = (640, 640),
    info: str = "",
) -> list[Frame]:
    """The frames of :func:`animate_path`: one every ``speed / fps`` seconds, the last for 1 s.

    Raises:
        ValueError: If ``speed`` or ``fps`` is not a finite number above 0.
    """
    from hybridrl.envs.parking.drawing.render import SceneRenderer

    if not (0 < speed < math.inf and 0 < fps < math.inf):
        raise ValueError(f"speed is {speed} and fps {fps}; expected finite numbers above 0")
    renderer = SceneRenderer(scenario, size, include=path.sample(0.25))
    poses, curvatures, gears = drive(path, scenario.vehicle.max_speed * speed / fps)
    steers = np.arctan(curvatures * scenario.vehicle.wheelbase)
    frames = []
    for i, pose in enumerate(poses):
        text = "   ".join(filter(None, (info, "forward" if gears[i] > 0 else "reverse")))
        frames.append(renderer.frame(pose, poses[:i], float(steers[i]), info=text))
    return frames + frames[-1:] * round(fps)


def drive(path: Path, step: float) -> tuple[Array, Array, Array]:
    """Cut every arc of a path into equal steps, none longer than ``step`` metres.

    Returns:
        Poses ``(n, 3)``, the start first; the curvatures ``(n,)`` in 1/m and the gears ``(n,)``,
        ``1.0`` or ``-1.0``, that lead to them (at the start: away from it).
    """
    poses = [np.asarray(path.start, np.float64)[None]]
    gears = np.where(path.lengths < 0, -1.0, 1.0)
    counts = np.maximum(1, np.ceil(np.abs(path.lengths) / step - 1e-9)).astype(int)
    for knot, k, s, n in zip(path.knots, path.curvatures, path.lengths, counts, strict=False):
        poses.append(advance(knot, float(k), np.linspace(0.0, s, n + 1)[1:]))
    first = (path.curvatures[:1], gears[:1]) if len(gears) else (np.zeros(1), np.ones(1))
    curvature = np.concatenate([first[0], np.repeat(path.curvatures, counts)])
    return np.concatenate(poses), curvature, np.concatenate([first[1], np.repeat(gears, counts)])


def contact_sheet(images: Sequence[Frame], columns: int, gap: int = 12) -> Frame:
    """Put pictures side by side, row by row, to compare them.

    Args:
        images: RGB pictures, ``uint8``, each ``(height, width, 3)``; sizes may differ.
        columns: Pictures a row, at least 1.
        gap: Pixels between and around them.

    Returns:
        One RGB picture, ``uint8``; each picture stands in the middle of its cell.

    Raises:
        ValueError: If there is no picture or no column.
    """
    if not images or columns < 1:
        raise ValueError(f"{len(images)} images in {columns} columns; expected at least one each")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    sheet = np.empty((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), np.uint8)
    sheet[:] = _BACKGROUND
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top = gap + row * (height + gap) + (height - image.shape[0]) // 2
        left = gap + column * (width + gap) + (width - image.shape[1]) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def _same_size(frames: Iterable[Frame]) -> list[Frame]:
    pictures = [np.asarray(frame) for frame in frames]
    if not pictures:
        raise ValueError("an animation needs at least one frame; got none")
    shapes = {picture.shape for picture in pictures}
    kinds = {str(picture.dtype) for picture in pictures}
    shape = pictures[0].shape
    if len(shapes) > 1 or len(shape) != 3 or shape[2] != 3 or kinds != {"uint8"}:
        raise ValueError(
            f"frames have shapes {sorted(shapes)} and types {sorted(kinds)}; "
            "expected uint8 pictures (height, width, 3) of one size"
        )
    return pictures


def _write_gif(frames: list[Frame], path: FilePath, fps: float) -> None:
    """One palette for all frames: pixels that stand still stay equal and cost nothing."""
    sample = frames[:: max(1, len(frames) // 8)]
    montage = Image.fromarray(np.concatenate([*sample, frames[-1]]))
    palette = montage.quantize(_COLORS, dither=Image.Dither.NONE)
    first, *rest = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    )
    # Browsers slow down frames of less than 20 ms.
    options = {"duration": max(2, round(100 / fps)) * 10, "loop": 0, "optimize": True}
    first.save(path, format="GIF", save_all=True, append_images=rest, **options)


def _write_mp4(frames: list[Frame], path: FilePath, fps: float) -> None:
    """H.264 that every browser plays; odd sizes lose their last row or column."""
    try:
        ffmpeg = importlib.import_module("imageio_ffmpeg")
    except ImportError as error:
        raise ImportError(
            "writing .mp4 needs imageio-ffmpeg: pip install 'hybridrl[video]' (or write a .gif)"
        ) from error
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    writer = ffmpeg.write_frames(str(path), (width, height), fps=fps, macro_block_size=2, quality=8)
    writer.send(None)
    try:
        for frame in frames:
            writer.send(np.ascontiguousarray(frame[:height, :width]))
    finally:
        writer.close()
