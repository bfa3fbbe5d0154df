"""The student on a toy of traffic: one number says what is right, and the teacher may know it."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from hybridrl.agents import TellDrive, TellDriveDQN
from hybridrl.agents.common.schedules import LinearDecay
from hybridrl.agents.tell_drive.network import EgoAttentionExtractor
from hybridrl.agents.tell_drive.policy import EgoAttentionPolicy
from hybridrl.agents.tell_drive.teachers.advice import advice_for
from hybridrl.agents.tell_drive.teachers.chaos import ChaosTeacher
from hybridrl.agents.tell_drive.tell_drive import AttentionPPO
from hybridrl.agents.tell_drive.tell_drive_dqn import EgoAttentionQPolicy
from hybridrl.envs.driving.names import ACTIONS
from hybridrl.envs.driving.scene import LaneView, Scene
from hybridrl.planners.errors import ScenarioError

LANE = LaneView(1, 100.0, 25.0, 60.0, 25.0)
BASE = Scene(
    *("highway", 3.0, 25.0, 25.0, 1, 4, 150.0, 20.0, LANE, LANE, LANE, (), 0.6),
    *((0.1,) * 5, 20.0, ACTIONS, None),
)
VECTORS = [replace(BASE, set_point=20.0 + 2 * k).vector() for k in range(5)]
CARS = 4


class Toy(gym.Env):
    """Right is action ``goal``, seen in the ego's row; eight steps an episode."""

    action_space = gym.spaces.Discrete(5)

    def __init__(self, dict_=True, exposed=True):
        rows = gym.spaces.Box(-1.0, 1.0, (CARS, 7), np.float32)
        parts = {
            "rows": rows,
            "action_mask": gym.spaces.MultiBinary(5),
            "advice": gym.spaces.Box(0.0, 1.0, (8,), np.float32),
        }
        self.dict_ = dict_
        self.observation_space = gym.spaces.Dict(parts) if dict_ else rows
        self.arrays = SimpleNamespace(options=SimpleNamespace(expose_scene=exposed), scenes=None)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action):
        reward = float(action == self.goal)
        self.time += 1
        return self._seen(), reward, False, self.time == 8, {}

    def _seen(self):
        self.goal = int(self.np_random.integers(5))
        self.closed = (self.goal + 1 + int(self.np_random.integers(4))) % 5
        self.arrays.scenes = VECTORS[self.goal][None].copy()
        rows = self.np_random.uniform(-1, 1, (CARS, 7)).astype(np.float32)
        rows[:, 0] = [1.0, 1.0, 0.0, 1.0]
        rows[0, 1:6] = -1.0
        rows[0, 1 + self.goal] = 1.0
        if not self.dict_:
            return rows
        mask = np.ones(5, np.int8)
        mask[self.closed] = 0
        return {"rows": rows, "action_mask": mask, "advice": np.zeros(8, np.float32)}


class Knows:
    """The teacher that is always right."""

    name, quality = "knows", "planner"

    def __init__(self):
        self.asked = 0

    def advise(self, scenes):
        self.asked += len(scenes)
        goals = [round((scene.set_point - 20.0) / 2) for scene in scenes]
        return [
            advice_for(s, ACTIONS[g], 1.0, self.name) for s, g in zip(scenes, goals, strict=True)
        ]


SMALL = {"width": 16, "net_arch": [16]}
FAST = {"n_steps": 16, "batch_size": 32, "n_epochs": 2, "policy_kwargs": SMALL, "device": "cpu"}


def toys(count=2, **kwargs):
    return DummyVecEnv([lambda: Toy(**kwargs)] * count)


def student(teacher=None, env=None, seed=0, **settings):
    return TellDrive(env=env or toys(), teacher=teacher, seed=seed, **{**FAST, **settings})


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.policy.parameters()])


def test_without_a_teacher_it_is_stable_baselines_ppo_bit_for_bit():
    ours = student(learning_rate=1e-3).learn(96)
    rate = LinearDecay(1e-3, 0.2)
    theirs = PPO(EgoAttentionPolicy, toys(), learning_rate=rate, seed=0, **FAST).learn(96)
    attention = AttentionPPO(env=toys(), learning_rate=1e-3, seed=0, **FAST).learn(96)
    assert torch.equal(weights(ours), weights(theirs))
    assert torch.equal(weights(ours), weights(attention))
    assert not torch.equal(weights(ours), weights(student(seed=1, learning_rate=1e-3).learn(96)))


def test_a_teacher_without_weight_changes_nothing_of_the_driving():
    guided = student(Knows(), guidance={"weight": 0.0}).learn(32)
    alone = student().learn(32)
    assert torch.allclose(weights(guided), weights(alone), atol=1e-5)


def test_good_advice_is_learnt_from():
    def accuracy(model):
        env = Toy()
        seen, right = env.reset(seed=5)[0], 0
        for _ in range(200):
            action = model.predict(seen, deterministic=True)[0]
            right += int(action) == env.goal
            seen, *_, over, _ = env.step(action)
            seen = env.reset()[0] if over else seen
        return right / 200

    knows = Knows()
    settings = {"n_epochs": 10, "learning_rate": 3e-3}
    guided = student(knows, guidance={"until": 1.0, "weight": 3.0}, **settings).learn(320)
    assert knows.asked > 200  # every scene is risky
    assert accuracy(guided) > accuracy(student(**settings).learn(320)) + 0.2


def test_logs_tell_how_the_guidance_went():
    model = student(Knows(), guidance={"until": 1.0})
    model.learn(64, log_interval=100)
    logged = model.logger.name_to_value
    names = ("lambda", "trust", "kl", "agreement", "valid_rate", "advice_per_step", "teacher_s")
    assert {f"guidance/{name}" for name in names} <= set(logged)
    assert logged["guidance/valid_rate"] == 1.0 == logged["guidance/advice_per_step"]


def test_only_a_share_of_calm_states_is_asked(monkeypatch):
    monkeypatch.setitem(globals(), "VECTORS", [replace(BASE, risk=0.1).vector()] * 5)
    knows = Knows()
    student(knows, guidance={"share": 0.25, "until": 1.0}).learn(256)
    assert 30 < knows.asked < 100


def test_advice_ends_when_its_time_is_over_or_trust_is_lost():
    knows = Knows()
    model = student(knows, guidance={"until": 0.5})
    model.learn(128)
    assert knows.asked == 64
    garbage = student(ChaosTeacher("garbage"), guidance={"until": 1.0, "share": 1.0})
    with pytest.warns(UserWarning, match="demonstration"):
        garbage.learn(16 * 32)
    assert garbage.trust.off and garbage._active_guide() is None


def test_teacher_executed_steps_store_the_probability_of_the_mixture():
    model = student(Knows(), guidance={"teacher_share": 0.2, "until": 1.0, "share": 1.0})
    seen = []

    def keep(local, _):
        seen.append((local["obs_tensor"], local["actions"].copy(), local["log_probs"].clone()))
        return True

    model.learn(32, callback=keep)
    obs, actions, stored = seen[3]
    policy = EgoAttentionPolicy(model.observation_space, model.action_space, lambda _: 1.0, **SMALL)
    fresh = student(seed=0)
    policy.load_state_dict(fresh.policy.state_dict())
    log_probs, _ = policy.log_probs_and_values(obs)
    teacher, _ = policy.teacher_probs(obs)
    taken = torch.as_tensor(actions).reshape(-1, 1)
    mixed = 0.8 * log_probs.exp().gather(1, taken) + 0.2 * teacher.gather(1, taken)
    assert torch.allclose(stored.exp(), mixed[:, 0], atol=1e-5)


def test_the_token_is_seen_in_training_and_hidden_in_prediction():
    kwargs = {"policy_kwargs": {**SMALL, "advice_token": True}}
    model = student(Knows(), guidance={"until": 1.0, "token_drop": 0.0}, **kwargs).learn(64)
    obs = Toy().reset(seed=0)[0]
    told = {**obs, "advice": np.array([0, 0, 0, 1, 0, 1, 0, 1], np.float32)}
    batch = {k: torch.as_tensor(np.stack([v, v])) for k, v in told.items()}
    batch["advice"] = torch.as_tensor(np.stack([told["advice"], obs["advice"]]))
    log_probs, _ = model.policy.log_probs_and_values(batch)
    assert not torch.allclose(log_probs[0], log_probs[1])
    batch["advice"][0, 6] = 1.0  # too old to be shown
    log_probs, _ = model.policy.log_probs_and_values(batch)
    assert torch.equal(log_probs[0], log_probs[1])
    alone = model.predict(obs, deterministic=True)[0]
    assert model.predict(told, deterministic=True)[0] == alone


def test_a_warm_start_clones_the_teacher():
    model = student(Knows(), guidance={"warm_start": 10, "warm_start_steps": 512, "until": 1.0})
    model.learn(32)
    env = Toy()
    seen, _ = env.reset(seed=3)
    rows = []
    for _ in range(100):
        rows.append((seen, env.goal))
        seen = env._seen()
    right = [int(model.predict(o, deterministic=True)[0]) == goal for o, goal in rows]
    assert np.mean(right) > 0.5


def test_unavailable_actions_are_never_taken():
    model = student()
    env = toys(32)
    obs = env.reset()
    for _ in range(20):
        actions, _ = model.predict(obs)
        assert obs["action_mask"][np.arange(32), actions].all()
        obs, *_ = env.step(actions)


def test_permuting_the_others_changes_nothing_and_absent_cars_weigh_nothing(rng):
    space = Toy(dict_=False).observation_space
    view = EgoAttentionExtractor(space, width=16).eval()
    rows = torch.as_tensor(rng.uniform(-1, 1, (3, CARS, 7)), dtype=torch.float32)
    rows[:, :, 0] = torch.tensor([1.0, 1.0, 0.0, 1.0])
    order = [0, 3, 1, 2]
    assert torch.allclose(view(rows), view(rows[:, order]), atol=1e-6)
    weights = view.weights(rows)
    assert weights.shape == (3, 2, CARS) and (weights[:, :, 2] == 0).all()
    assert torch.allclose(weights.sum(dim=2), torch.ones(3, 2))
    changed = rows.clone()
    changed[:, 2, 1:] = 0.5
    assert torch.equal(view(rows), view(changed))
    alone = rows.clone()
    alone[:, 1:, 0] = 0.0
    assert torch.isfinite(view(alone)).all()
    assert torch.allclose(view.weights(alone)[:, :, 0], torch.ones(3, 2))


def test_attention_equals_torchs_own_with_the_same_weights(rng):
    view = EgoAttentionExtractor(Toy(dict_=False).observation_space, width=16).attention
    own = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    with torch.no_grad():
        for module in (view.query, view.value, view.join):
            module.bias.normal_()
        own.in_proj_weight.copy_(torch.cat([view.query.weight, view.key.weight, view.value.weight]))
        own.in_proj_bias.copy_(torch.cat([view.query.bias, torch.zeros(16), view.value.bias]))
        own.out_proj.weight.copy_(view.join.weight)
        own.out_proj.bias.copy_(view.join.bias)
    ego, cars = torch.randn(5, 16), torch.randn(5, 6, 16)
    present = torch.rand(5, 6) < 0.7
    present[:, 0] = True
    made, weights = view(ego, cars, present)
    theirs, averaged = own(ego[:, None], cars, cars, key_padding_mask=~present)
    assert torch.allclose(made, view.norm(ego + theirs[:, 0]), atol=1e-5)
    assert torch.allclose(weights.mean(dim=1), averaged[:, 0], atol=1e-6)


def test_the_network_has_the_published_size():
    space = gym.spaces.Box(-1.0, 1.0, (15, 7), np.float32)
    policy = EgoAttentionPolicy(space, gym.spaces.Discrete(3), lambda _: 1.0)
    assert 3e4 < sum(p.numel() for p in policy.parameters()) < 5e4
    first = policy.get_distribution(torch.rand(4, 15, 7)).distribution.probs
    assert torch.allclose(first, torch.full_like(first, 1 / 3), atol=0.02)


def test_it_saves_and_loads_without_its_teacher(tmp_path):
    knows = Knows()
    knows.socket = lambda: None  # what cannot be pickled
    model = student(knows, guidance={"until": 1.0}).learn(64)
    model.save(tmp_path / "model.zip")
    obs = toys().reset()
    loaded = TellDrive.load(tmp_path / "model.zip", device="cpu")
    assert np.array_equal(
        loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
    )
    assert loaded.teacher is None and loaded.guidance == model.guidance
    again = TellDrive.load(tmp_path / "model.zip", env=toys(), teacher=Knows(), device="cpu")
    again.learn(64, reset_num_timesteps=False)
    assert again.teacher.asked > 0 and again.num_timesteps == 128


def test_weights_travel_as_safetensors_and_damage_is_found(tmp_path):
    from hybridrl.agents.tell_drive.weights import load_policy

    model, other = student().learn(32), student(seed=9)
    model.save_weights(tmp_path)
    other.load_weights(tmp_path)
    assert torch.equal(weights(model), weights(other))
    obs = toys().reset()
    alone = load_policy(tmp_path)
    assert np.array_equal(
        alone.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
    )
    with pytest.raises(ScenarioError, match="width"):
        student(policy_kwargs={**SMALL, "width": 8}).load_weights(tmp_path)
    file = tmp_path / "student.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"nope")
    with pytest.raises(ScenarioError, match="sha256"):
        other.load_weights(tmp_path)
    (tmp_path / "student.json").write_text('{"format":' * 3000)
    with pytest.raises(ScenarioError, match="nested"):
        other.load_weights(tmp_path)


def test_what_does_not_fit_is_refused_with_the_fix():
    with pytest.raises(ScenarioError, match="dict"):
        student(Knows(), toys(dict_=False)).learn(32)
    with pytest.raises(ScenarioError, match="expose_scene"):
        student(Knows(), toys(exposed=False)).learn(32)
    with pytest.raises(ScenarioError, match="heads"):
        student(policy_kwargs={"width": 15})
    with pytest.raises(ScenarioError, match="rows of cars"):
        TellDrive(env="CartPole-v1")
    with pytest.raises(ScenarioError, match="discrete"):
        EgoAttentionPolicy(Toy(False).observation_space, gym.spaces.Box(-1, 1, (2,)), lambda _: 1.0)


def test_rows_alone_and_the_plain_network_learn_too():
    student(env=toys(dict_=False), policy_kwargs={**SMALL, "encoder": "flat"}).learn(64)
    model = student(policy_kwargs={**SMALL, "encoder": "flat"}).learn(64)
    with pytest.raises(ScenarioError, match="heads"):
        model.attention_weights(Toy().reset(seed=0)[0])
    assert student().attention_weights(Toy().reset(seed=0)[0]).shape == (2, CARS)


def test_callbacks_work_while_it_is_guided(tmp_path):
    watch = EvalCallback(toys(1), eval_freq=8, n_eval_episodes=1, verbose=0)
    model = student(Knows(), guidance={"until": 1.0}).learn(64, callback=watch)
    assert model.num_timesteps == 64 and watch.evaluations_timesteps == []
    stop = student(Knows(), guidance={"until": 1.0}).learn(640, callback=lambda a, b: False)
    assert stop.num_timesteps == 2


QUICK = {
    "learning_starts": 20,
    "batch_size": 16,
    "target_update_interval": 20,
    "buffer_size": 400,
    "policy_kwargs": SMALL,
    "device": "cpu",
}


def dqn(teacher=None, seed=0, **settings):
    env = DummyVecEnv([Toy])
    return TellDriveDQN(env=env, teacher=teacher, seed=seed, **{**QUICK, **settings})


def test_without_a_teacher_the_other_student_is_stable_baselines_dqn():
    class Plain(DQN):
        predict = TellDriveDQN.predict

    ours = dqn().learn(80)
    theirs = Plain(EgoAttentionQPolicy, DummyVecEnv([Toy]), seed=0, **QUICK).learn(80)
    assert torch.equal(weights(ours), weights(theirs))


def test_advice_moves_q_values_and_closed_actions_are_never_taken(tmp_path):
    knows = Knows()
    guidance = {"until": 1.0, "weight": 5.0, "margin": 1.0}
    model = dqn(knows, guidance=guidance, learning_rate=3e-3, gamma=0.0).learn(300)
    assert knows.asked > 200
    env, right = Toy(), 0
    seen, _ = env.reset(seed=1)
    for _ in range(200):
        action = int(model.predict(seen, deterministic=True)[0])
        assert seen["action_mask"][action]
        assert seen["action_mask"][int(model.predict(seen)[0])]
        right += action == env.goal
        seen = env._seen()
    assert right > 100
    model.save(tmp_path / "dqn.zip")
    loaded = TellDriveDQN.load(tmp_path / "dqn.zip", device="cpu")
    assert loaded.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]
    assert copy.deepcopy(loaded.guidance) == model.guidance


def test_the_other_student_stops_listening_to_garbage_too():
    model = dqn(ChaosTeacher("garbage"), guidance={"until": 1.0, "share": 1.0})
    with pytest.warns(UserWarning, match="demonstration"):
        model.learn(700)
    assert model.trust.off and model._active_guide() is None
