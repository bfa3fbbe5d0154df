import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from torch import nn

from hybridrl.agents.common import ensemble
from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.ensemble import EnsembleMLP
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.policies import squashed_gaussian
from hybridrl.planners.errors import ScenarioError


def separate(networks, member):
    """The same network of one member, from torch's own layers."""
    layers = []
    for layer in networks.layers:
        if hasattr(layer, "weight") and layer.weight.dim() == 3 and layer.weight.shape[1] > 1:
            twin = nn.Linear(*layer.weight.shape[1:])
            twin.weight.data = layer.weight.data[member].T.clone()
            twin.bias.data = layer.bias.data[member, 0].clone()
        elif hasattr(layer, "features"):
            twin = nn.LayerNorm(layer.features)
            twin.weight.data = layer.weight.data[member, 0].clone()
            twin.bias.data = layer.bias.data[member, 0].clone()
        else:
            twin = type(layer)()
        layers.append(twin)
    return nn.Sequential(*layers)


@pytest.fixture(params=["small", "large", "huge"])
def any_size(request, monkeypatch):
    """Layers as they are; as if large, normalised one by one; and as if huge, run one by one."""
    if request.param != "small":
        monkeypatch.setattr(ensemble, "LARGE", 1)
    if request.param == "huge":
        monkeypatch.setattr(ensemble, "HUGE", 1)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("outputs", [1, 2])
def test_an_ensemble_equals_separate_networks_in_values_and_gradients(layer_norm, shared, outputs):
    torch.manual_seed(0)
    networks = EnsembleMLP(4, 5, outputs, (16, 8), layer_norm=layer_norm)
    for parameter in networks.parameters():  # so that affine maps of members differ
        parameter.data += 0.1 * torch.randn_like(parameter)
    inputs = torch.randn(10, 5) if shared else torch.randn(4, 10, 5)
    weight = torch.randn(4, 10, outputs)
    values = networks(inputs)
    (values * weight).sum().backward()
    for member in range(4):
        twin = separate(networks, member)
        expected = twin(inputs if shared else inputs[member])
        assert torch.allclose(values[member], expected, atol=1e-6)
        (expected * weight[member]).sum().backward()
        pairs = zip(networks.layers, twin, strict=True)
        for ours, theirs in ((a, b) for a, b in pairs if hasattr(a, "weight")):
            mine = ours.weight.grad[member]
            mine = mine.T if isinstance(theirs, nn.Linear) else mine[0]
            assert torch.allclose(mine, theirs.weight.grad, atol=1e-6)
            assert torch.allclose(ours.bias.grad[member, 0], theirs.bias.grad, atol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
def test_one_by_one_the_slopes_of_inputs_are_those_of_all_together(shared, monkeypatch):
    torch.manual_seed(0)
    networks = EnsembleMLP(3, 5, 1, (16, 8), layer_norm=True)
    inputs, weight = torch.randn(*(() if shared else (3,)), 10, 5), torch.randn(3, 10, 1)
    slopes = []
    for huge in (ensemble.HUGE, 1):
        monkeypatch.setattr(ensemble, "HUGE", huge)
        seen = inputs.clone().requires_grad_()
        networks.zero_grad()
        networks.requires_grad_(huge == 1)
        networks(seen).mul(weight).sum().backward()
        slopes.append(seen.grad)
        assert all((p.grad is None) == (huge > 1) for p in networks.parameters())
    assert torch.allclose(*slopes, atol=1e-6) and slopes[0].abs().max() > 0.01


def test_one_by_one_refuses_a_second_derivative(monkeypatch):
    monkeypatch.setattr(ensemble, "HUGE", 1)
    networks, seen = EnsembleMLP(2, 3, 1, (4,), layer_norm=True), torch.randn(5, 3)
    values = networks(seen.requires_grad_()).sum()
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.autograd.grad(values, seen, create_graph=True)
    twice = [torch.autograd.grad(values, seen, retain_graph=True)[0] for _ in range(2)]
    assert torch.equal(*twice)


@pytest.mark.usefixtures("any_size")
def test_members_can_be_chosen():
    networks = EnsembleMLP(5, 3, 1, (4,), layer_norm=True)
    inputs, chosen = torch.randn(6, 3), torch.tensor([3, 0])
    assert torch.allclose(networks(inputs, chosen), networks(inputs)[chosen], atol=1e-6)


def test_layers_start_as_torch_starts_its_own():
    torch.manual_seed(0)
    weight = EnsembleMLP(50, 25, 1, (30,)).layers[0].weight
    assert weight.abs().max() <= 0.2 and abs(float(weight.detach().std()) - 0.2 / 3**0.5) < 0.002


def test_the_squashed_gaussian_has_the_density_of_a_change_of_variables():
    torch.manual_seed(0)
    mean, log_std, noise = torch.randn(3, 100, 2).double().unbind(0)
    action, log_prob = squashed_gaussian(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    latent = torch.atanh(action)
    expected = (normal.log_prob(latent) - torch.log(1 - action**2 + 1e-6)).sum(-1)
    inside = (action.abs() < 0.999).all(-1)
    assert inside.sum() > 40
    assert torch.allclose(log_prob[inside], expected[inside], atol=1e-6)


def test_lean_adam_takes_the_steps_of_adam():
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5)]
    ours, theirs = ([t.clone().requires_grad_() for t in start] for _ in range(2))
    lean, plain = LeanAdam(ours, lr=0.01), torch.optim.Adam(theirs, lr=0.01)
    for step in range(20):
        for group, optimizer in ((ours, lean), (theirs, plain)):
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
            optimizer.zero_grad()
            sum((p * p * (i + 1)).sum() for i, p in enumerate(group)).backward()
            optimizer.step()
        if step == 10:  # through a file and back, into the other kind too
            saved = lean.state_dict()
            lean = LeanAdam(ours, lr=0.5)
            lean.load_state_dict(saved)
            plain.load_state_dict(plain.state_dict())
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_lean_adam_leaves_what_it_does_not_know_to_torch():
    (ours,), (theirs,) = ([torch.ones(3, requires_grad=True)] for _ in range(2))
    options = {"lr": 0.1, "weight_decay": 0.5}
    for parameter, optimizer in (
        (ours, LeanAdam([ours], **options)),
        (theirs, torch.optim.Adam([theirs], **options)),
    ):
        for _ in range(5):
            optimizer.zero_grad()
            (parameter**3).sum().backward()
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_the_ensemble_policy_starts_with_the_shapes_and_api_of_stable_baselines3():
    ours = HybridSAC("MlpPolicy", "Pendulum-v1", device="cpu", buffer_size=10)
    theirs = SAC("MlpPolicy", "Pendulum-v1", device="cpu", buffer_size=10)
    obs, action = torch.randn(7, 3), torch.rand(7, 1)
    for mine, reference in zip(ours.critic(obs, action), theirs.critic(obs, action), strict=True):
        assert mine.shape == reference.shape == (7, 1)
    first = ours.critic(obs, action)[0]
    assert torch.allclose(ours.critic.q1_forward(obs, action), first, atol=1e-6)
    assert sum(p.numel() for p in ours.policy.parameters()) == sum(
        p.numel() for p in theirs.policy.parameters()
    )
    same = zip(ours.critic.parameters(), ours.critic_target.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)


def test_output_gain_and_affine_deviation_are_those_asked_for():
    kwargs = {"output_gain": 0.01, "affine_log_std": True, "net_arch": [32]}
    model = HybridSAC(
        "MlpPolicy", "Pendulum-v1", policy_kwargs=kwargs, device="cpu", buffer_size=10
    )
    mean, log_std = model.actor.gaussian(torch.randn(20, 3))
    assert mean.abs().max() < 0.1 and (log_std + 1.0).abs().max() < 0.1
    assert model.critic.values(torch.randn(20, 3), torch.rand(20, 1)).abs().max() < 0.1


def test_lean_action_selection_draws_from_the_same_policy_as_predict():
    model = HybridSAC(
        "MlpPolicy", "Pendulum-v1", device="cpu", buffer_size=10, learning_starts=0, seed=0
    )
    model._last_obs = np.array([[0.1, 0.2, 0.3]])
    torch.manual_seed(4)
    action, scaled = model._sample_action(0)
    torch.manual_seed(4)
    expected, _ = model.predict(model._last_obs, deterministic=False)
    assert np.allclose(action, expected, atol=1e-6) and np.allclose(2 * scaled, action)


def test_gsde_is_refused_with_the_policy_that_has_it():
    with pytest.raises(ScenarioError, match="ListPolicy"):
        HybridSAC("MlpPolicy", "Pendulum-v1", use_sde=True, device="cpu")
    model = HybridSAC(
        "ListPolicy", "Pendulum-v1", use_sde=True, device="cpu", learning_starts=4, buffer_size=20
    )
    assert model.learn(8).num_timesteps == 8


def test_dictionaries_are_observed_through_an_extractor():
    space = gym.spaces.Dict(a=gym.spaces.Box(-1, 1, (2,)), b=gym.spaces.Box(-1, 1, (3,)))

    class Nested(gym.Env):
        observation_space = space
        action_space = gym.spaces.Box(-1, 1, (1,))

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            return space.sample(), {}

        def step(self, action):
            return space.sample(), 0.0, False, self.np_random.random() < 0.2, {}

    model = HybridSAC(
        "MultiInputPolicy", Nested(), device="cpu", buffer_size=50, learning_starts=8, batch_size=4
    )
    model.learn(16)
    assert model._n_updates == 8
