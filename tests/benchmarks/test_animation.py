from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from PIL import Image

from hybridrl.benchmarks.animation import (
    animate_path,
    contact_sheet,
    drive,
    path_frames,
    save_animation,
)
from hybridrl.planners.path import Path
from hybridrl.planners.scenario import Scenario

SCENE = Scenario(start=(0.0, 0.0, 0.0), goal=(5.0, 1.0, 0.0), obstacles=[[(2, 3), (4, 3), (3, 5)]])
PATH = Path.from_arcs(SCENE.start, [(0.3, 2.6), (-0.3, 2.6), (0.1, -0.8)])


def moving_square(count: int) -> list[np.ndarray]:
    frames = np.full((count, 48, 65, 3), (50, 55, 64), np.uint8)
    for i, frame in enumerate(frames):
        frame[10:20, 2 * i : 2 * i + 10] = (77, 184, 255)
    return list(frames)


def test_a_gif_plays_back_the_frames_it_was_given(tmp_path):
    frames = moving_square(12)
    save_animation(frames, tmp_path / "a.gif", fps=20)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 12 and film.info["loop"] == 0
        for i, frame in enumerate(frames):
            film.seek(i)
            assert film.info["duration"] == 50
            assert np.abs(np.asarray(film.convert("RGB")).astype(int) - frame).max() <= 3


def test_frames_that_stand_still_keep_their_time(tmp_path):
    frames = moving_square(3)
    save_animation([*frames, *frames[-1:] * 7], tmp_path / "a.gif", fps=10)
    with Image.open(tmp_path / "a.gif") as film:
        total = 0
        for i in range(film.n_frames):
            film.seek(i)
            total += film.info["duration"]
    assert total == 1000


def test_an_mp4_has_every_frame_and_even_sides(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    save_animation(moving_square(9), tmp_path / "a.mp4", fps=10)
    reader = ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    assert next(reader)["size"] == (64, 48)
    assert sum(1 for _ in reader) == 9
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_an_mp4_without_ffmpeg_names_the_extra_and_keeps_the_old_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(ImportError, match=r"hybridrl\[video\]"):
        save_animation(moving_square(2), tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def test_a_failed_write_leaves_the_old_film_and_no_partial_one(tmp_path, monkeypatch):
    save_animation(moving_square(2), tmp_path / "a.gif")
    before = (tmp_path / "a.gif").read_bytes()

    def fail(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_animation(moving_square(5), tmp_path / "a.gif")
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]
    assert (tmp_path / "a.gif").read_bytes() == before


@pytest.mark.parametrize(
    ("frames", "name", "fps", "message"),
    [
        ([], "a.gif", 20, "at least one frame"),
        (moving_square(1), "a.avi", 20, r"a\.avi.*\.gif or \.mp4"),
        (moving_square(1), "a.gif", 0, "fps is 0"),
        (moving_square(1), "a.gif", math.nan, "fps is nan"),
        ([*moving_square(1), np.zeros((4, 4, 3), np.uint8)], "a.gif", 20, "one size"),
        ([np.zeros((4, 4, 3))], "a.gif", 20, "float64"),
        ([np.zeros((4, 4), np.uint8)], "a.gif", 20, "one size"),
    ],
)
def test_frames_and_names_that_cannot_be_written_are_refused(tmp_path, frames, name, fps, message):
    with pytest.raises(ValueError, match=message):
        save_animation(frames, tmp_path / name, fps)
    assert not list(tmp_path.iterdir())


def test_driving_a_path_stops_at_every_arc_and_never_steps_too_far():
    poses, curvatures, gears = drive(PATH, 0.25)
    assert len(poses) == len(curvatures) == len(gears) == 1 + 11 + 11 + 4
    for knot in PATH.knots:
        assert np.abs(poses - knot).max(axis=1).min() < 1e-12
    assert np.allclose(poses[-1], PATH.end)
    assert np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1).max() <= 0.25 + 1e-12
    assert gears.tolist() == [1.0] * 23 + [-1.0] * 4
    assert curvatures.tolist() == [0.3] * 12 + [-0.3] * 11 + [0.1] * 4


def test_a_path_without_arcs_is_one_pose():
    poses, curvatures, gears = drive(Path(SCENE.start, np.zeros(0), np.zeros(0)), 0.25)
    assert poses.tolist() == [[0.0, 0.0, 0.0]]
    assert curvatures.tolist() == [0.0] and gears.tolist() == [1.0]


def test_a_film_of_a_path_lasts_as_long_as_driving_it_and_a_second(tmp_path):
    frames = path_frames(SCENE, PATH, fps=10, speed=1.0, size=(160, 120))
    assert len(frames) == 1 + 11 + 11 + 4 + 10
    assert np.array_equal(frames[-1], frames[-10]) and not np.array_equal(frames[0], frames[-1])
    animate_path(SCENE, PATH, tmp_path / "a.gif", fps=10, speed=1.0, size=(160, 120))
    assert (tmp_path / "a.gif").stat().st_size < 100_000


@pytest.mark.parametrize("speed", [0.0, -1.0, math.inf, math.nan])
def test_a_speed_that_never_arrives_is_refused(speed):
    with pytest.raises(ValueError, match="speed"):
        path_frames(SCENE, PATH, speed=speed)


def test_a_contact_sheet_shows_every_picture_once_in_reading_order():
    images = [np.full((10 + i, 20 - i, 3), 40 * i + 50, np.uint8) for i in range(5)]
    sheet = contact_sheet(images, columns=2, gap=4)
    assert sheet.shape == (3 * (14 + 4) + 4, 2 * (20 + 4) + 4, 3)
    centers = [(4 + 7 + 18 * (i // 2), 4 + 10 + 24 * (i % 2)) for i in range(5)]
    assert [int(sheet[center][0]) for center in centers] == [50, 90, 130, 170, 210]
    for image in images:
        assert np.all(sheet == image[0, 0], axis=2).sum() == image.shape[0] * image.shape[1]


def test_a_contact_sheet_is_no_wider_than_its_pictures():
    image = np.zeros((8, 8, 3), np.uint8)
    assert contact_sheet([image], columns=4, gap=0).shape == (8, 8, 3)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], columns=2)
    with pytest.raises(ValueError, match="0 columns"):
        contact_sheet([image], columns=0)
