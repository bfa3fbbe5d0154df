"""The package is exactly what the five folders hold, and leaks nothing else."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

FOLDERS = ("agents", "benchmarks", "datasets", "envs", "planners")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())


def python(code, cwd):
    """Run code in a fresh interpreter, started in a folder that holds nothing."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_every_folder_with_an_init_is_packed(root, project):
    found = {
        "hybridrl." + ".".join(file.parent.relative_to(root).parts)
        for folder in FOLDERS
        for file in (root / folder).rglob("__init__.py")
    }
    assert {"hybridrl", *found} == set(project["tool"]["setuptools"]["packages"])


def test_every_python_file_stands_in_a_packed_folder(root):
    for folder in FOLDERS:
        for file in (root / folder).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), file


def test_the_five_folders_are_not_importable_on_their_own(tmp_path):
    code = f"""
import importlib.util
import hybridrl
assert not [name for name in {FOLDERS} if importlib.util.find_spec(name)]
"""
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_importing_a_folder_from_the_root_is_refused_with_the_right_name(root, folder):
    done = python(f"import sys; sys.path.insert(0, {str(root)!r}); import {folder}", root)
    assert f"import hybridrl.{folder}, not {folder}" in done.stderr


@pytest.mark.parametrize("heavy", ["torch", "stable_baselines3", "numba", "matplotlib", "pandas"])
def test_importing_the_package_and_its_command_line_loads_no(heavy, tmp_path):
    done = python(f"import sys, hybridrl.cli; assert {heavy!r} not in sys.modules", tmp_path)
    assert done.returncode == 0, done.stderr


def test_links_inside_the_package_lead_to_the_folders(root):
    for folder in FOLDERS:
        assert (root / "hybridrl" / folder).resolve() == root / folder


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """A wheel made from the source distribution, as an index would hand out either."""
    folder = tmp_path_factory.mktemp("distribution")
    source = folder / "source"
    skip = shutil.ignore_patterns("__pycache__", *FOLDERS)
    shutil.copytree(root / "hybridrl", source / "hybridrl", ignore=skip)
    for name in FOLDERS:
        shutil.copytree(root / name, source / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    sdist = "from setuptools import build_meta; build_meta.build_sdist('..')"
    subprocess.run([sys.executable, "-c", sdist], cwd=source, check=True, timeout=120)
    (archive,) = folder.glob("hybridrl-*.tar.gz")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*build, "-w", str(folder), str(archive)], check=True, timeout=120)
    (wheel,) = folder.glob("hybridrl-*.whl")
    return wheel


def test_the_wheel_holds_the_five_folders_inside_hybridrl(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"hybridrl"}
    for data in ("py.typed", "benchmarks/published.toml", "agents/presets/ppo.toml"):
        assert f"hybridrl/{data}" in names


def test_an_installed_wheel_works_outside_the_repository(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "-q", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, timeout=120)
    code = f"""
import sys
sys.path.insert(0, {str(target)!r})
import hybridrl
assert hybridrl.__file__.startswith({str(target)!r}), hybridrl.__file__
from hybridrl.datasets.behaviour import read_facts
from hybridrl.envs.gap.env import GapEnv
assert read_facts("halfcheetah")
assert GapEnv(robot="halfcheetah", gravity=2.0).reset(seed=0)[0].shape == (17,)
from hybridrl.cli import app
app(["list", "suites"])
"""
    done = python(code, tmp_path)
    assert done.returncode == 0 and "gap-mujoco" in done.stdout, done.stderr


def test_constraints_pin_every_dependency_that_is_installed_here(root, project):
    pinned = {line.partition("==")[0] for line in _constraints(root)}
    extras = project["project"]["optional-dependencies"]
    wanted = project["project"]["dependencies"] + extras["test"]
    for requirement in wanted + [r for r in extras["dev"] if "hybridrl" not in r]:
        assert _key(re.split(r"[\[<>=;~ ]", requirement)[0]) in map(_key, pinned), requirement


def test_constraints_name_no_local_build(root):
    assert not [line for line in _constraints(root) if "+" in line]


def _constraints(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _key(name):
    return re.sub(r"[-_.]+", "-", name).lower()
