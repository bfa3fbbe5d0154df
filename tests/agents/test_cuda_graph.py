"""Updates as one CUDA graph: on a CPU all but the recording itself, on a GPU the whole of it."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from hybridrl.agents import H2O, RLPD
from hybridrl.agents.common.cuda_graph import REHEARSALS, CudaRecorder, RecordedUpdates
from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.datasets.offline import OfflineDataset
from hybridrl.planners.errors import ScenarioError

RATE = 2.0**-10  # equal as a tensor of float32 and as a Python number
OPTIONS = {"policy_kwargs": {"net_arch": [12]}, "buffer_size": 200, "seed": 3, "device": "cpu"}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class Repeats:
    """Stands in for a CUDA graph: the work itself, again, on the tensors of the recording."""

    def __init__(self):
        self.rehearsed = self.recorded = self.replayed = 0

    def rehearse(self, work):
        self.rehearsed += 1
        work()

    def record(self, work):
        self.recorded += 1

        def replay():
            self.replayed += 1
            work()

        return replay


def data(rows=90):
    rng = np.random.default_rng(0)
    return OfflineDataset(
        observations=rng.normal(size=(rows, 3)),
        actions=rng.uniform(-2, 2, (rows, 1)),
        rewards=rng.normal(size=rows),
        next_observations=rng.normal(size=(rows, 3)),
        terminations=np.zeros(rows, bool),
        truncations=np.zeros(rows, bool),
    )


def make(cls=HybridSAC, recorder=None, **kwargs):
    options = {**OPTIONS, "learning_rate": RATE, "offline_dataset": data(), **kwargs}
    model = cls("MlpPolicy", "Pendulum-v1", **options)
    model.set_logger(configure(None, []))
    if recorder is not None:
        model._recorded = RecordedUpdates(model, recorder)
    torch.manual_seed(1)
    return model


def weights(model):
    return torch.cat([t.flatten().cpu() for t in model.policy.state_dict().values()])


@pytest.mark.parametrize("cls", [HybridSAC, RLPD])
def test_recorded_updates_are_the_eager_ones(cls):
    recorder = Repeats()
    eager, recorded = make(cls), make(cls, recorder)
    for model in (eager, recorded):
        torch.manual_seed(1)
        for _ in range(REHEARSALS + 4):
            model.train(3, 8)
    assert torch.equal(weights(eager), weights(recorded))
    assert eager._n_updates == recorded._n_updates == 3 * (REHEARSALS + 4)
    assert (recorder.rehearsed, recorder.recorded, recorder.replayed) == (REHEARSALS, 1, 4)


def test_rows_are_read_from_one_tensor_and_metrics_are_copied_out():
    model = make(recorder=Repeats())
    first, second = (model._recorded(2, 8) for _ in range(2))
    (recording,) = model._recorded._recorded.values()
    place = recording.rows.data_ptr()
    model._recorded(2, 8)
    assert recording.rows.data_ptr() == place and recording.rows.shape[:2] == (2, 8)
    assert float(first["critic_loss"]) != float(second["critic_loss"])
    assert first["critic_loss"].data_ptr() != recording.metrics["critic_loss"].data_ptr()


def test_another_shape_and_a_loaded_state_are_recorded_anew():
    model = make(recorder=Repeats())
    for count, batch in ((2, 8), (2, 8), (1, 8), (2, 6)):
        model.train(count, batch)
    assert len(model._recorded._recorded) == 3
    model.set_parameters(model.get_parameters())
    model.train(2, 8)
    assert len(model._recorded._recorded) == 4


def test_a_schedule_reaches_recorded_steps():
    model = make(recorder=Repeats(), learning_rate=lambda left: RATE * left)
    for left in (1.0, 0.5):
        model._current_progress_remaining = left
        model.train(1, 8)
        rates = [rate for optimizer in model.optimizers() for rate in optimizer._rates]
        assert len(rates) == 3 and all(float(rate) == RATE * left for rate in rates)
    before = weights(model)
    model._current_progress_remaining = 0.0
    model.train(1, 8)
    moved = weights(model) - before
    polyak = len(moved) - sum(p.numel() for p in model.critic_target.parameters())
    assert not moved[:polyak].any()


def test_without_a_gpu_updates_are_eager_and_a_warning_says_so():
    with pytest.warns(UserWarning, match="cuda_graph: updates on cpu"):
        model = make(cuda_graph=True)
    assert model._recorded is None
    model.train(1, 8)
    assert model._n_updates == 1


@pytest.mark.parametrize(
    ("cls", "policy", "options", "why"),
    [
        (HybridSAC, "ListPolicy", {}, "ensemble critics"),
        (HybridSAC, "MlpPolicy", {"offline_fraction": "uniform"}, "uniform"),
        (HybridSAC, "MlpPolicy", {"n_steps": 3}, "n_steps"),
        (H2O, "MlpPolicy", {}, "update of H2O"),
    ],
)
def test_what_cannot_be_recorded_is_refused(cls, policy, options, why):
    with pytest.raises(ScenarioError, match=why):
        cls(policy, "Pendulum-v1", cuda_graph=True, offline_dataset=data(), **OPTIONS, **options)


def test_recordings_are_not_saved(tmp_path):
    model = make(recorder=Repeats())
    model.train(1, 8)
    model.save(tmp_path / "model.zip")
    assert HybridSAC.load(tmp_path / "model.zip", device="cpu")._recorded is None


@needs_gpu
@pytest.mark.parametrize("cls", [HybridSAC, RLPD])
def test_on_a_gpu_the_graph_learns_as_eager_updates_do(cls):
    model = make(cls, cuda_graph=True, device="cuda", learning_rate=3e-3)
    assert isinstance(model._recorded.recorder, CudaRecorder)
    start, losses = weights(model), []
    for _ in range(REHEARSALS + 200):
        losses.append(float(model._recorded(2, 32)["critic_loss"]))
    assert np.isfinite(losses).all() and not torch.equal(start, weights(model))
    assert len(set(losses[REHEARSALS:])) > 100  # replays draw noise and read rows anew
    assert np.mean(losses[-20:]) < np.mean(losses[:20])
