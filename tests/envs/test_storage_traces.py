"""Traces: every loader on a hand-made file, damage of every kind, and what stays true of any."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hybridrl.envs.storage.traces.binary import ORACLE, VSCSI1, VSCSI2
from hybridrl.envs.storage.traces.formats import TEXT_FORMATS
from hybridrl.envs.storage.traces.readers import read_trace
from hybridrl.envs.storage.traces.trace import Trace
from hybridrl.planners.errors import ScenarioError, UnknownNameError

N = 20
# The same twenty requests in every format: every 250 ms, 8 KiB at 12 KiB steps, odd ones write.
TIMES = [k * 250_000 for k in range(N)]  # us
OFFSETS = [k * 12_288 for k in range(N)]
LETTERS = ["R" if k % 2 == 0 else "W" for k in range(N)]
WORDS = {"R": "Read", "W": "Write"}


def lines_of(name):
    rows = zip(TIMES, OFFSETS, LETTERS, strict=True)
    filetime = 128_166_372_003_061_629
    writers = {
        "msr": lambda t, o, x: f"{filetime + 10 * t},host,0,{WORDS[x]},{o},8192,4170",
        "systor17": lambda t, o, x: f"{1455592000 + t / 1e6:.6f},0.000417,{x},2,{o},8192",
        "tencent": lambda t, o, x: f"{1538323200 + t // 10**6},{o // 512},16,{'RW'.index(x)},1063",
        "alibaba": lambda t, o, x: f"64,{x},{o},8192,{1577808000000000 + t}",
        "k5cloud": lambda t, o, x: f"7,-,{x},{o},8192",
        "fiu": lambda t, o, x: f"{t * 1000} 2741 pdflush {o // 512} 16 {x} 6 0 d41d8cd98f00b204",
        "spc": lambda t, o, x: f"0,{o // 512},8192,{x.lower()},{t / 1e6:.6f}",
        "etw": lambda t, o, x: (
            f"   Disk{WORDS[x]}, {t}, svc.exe (  4), 128, 0xffff, {o:#014x}, 0x00002000, 417, 0"
        ),
        "mqsim": lambda t, o, x: f"{t * 1000} 0 {o // 512} 16 {'WR'.index(x)}",
        "libcachesim": lambda t, o, x: f"1,{t},{'2a' if x == 'W' else '28'},8192,{o // 512}",
        "sibyl": lambda t, o, x: f"{o},8192,{WORDS[x]}",
    }
    head = {
        "systor17": ["Timestamp,Response,IOType,LUN,Offset,Size"],
        "etw": ["BeginHeader", "DiskRead, TimeStamp, Process Name", "EndHeader", "OS Version: 6"],
    }
    return head.get(name, []) + [writers[name](*row) for row in rows]


def written(path, name):
    path.write_text("\n".join(lines_of(name)) + "\n")
    return path


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_every_text_format_gives_the_requests_that_were_written(tmp_path, name):
    path = written(tmp_path / "t.txt", name)
    for format in (name, None):
        trace = read_trace(path, format)
        assert len(trace) == N
        assert trace.timed == (name not in ("k5cloud", "sibyl"))
        if trace.timed:
            assert np.allclose(trace.t_us - trace.t_us[0], TIMES, atol=1)
        assert (trace.page - trace.page[0] == [3 * k for k in range(N)]).all()
        assert (trace.npages == 2).all()
        assert (trace.write == [x == "W" for x in LETTERS]).all()
        if name in ("msr", "systor17"):
            assert np.allclose(trace.response_us, 417)


def test_binary_formats_give_the_requests_that_were_written(tmp_path):
    cmd = [0x2A if x == "W" else 0x28 for x in LETTERS]
    for name, dtype in (("vscsi1", VSCSI1), ("vscsi2", VSCSI2)):
        rows = np.zeros(N, dtype)
        rows["ts"], rows["lbn"], rows["len"] = TIMES, np.array(OFFSETS) // 512, 8192
        rows["cmd"] = cmd
        path = tmp_path / name
        path.write_bytes(rows.tobytes())
        for format in (name, None):
            trace = read_trace(path, format)
            assert (trace.t_us == TIMES).all() and (trace.page == [3 * k for k in range(N)]).all()
            assert (trace.write == [x == "W" for x in LETTERS]).all()
    rows = np.zeros(N, ORACLE)
    rows["time"], rows["id"], rows["size"], rows["next"] = range(N), [7, 9] * 10, 5000, -1
    path = tmp_path / "w.oracleGeneral.zst"
    path.write_bytes(zstandard.compress(rows.tobytes() + b"cut"))
    trace = read_trace(path)
    assert len(trace) == N and trace.compact().pages == 4 and not trace.write.any()
    assert any("cut off" in note for note in trace.notes)


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.compress],
    ids=lambda f: f.__module__,
)
def test_compressed_files_read_the_same_and_cut_off_ones_are_refused(tmp_path, pack):
    plain = written(tmp_path / "t.csv", "msr")
    packed = tmp_path / "packed"
    packed.write_bytes(pack(plain.read_bytes()))
    a, b = read_trace(plain), read_trace(packed)
    assert (a.page == b.page).all() and (a.t_us == b.t_us).all()
    packed.write_bytes(pack(plain.read_bytes())[:-30])
    try:
        assert len(read_trace(packed)) <= N  # zstandard gives what is there
    except ScenarioError as error:
        assert "complete" in str(error) or "requests" in str(error)


def test_misaligned_requests_cover_every_page_they_touch(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("4000,200,Read\n4096,4096,Write\n8191,1,Read\n0,12289,Read\n")
    trace = read_trace(path)
    assert trace.page.tolist() == [0, 1, 1, 0]
    assert trace.npages.tolist() == [2, 1, 1, 4]


def test_times_that_go_back_are_sorted_and_equal_times_keep_their_order(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "\n".join(f"1,R,{o},4096,{t}" for o, t in [(0, 5), (4096, 9), (8192, 2), (12288, 5)])
    )
    trace = read_trace(path)
    assert trace.page.tolist() == [2, 0, 3, 1]
    assert trace.t_us.tolist() == [0, 3, 3, 7]
    assert any("sorted" in note for note in trace.notes)


def test_requests_of_one_second_are_spread_over_it(tmp_path):
    trace = read_trace(written(tmp_path / "t.csv", "tencent"))
    assert np.allclose(np.diff(trace.t_us), 250_000)


def test_volumes_do_not_overlap(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "1,h,0,Read,0,4096,1\n2,h,1,Read,0,4096,1\n3,g,0,Write,0,4096,1\n4,h,0,Read,0,4096,1\n"
    )
    trace = read_trace(path).compact()
    assert trace.pages == 3 and trace.page[0] == trace.page[3]


DAMAGE = {
    "1,h,0,Read,12x,4096,1": "not a number",
    "1,h,0,Read,-5,4096,1": "negative",
    "1,h,0,Read,0": "too few columns",
    "1,h,0,Read,99999999999999999999,4096,1": "beyond",
    "1,h,0,Read,4611686018427387904,4096,1": "offset",
    "1,h,0,Read,0,9999999999999,1": "size",
}


@pytest.mark.parametrize("line", DAMAGE)
def test_a_damaged_line_is_named_or_left_out(tmp_path, line):
    path = tmp_path / "t.csv"
    good = lines_of("msr")
    path.write_text("\n".join([*good[:7], line, *good[7:]]) + "\n")
    with pytest.raises(ScenarioError, match=f"line 8.*{DAMAGE[line]}"):
        read_trace(path, "msr")
    if DAMAGE[line] not in ("offset", "size"):
        trace = read_trace(path, "msr", errors="skip")
        assert len(trace) == N and any("left out" in note for note in trace.notes)


def test_a_last_line_that_was_cut_off_is_left_out_and_noted(tmp_path):
    path = tmp_path / "t.csv"
    text = "\n".join(lines_of("msr"))
    path.write_text(text[: text.rindex(",Write") + 8])
    trace = read_trace(path)
    assert len(trace) == N - 1 and any("cut off" in note for note in trace.notes)


def test_empty_missing_and_unknown_files_say_what_is_wrong(tmp_path):
    path = tmp_path / "t.csv"
    for text in ("", "\n\n", "# only a comment\n"):
        path.write_text(text)
        with pytest.raises((ScenarioError, UnknownNameError)):
            read_trace(path)
        with pytest.raises(ScenarioError, match="no requests"):
            read_trace(path, "msr")
    path.write_text("1,h,0,Flush,0,4096,1\n")
    with pytest.raises(ScenarioError, match="no requests"):
        read_trace(path, "msr")
    with pytest.raises(ScenarioError, match="existing file"):
        read_trace(tmp_path / "none")
    with pytest.raises(UnknownNameError, match="msr"):
        read_trace(path, "mrs")
    path.write_text("what is this\n")
    with pytest.raises(UnknownNameError, match="trace format of"):
        read_trace(path)


@given(
    data=st.binary(max_size=400), name=st.sampled_from([*TEXT_FORMATS, "vscsi1", "oracle-general"])
)
def test_any_bytes_give_a_trace_or_a_clear_error(tmp_path_factory, data, name):
    path = tmp_path_factory.mktemp("fuzz") / "t"
    path.write_bytes(data)
    for errors in ("raise", "skip"):
        try:
            trace = read_trace(path, name, errors=errors)
        except (ScenarioError, UnknownNameError) as error:
            assert str(error)
        else:
            assert len(trace) and (np.diff(trace.t_us) >= 0).all() and (trace.npages >= 1).all()


@given(st.data())
def test_a_damaged_byte_never_loses_the_other_lines(tmp_path_factory, data):
    text = bytearray(("\n".join(lines_of("alibaba")) + "\n").encode())
    at = data.draw(st.integers(0, len(text) - 2))
    text[at] = data.draw(st.integers(32, 126))
    path = tmp_path_factory.mktemp("byte") / "t.csv"
    path.write_bytes(bytes(text))
    try:
        assert N - 2 <= len(read_trace(path, "alibaba", errors="skip")) <= N
    except ScenarioError as error:
        assert "line" in str(error)


@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 40), st.integers(1, 40), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_compacting_keeps_which_requests_share_pages(rows):
    page, npages, write = (list(column) for column in zip(*rows, strict=True))
    trace = Trace.from_arrays(None, page, npages, write)
    small = trace.compact()
    touched = sorted({p + k for p, n in zip(page, npages, strict=True) for k in range(n)})
    assert small.pages == len(touched) and small.page_map.tolist() == touched
    assert (small.page_map[small.page] == page).all()
    assert (small.page_map[small.page + small.npages - 1] == np.array(page) + npages - 1).all()


def test_a_trace_survives_saving_without_pickles(tmp_path):
    trace = read_trace(written(tmp_path / "t.csv", "msr")).compact()
    copy = Trace.load(trace.save(tmp_path / "t.npz"))
    for name in ("t_us", "page", "npages", "write", "response_us", "page_map"):
        assert (getattr(copy, name) == getattr(trace, name)).all()
    assert (copy.name, copy.pages, copy.notes) == (trace.name, trace.pages, trace.notes)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(ScenarioError, match=r"Trace\.save"):
        read_trace(tmp_path / "bad.npz")


def test_bad_arrays_are_refused_with_the_index():
    with pytest.raises(ScenarioError, match=r"npages\[1\]"):
        Trace.from_arrays(None, [0, 1], [1, 0], [True, False])
    with pytest.raises(ScenarioError, match=r"page\[0\]"):
        Trace.from_arrays(None, [-1], [1], [True])
    with pytest.raises(ScenarioError, match=r"t_us\[1\]"):
        Trace.from_arrays([2.0, 1.0], [0, 1], [1, 1], [True, False])
    with pytest.raises(ScenarioError, match="equal lengths"):
        Trace.from_arrays(None, [0, 1], [1], [True, False])
