"""Training, resuming and evaluating through the command line, on toy environments."""

import json

import numpy as np
import pytest

from hybridrl.agents.registry import AGENTS, load_preset, resolve, settable
from hybridrl.benchmarks import train as training
from hybridrl.benchmarks.settings import parse_settings
from hybridrl.planners.errors import ScenarioError, UnknownNameError

PARKING = "hybridrl/Parking-Normal-v0"
DATA = "offline_dataset=data.npz"
DRIVING = "hybridrl/Driving-Merge-v0"
QUICK = {
    "attention-ppo": (DRIVING, "n_steps=32", "batch_size=32"),
    "calql": ("Pendulum-v1", "train_freq=8", "n_actions=2", "pretrain_steps=2", DATA),
    "cql": ("Pendulum-v1", "train_freq=8", "n_actions=2", "pretrain_steps=2", DATA),
    "darc": ("Pendulum-v1", "learning_starts=20", "train_freq=8", DATA),
    "dqn": ("CartPole-v1", "learning_starts=20", "train_freq=8"),
    "h2o": ("Pendulum-v1", "learning_starts=20", "train_freq=8", DATA),
    "hnpg": ("CartPole-v1", "n_steps=32"),
    "hope-ppo": (PARKING, "n_steps=32", "batch_size=32"),
    "hope-sac": (PARKING, "learning_starts=20", "batch_size=16"),
    "hyq": ("CartPole-v1", "learning_starts=20", "train_freq=8"),
    "hyq-sac": ("Pendulum-v1", "learning_starts=20", "train_freq=8", DATA),
    "iql": ("Pendulum-v1", "learning_starts=20", "train_freq=8", "pretrain_steps=4", DATA),
    "lsvi-ucb": ("hybridrl/CombLock-v0", "c=0.3"),
    "maskable-ppo": (PARKING, "n_steps=32", "batch_size=32"),
    "nora": ("hybridrl/CombLock-v0", "c=0.3"),
    "oac": ("Pendulum-v1", "learning_starts=20", "train_freq=8"),
    "optimistic-sac": ("Pendulum-v1", "learning_starts=20", "train_freq=8"),
    "moorl": ("Pendulum-v1", "train_freq=8", DATA),
    "ppo": ("CartPole-v1", "n_steps=32", "batch_size=32"),
    "rlpd": ("Pendulum-v1", "learning_starts=20", "train_freq=8", "gradient_steps=2", DATA),
    "rlpd-lite": ("Pendulum-v1", "learning_starts=20", "train_freq=8", DATA),
    "sac": ("Pendulum-v1", "learning_starts=20", "train_freq=8"),
    "td3": ("Pendulum-v1", "learning_starts=20", "train_freq=8"),
    "tell-drive": (DRIVING, "n_steps=32", "batch_size=32"),
    "tell-drive-dqn": (DRIVING, "learning_starts=20", "train_freq=8"),
    "tqc": ("Pendulum-v1", "learning_starts=20", "train_freq=8"),
    "trpo": ("CartPole-v1", "n_steps=32", "batch_size=32"),
}
NET = "policy_kwargs={ net_arch = [8] }"
WITHOUT_NETWORKS = ("lsvi-ucb", "nora")


@pytest.fixture(autouse=True)
def data(tmp_path):
    """Offline rows of a pendulum in the folder where commands run."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        observations=rng.normal(size=(40, 3)).astype(np.float32),
        actions=rng.uniform(-2, 2, (40, 1)).astype(np.float32),
        rewards=rng.normal(size=40).astype(np.float32),
        next_observations=rng.normal(size=(40, 3)).astype(np.float32),
        terminations=np.zeros(40, bool),
        truncations=np.zeros(40, bool),
    )


def words(agent, steps=100, *more):
    env, *settings = QUICK[agent]
    settings += [] if agent in WITHOUT_NETWORKS else [NET]
    pairs = [word for setting in settings for word in ("--set", setting)]
    if agent == "maskable-ppo":
        pairs += ["--env-kwargs", "action_type=discrete"]
    return ["train", agent, env, "-n", steps, "--n-envs", 1, "--device", "cpu", *pairs, *more]


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_trains_evaluates_and_leaves_a_whole_folder(hybridrl, tmp_path, agent):
    done = hybridrl(*words(agent), "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["steps"] >= 100
    folder = tmp_path / done.stderr.strip().splitlines()[-1]
    assert {
        "run.json",
        "result.json",
        "progress.csv",
        "monitor.csv",
        "evaluations.csv",
        "model.zip",
        "parameters.pth",
    } <= {file.name for file in folder.iterdir()}
    again = hybridrl("evaluate", folder, "--episodes", 2, "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["episodes"] == 2
    assert hybridrl("evaluate", folder, "--episodes", 1, "--trust").exit_code == 0


def test_a_finished_run_is_not_run_again_unless_asked(hybridrl):
    first = json.loads(hybridrl(*words("ppo"), "--json").stdout)
    again = hybridrl(*words("ppo"), "--json")
    assert json.loads(again.stdout) == first
    assert "done before" in again.stderr
    assert "done before" not in hybridrl(*words("ppo"), "--json", "--fresh").stderr


@pytest.mark.parametrize("agent", ["ppo", "sac"])
def test_a_run_goes_on_from_its_checkpoint(hybridrl, tmp_path, agent):
    folder = tmp_path / "runs" / "train" / QUICK[agent][0] / agent / "seed-0"
    assert hybridrl(*words(agent)).exit_code == 0
    counted = max(int(state.name) for state in (folder / "checkpoint").iterdir())
    assert 0 < counted <= 128
    longer = hybridrl(*words(agent, 200), "--resume", "--json")
    assert longer.exit_code == 0, longer.stderr
    assert json.loads(longer.stdout)["steps"] >= 200
    assert (folder / f"resumed-{counted}" / "progress.csv").exists()


def test_an_unfinished_run_is_neither_lost_nor_mixed_up(hybridrl, tmp_path):
    hybridrl(*words("ppo"))
    (result,) = tmp_path.rglob("result.json")
    result.unlink()
    done = hybridrl(*words("ppo"))
    assert done.exit_code == 2
    assert "--resume" in done.stderr and "--fresh" in done.stderr


def test_weights_of_another_network_are_refused(hybridrl, tmp_path):
    hybridrl(*words("ppo"))
    (file,) = tmp_path.rglob("run.json")
    file.write_text(file.read_text().replace("8\n", "16\n"))
    done = hybridrl("evaluate", file.parent, "--episodes", 1)
    assert done.exit_code == 2
    assert "parameters.pth" in done.stderr


def test_evaluating_a_folder_never_unpickles(hybridrl, tmp_path):
    import torch

    hybridrl(*words("ppo"))
    (file,) = tmp_path.rglob("seed-0/parameters.pth")
    torch.save({"parameters": _Bomb()}, file)
    done = hybridrl("evaluate", file.parent, "--episodes", 1)
    assert done.exit_code == 2
    assert not _Bomb.exploded


class _Bomb:
    exploded = False

    def __reduce__(self):
        return setattr, (_Bomb, "exploded", True)


def test_a_random_policy_is_repeatable(hybridrl):
    answers = [
        hybridrl("evaluate", "random", "CartPole-v1", "--episodes", 3, "--seed", 5, "--json").stdout
        for _ in range(2)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("agent", AGENTS)
def test_every_preset_holds_only_what_can_be_set(agent):
    known = settable(agent)
    for table in load_preset(agent).values():
        assert set(table) <= set(known)
    resolve(agent, "CartPole-v1")


def test_later_layers_of_settings_win():
    settings = resolve("ppo", "CartPole-v1", {"gamma": 0.9, "n_steps": 8}, {"n_steps": 16})
    assert (settings["gamma"], settings["n_steps"]) == (0.9, 16)
    assert resolve("ppo", "CartPole-v1", settings) == settings


def test_settings_are_read_as_toml_and_bare_words_as_text():
    pairs = ["learning_rate=3e-4", "use_sde = true", "ent_coef=auto", "policy_kwargs.net_arch=[8]"]
    assert parse_settings(pairs) == {
        "learning_rate": 3e-4,
        "use_sde": True,
        "ent_coef": "auto",
        "policy_kwargs": {"net_arch": [8]},
    }


def test_an_agent_for_other_actions_is_refused_in_words(hybridrl):
    done = hybridrl("train", "sac", "CartPole-v1", "-n", 10)
    assert done.exit_code == 1
    assert "Discrete" in done.stderr and "Traceback" not in done.stderr


def test_unknown_agents_and_settings_name_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean sac"):
        resolve("sacc", "CartPole-v1")
    with pytest.raises(UnknownNameError, match="did you mean tau"):
        resolve("sac", "Pendulum-v1", {"taw": 1})


@pytest.mark.parametrize("steps", [0, -1, 1.5, "many"])
def test_a_run_of_no_length_is_refused(steps):
    with pytest.raises(ScenarioError, match="total_timesteps"):
        training.train_config("ppo", "CartPole-v1", overrides={"total_timesteps": steps})
