"""What is fuzzed: every parser of the package, with whole inputs to begin with.

A target takes bytes. Errors of ours are answers; anything else that is raised is a bug.
"""

from __future__ import annotations

import io
import json
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import Target, as_file, folder, written
from trace_targets import TRACES


def results_csv(file: Path) -> object:
    from hybridrl.benchmarks.results import read_results

    return read_results(file)


def results_seeds() -> list[bytes]:
    from hybridrl.benchmarks.results import ResultRow, write_results

    row = ResultRow("parking", "lot", "rs-any", 0, "q-1s", "success", 0.5, 4, 0, 1.0, "0", "c", "h")
    return written("rows.csv", lambda file: write_results(file, [row, row._replace(seed=1)]))


def scenarios(file: Path) -> object:
    from hybridrl.planners.scenario import load_scenarios

    return load_scenarios(file)


def scenario_seeds() -> list[bytes]:
    from hybridrl.envs.parking.scenes import fixed_scenes

    scenes = [fixed_scenes(name, 1)[0].to_json() for name in ("lot", "normal-bay")]
    return [json.dumps(scene).encode() for scene in scenes]


def recorded(file: Path) -> object:
    from hybridrl.envs.parking.scenes.recorded import convert_recorded

    return convert_recorded(file, file.with_suffix(".json"))


def recorded_seeds() -> list[bytes]:
    import pickle

    case = ([[0.0, 0.0, 0.0]], [9.0, 1.0, 0.0], [[[3.0, 3.0], [4.0, 3.0], [4.0, 4.0]]])
    arrays = [tuple(np.array(part) for part in case)]
    return [pickle.dumps([case], protocol) for protocol in (2, 4)] + [pickle.dumps(arrays)]


def recorded_json(file: Path) -> object:
    from hybridrl.envs.parking.scenes.recorded import RecordedLot

    return RecordedLot(file)


def recorded_json_seeds() -> list[bytes]:
    file = folder() / "whole.pickle"
    file.write_bytes(recorded_seeds()[0])
    recorded(file)
    return [file.with_suffix(".json").read_bytes()]


def answer(data: bytes) -> object:
    from hybridrl.agents.tell_drive.teachers.answer import parse_answer

    return parse_answer(data.decode(errors="replace"), ("IDLE", "FASTER", "SLOWER"))


def answer_seeds() -> list[bytes]:
    return [
        b'{"action": "FASTER", "confidence": 0.5, "reasoning": "free"}',
        b'Well: ```json\n{"reasoning": "{", "confidence": 1, "action": "IDLE"}\n``` done',
    ]


def small_dataset(nested: bool = False) -> Any:
    from gymnasium import spaces

    from hybridrl.datasets.offline import OfflineDataset

    seen: Any = np.zeros((3, 2), np.float32)
    box = spaces.Box(-9, 9, (2,), np.float32)
    return OfflineDataset(
        observations={"a": seen} if nested else seen,
        next_observations={"a": seen} if nested else seen,
        actions=np.array([0, 1, 0]),
        rewards=np.zeros(3),
        terminations=np.array([False, True, False]),
        truncations=np.zeros(3, bool),
        observation_space=spaces.Dict({"a": box}) if nested else box,
        action_space=spaces.Discrete(2),
        metadata={"recipe": "none"},
    )


def dataset_npz(file: Path) -> object:
    from hybridrl.datasets.npz import read_npz

    return read_npz(file)


def npz_seeds() -> list[bytes]:
    from hybridrl.datasets.npz import write_npz

    return written(
        "x.npz",
        *(lambda f, n=n: write_npz(small_dataset(n), f, compress=False) for n in (False, True)),
    )


def columns(data: bytes) -> dict[str, Any]:
    """A dictionary of arrays as the input says: names, types, shapes and numbers.

    A checksum guards the members of npz and our HDF5 files, so mutated files end there. These
    files are whole, and what is wrong with them is what they hold.
    """
    source = io.BytesIO(data)
    kinds = ("<f4", "<f8", "<i8", "?", "u1", "<U3", "<c8", "<i2")
    names = (
        *("observations", "next_observations", "actions", "rewards", "terminations"),
        *("truncations", "mc_returns", "ends", "facts", "observations.a", "more"),
        *("next_observations.a", "terminals", "timeouts", "metadata", "observations.b"),
    )
    found: dict[str, Any] = {}
    while len(head := source.read(4)) == 4:
        kind = np.dtype(kinds[head[1] % len(kinds)])
        shape = (head[2] % 6, head[3] % 4)[: head[3] >> 6]
        count = int(np.prod(shape, dtype=int))
        raw = source.read(count * kind.itemsize).ljust(count * kind.itemsize, b"\0")
        if kind.kind == "U":
            values = np.array([chr(65 + byte % 26) for byte in raw[:count]], kind)
        else:
            values = np.frombuffer(raw, kind)
        found[names[head[0] % len(names)]] = values.reshape(shape)
    return found


def columns_seeds() -> list[bytes]:
    """Five columns of three rows, as :func:`columns` reads them."""
    flat, wide = 3 + (1 << 6), 2 + (2 << 6)
    parts = [bytes([0, 0, 3, wide]) + bytes(24), bytes([1, 0, 3, wide]) + bytes(24)]
    parts += [bytes([2, 2, 3, flat]) + bytes(24), bytes([3, 0, 3, flat]) + bytes(12)]
    parts += [bytes([name, 3, 3, flat]) + b"\0\1\0" for name in (4, 5)]
    return [b"".join(parts), b"".join(parts[:4])]


def built_npz(data: bytes) -> object:
    file = folder() / "built.npz"
    np.savez(file, **columns(data))
    return dataset_npz(file)


def d4rl(file: Path) -> object:
    from hybridrl.datasets.d4rl import read_d4rl

    return read_d4rl(file)


def d4rl_seeds() -> list[bytes]:
    from hybridrl.datasets.d4rl import write_d4rl

    return written("x.hdf5", lambda file: write_d4rl(small_dataset(), file))


def built_hdf5(data: bytes) -> object:
    import h5py

    file = folder() / "built.hdf5"
    nested = "/" if len(data) % 2 else "."
    with h5py.File(file, "w") as made:
        for name, values in columns(data).items():
            text = values.dtype.kind == "U"
            with suppress(OSError, ValueError):  # an array and a group cannot bear one name
                made[name.replace(".", nested)] = values.astype("S3") if text else values
    return d4rl(file)


@cache
def minari_store() -> Path:
    from hybridrl.datasets.minari_store import write_minari

    return Path(write_minari(small_dataset(), "fuzz/fuzz/whole-v0", root=folder() / "store"))


def minari_metadata(data: bytes) -> object:
    from hybridrl.datasets.minari_store import read_minari

    (file,) = minari_store().rglob("metadata.json")
    file.write_bytes(data)
    return read_minari(minari_store())


def minari_seeds() -> list[bytes]:
    (file,) = minari_store().rglob("metadata.json")
    return [file.read_bytes()]


def facts(data: bytes) -> object:
    from hybridrl.datasets.files import parse_facts

    return parse_facts(data)


def facts_seeds() -> list[bytes]:
    from hybridrl.datasets.files import facts_json

    return [facts_json(small_dataset(nested)).encode() for nested in (False, True)]


def weights(file: Path) -> object:
    from hybridrl.datasets.behaviour import BehaviourPolicy, read_tensors

    return BehaviourPolicy(read_tensors(file))


def weights_seeds() -> list[bytes]:
    from hybridrl.datasets.behaviour import write_tensors

    tensors = {
        f"{name}.{part}": np.zeros((2, 3)[: 2 if part == "weight" else 1], np.float32)
        for name in ("latent_pi.0", "mu", "log_std")
        for part in ("weight", "bias")
    }
    tensors["mu.weight"] = tensors["log_std.weight"] = np.zeros((1, 2), np.float32)
    return written("x.safetensors", lambda file: write_tensors(tensors, file))


def behaviour_facts(file: Path) -> object:
    from hybridrl.datasets.behaviour import level_tensors, read_facts

    found = read_facts(file.stem, file.parent)
    return None if found is None else level_tensors(found, file.parent, "medium")


def behaviour_seeds() -> list[bytes]:
    from hybridrl.datasets.behaviour import SHIPPED

    return [(SHIPPED / "pendulum.json").read_bytes()]


def hope_description(file: Path) -> object:
    from hybridrl.agents.hope.weights import read_weights

    return read_weights(file.parent)


def hope_seeds() -> list[bytes]:
    from hybridrl.agents.hope import weights as hope

    shipped = Path(hope.__file__).with_name("weights")
    for file in shipped.iterdir():
        if file.name != hope.DESCRIPTION and file.is_file():
            shutil.copy(file, folder() / file.name)
    return [(shipped / hope.DESCRIPTION).read_bytes()]


def settings(data: bytes) -> object:
    from hybridrl.agents.registry import resolve
    from hybridrl.benchmarks.settings import parse_settings

    pairs = data.decode(errors="replace").split("\0")
    return resolve("ppo", "CartPole-v1", parse_settings(pairs))


def space(data: bytes) -> object:
    from hybridrl.benchmarks.tuning_space import parse_spaces

    return parse_spaces(data.decode(errors="replace").split("\0"))


def run_files(data: bytes) -> object:
    from hybridrl.benchmarks.runs import RunConfig, finished, write_json

    config = RunConfig(suite="toy", env="e", agent="a", work="m:f")
    place = config.folder(folder())
    run, _, result = data.partition(b"\0")
    write_json(place / "run.json", config.to_json())
    if run:
        (place / "run.json").write_bytes(run)
    (place / "result.json").write_bytes(result)
    return finished(config, folder())


def run_seeds() -> list[bytes]:
    from hybridrl.benchmarks.runs import RunConfig

    config = RunConfig(suite="toy", env="e", agent="a", work="m:f").to_json()
    result = json.dumps({"values": {"x": 1.0}, "wall_s": 1.0, "version": "0", "commit": "c"})
    return [b"\0" + result.encode(), json.dumps(config).encode() + b"\0" + result.encode()]


_CORE = ("hybridrl.datasets", "hybridrl.planners.scenario")
TARGETS: dict[str, Target] = {
    "results": Target(
        as_file("r.csv", results_csv), results_seeds, ("hybridrl.benchmarks.results", "csv")
    ),
    "scenario": Target(as_file("s.json", scenarios), scenario_seeds, _CORE),
    "recorded": Target(
        as_file("r.pickle", recorded), recorded_seeds, ("hybridrl.envs.parking.scenes.recorded",)
    ),
    "recorded-json": Target(
        as_file("r.json", recorded_json),
        recorded_json_seeds,
        ("hybridrl.planners.scenario", "hybridrl.planners.json_text"),
    ),
    "answer": Target(answer, answer_seeds, ("hybridrl.agents.tell_drive.teachers.answer",)),
    "npz": Target(as_file("x.npz", dataset_npz), npz_seeds, _CORE),
    "npz-built": Target(built_npz, columns_seeds, _CORE),
    "hdf5": Target(as_file("x.hdf5", d4rl), d4rl_seeds, _CORE),
    "hdf5-built": Target(built_hdf5, columns_seeds, _CORE),
    "minari": Target(minari_metadata, minari_seeds, (*_CORE, "minari")),
    "facts": Target(facts, facts_seeds, (*_CORE, "minari.serialization")),
    "weights": Target(as_file("x.safetensors", weights), weights_seeds, _CORE),
    "behaviour": Target(as_file("pendulum.json", behaviour_facts), behaviour_seeds, _CORE),
    "hope": Target(
        as_file("hope-ppo.json", hope_description), hope_seeds, ("hybridrl.agents.hope.weights",)
    ),
    "settings": Target(
        settings,
        lambda: [b"learning_rate=3e-4\0n_steps=8", b"policy_kwargs={net_arch=[8]}"],
        ("hybridrl.benchmarks.settings", "hybridrl.agents.registry", "tomllib"),
    ),
    "space": Target(
        space,
        lambda: [b"lr=loguniform:1e-5,1e-3", b'n=choice:8,"a"\0k=quniform:0,1,0.1'],
        ("hybridrl.benchmarks.tuning_space", "tomllib"),
    ),
    "run": Target(run_files, run_seeds, ("hybridrl.benchmarks.runs",)),
} | TRACES
