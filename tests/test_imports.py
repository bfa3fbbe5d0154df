"""The arrows between folders: planners <- envs <- datasets <- agents <- benchmarks <- hybridrl."""

import ast

import pytest

ORDER = ("planners", "envs", "datasets", "agents", "benchmarks", "hybridrl")
# What a folder may import at module level, besides the standard library and what is to its left.
PLANNERS = {"numpy", "numba", "shapely", "rsplan", "ompl"}
ENVS = PLANNERS | {"gymnasium"}
ALLOWED = {
    "planners": PLANNERS,
    "envs": ENVS | {"PIL"},
    "datasets": ENVS,
    "agents": ENVS | {"torch", "stable_baselines3", "sb3_contrib"},
    "benchmarks": ENVS | {"torch", "stable_baselines3", "sb3_contrib", "rich", "PIL"},
    "hybridrl": {"typer", "rich"},
}
# Never, not even inside a function.
NEVER = {
    "planners": {"gymnasium", "torch", "stable_baselines3"},
    "envs": {"torch", "stable_baselines3"},
    "datasets": {"torch", "stable_baselines3"},
}
# The one back end in envs/ that may use torch; it is loaded only when it is asked for.
TORCH_FILES = "envs/parking/torch_backend/"


def python_files(root):
    for folder in ORDER:
        for file in sorted((root / folder).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            # The links inside hybridrl/ show the same files a second time.
            if not any(name.startswith(f"hybridrl/{other}/") for other in ORDER):
                yield folder, name, ast.parse(file.read_text(encoding="utf-8"))


def imports(tree, module_level):
    """Full names of what a file imports; TYPE_CHECKING blocks do not count."""
    stack = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module == "hybridrl":
                yield from (f"hybridrl.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        else:
            stack += list(ast.iter_child_nodes(node))


def exceptions(name):
    if name.startswith("envs/gap/"):  # the simulators of its own family
        return {"mujoco", "pybullet"}
    if name == "envs/driving/highway.py":
        return {"highway_env"}
    if name.startswith("agents/tell_drive/teachers/"):  # language models over HTTP, strict answers
        return {"httpx", "pydantic"}
    return {"torch"} if name.startswith(TORCH_FILES) else set()


@pytest.fixture(scope="module")
def files(root):
    return list(python_files(root))


def test_no_folder_imports_one_to_its_right(files):
    for folder, name, tree in files:
        left = ORDER[: ORDER.index(folder) + 1]
        for imported in imports(tree, module_level=False):
            parts = imported.split(".")
            if parts[0] == "hybridrl" and len(parts) > 1 and folder != "hybridrl":
                assert parts[1] in left, f"{name} imports {imported}"


def test_modules_import_only_their_folders_libraries(files):
    import sys

    for folder, name, tree in files:
        allowed = ALLOWED[folder] | exceptions(name) | set(sys.stdlib_module_names)
        for imported in imports(tree, module_level=True):
            top = imported.split(".")[0]
            assert top in allowed | {"hybridrl"}, f"{name} imports {imported} at module level"


def test_some_libraries_are_never_imported(files):
    for folder, name, tree in files:
        never = NEVER.get(folder, set()) - exceptions(name)
        for imported in imports(tree, module_level=False):
            assert imported.split(".")[0] not in never, f"{name} imports {imported}"


def test_the_torch_back_end_is_loaded_only_when_asked_for(files):
    back_end = "hybridrl." + TORCH_FILES.replace("/", ".").rstrip(".")
    for _, name, tree in files:
        if not name.startswith(TORCH_FILES):
            eager = [i for i in imports(tree, module_level=True) if i.startswith(back_end)]
            assert not eager, f"{name} imports {eager} at module level"


def test_imports_are_absolute(files):
    for _, name, tree in files:
        relative = [i for i in imports(tree, module_level=False) if i.startswith(".")]
        assert not relative, f"{name} imports {relative}"


def test_every_entry_point_in_a_registry_can_be_imported():
    import importlib

    from hybridrl.benchmarks.suites import SUITES
    from hybridrl.envs.registration import ENVS
    from hybridrl.planners.registry import PLANNERS

    points = [*PLANNERS.values(), *(row.entry_point for row in ENVS)]
    points += [row.vector_entry_point for row in ENVS if row.vector_entry_point]
    points += [f"{suite.module}:{name}" for suite in SUITES.values() for name in SUITE_FUNCTIONS]
    for point in sorted(set(points)):
        module, _, attribute = point.partition(":")
        assert hasattr(importlib.import_module(module), attribute), point


SUITE_FUNCTIONS = ("variant", "trials", "summarise", "tables", "plots")


def test_registering_twice_changes_nothing_and_every_spec_travels_as_json():
    import gymnasium as gym

    import hybridrl  # noqa: F401
    from hybridrl.envs.registration import ENVS, register_envs

    before = dict(gym.registry)
    register_envs()
    assert gym.registry == before
    for row in ENVS:
        spec = gym.spec(row.id)
        assert spec.max_episode_steps is None
        assert type(spec).from_json(spec.to_json()).kwargs == row.kwargs
