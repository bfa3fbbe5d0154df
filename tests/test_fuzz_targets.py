"""What the fuzzer starts from is read, and what it once broke is refused with our own error."""

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(Path(__file__).with_name("fuzz")))
    from fuzzing import folder, ours
    from targets import TARGETS

PARTIAL = {"npz-built", "hdf5-built", "behaviour"}  # with a seed that is refused
DEEP, LONG = b"[" * 3000, b"1" * 5000
NASTY = [b"", DEEP, b'{"a":' * 3000, b"x=" + DEEP, b'{"format":' + LONG + b"}", b"\xff", b"null"]
COLUMNS = {
    "observations": np.zeros((3, 2)),
    "actions": np.zeros(3, int),
    "rewards": np.zeros(3),
    "terminations": np.array([False, True, False]),
    "truncations": np.zeros(3, bool),
}


def npz(**columns):
    file = io.BytesIO()
    np.savez(file, **columns)
    return file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def tidy():
    yield
    import shutil

    shutil.rmtree(folder())


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzer_starts_from_is_read(name):
    target = TARGETS[name]
    for seed in target.seeds():
        try:
            assert target.parse(seed) is not None
        except ours():
            assert name in PARTIAL


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("data", NASTY)
def test_what_is_empty_deep_or_long_is_read_or_refused(name, data):
    try:
        TARGETS[name].parse(data)
    except ours():
        return


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("scenario", LONG),
        ("recorded", b"\x80\x04]\x94r\x45\x57\x94\x28."),  # a place for 680 million objects
        ("npz", npz(**COLUMNS | {"actions": np.float64(0)})),
        ("npz", npz(**COLUMNS | {"truncations": np.ones((3, 1), bool)})),
        ("recorded", pickle.dumps([([[0.0, np.inf, 0.0]], [9.0, 1.0, 0.0], [])])),
        ("npz", npz(**COLUMNS, **{"observations.a": np.zeros(3)})),
        ("npz", npz(**{"observations.a": np.zeros(3)}, **COLUMNS)),
        ("behaviour", b'{"format": 1, "levels": {"medium": {}, "expert": {}}}'),
        ("behaviour", b'{"format": 1, "robot": "x", "levels": {"medium": 1, "expert": 1}}'),
        ("settings", b"n_steps=" + DEEP),
    ],
)
def test_what_the_fuzzer_once_broke_is_refused_with_our_own_error(name, data):
    with pytest.raises(ours()):
        TARGETS[name].parse(data)


@pytest.mark.parametrize("starts", [[[0.0, None, 0.0]], [[1.0, 2.0]], [], [[0.0, 1e999, 0.0]]])
def test_a_recorded_lot_with_a_start_that_is_no_pose_is_refused(starts):
    target = TARGETS["recorded-json"]
    data = json.loads(target.seeds()[0])
    with pytest.raises(ours(), match="starts of"):
        target.parse(json.dumps({**data, "starts": [starts]}).encode())


def test_a_weight_with_a_strange_name_is_refused():
    from safetensors.numpy import save

    tensors = {"latent_pi.x.weight": np.zeros((2, 2), np.float32)}
    with pytest.raises(ours(), match="SAC actor"):
        TARGETS["weights"].parse(save(tensors))


def test_a_pickle_of_plain_data_is_still_read():
    case = ([[0.0, 0.0, 0.0]], [9.0, 1.0, 0.0], [[[3.0, 3.0], [4.0, 3.0], [4.0, 4.0]]])
    assert TARGETS["recorded"].parse(pickle.dumps([case] * 3)) == 3
