"""Soft actor-critic with an optional dataset: the base of H2O, MOORL, RLPD and others."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.sac.policies import SACPolicy

from hybridrl.agents.common.adam import LeanAdam
from hybridrl.agents.common.cuda_graph import RecordedUpdates, recorded_updates
from hybridrl.agents.common.guide import Guide
from hybridrl.agents.common.hybrid import HybridOffPolicyMixin
from hybridrl.agents.common.pixels import PixelSACPolicy
from hybridrl.agents.common.policies import POLICIES, HybridSACPolicy
from hybridrl.agents.common.sac_core import Metrics, SACRules, sac_update
from hybridrl.planners.errors import ScenarioError

OBSERVED = 10  # updates between two looks at values and errors by source


class HybridSAC(HybridOffPolicyMixin, SAC):
    """SAC on batches of offline and online transitions; without a dataset plain SAC.

    Subclasses change :meth:`rules`, :meth:`learn_from` or :meth:`update`.

    Args:
        policy: ``MlpPolicy`` and ``MultiInputPolicy`` (ensemble critics), ``CnnPolicy`` (pictures,
            as DrQ-v2), ``ListPolicy`` (Stable-Baselines3's own, for bitwise comparison) or a class.
        env: To learn in.
        backup_entropy: Entropy belongs to the target value; turn it off for 0/1 rewards.
        guide: Acts at the beginning of every episode (JSRL): anything with ``predict``, or the
            name of a shipped behaviour policy. It is never saved with the model.
        guide_options: Of :class:`~hybridrl.agents.common.guide.Guide`: ``horizon``, ``mode``,
            ``stages``, ``tolerance``.
        cuda_graph: On a GPU, record the updates of a call of ``train`` once and replay them; on
            another device a warning. Never run on a GPU so far; see ``cuda_graph.py``.
        **kwargs: ``offline_dataset``, ``offline_fraction``, ``reward_scale``, ``reward_bias`` and
            those of ``stable_baselines3.SAC``.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        **POLICIES,
        "CnnPolicy": PixelSACPolicy,
    }

    _step_of_train = 0

    def __init__(
        self,
        policy: str | type[SACPolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        *,
        backup_entropy: bool = True,
        guide: Any = None,
        guide_options: dict[str, Any] | None = None,
        cuda_graph: bool = False,
        **kwargs: Any,
    ) -> None:
        self.backup_entropy = backup_entropy
        self.cuda_graph = cuda_graph
        self._recorded: RecordedUpdates | None = None
        self.guide, self.guide_options = guide, guide_options
        self._guide: Guide | None = None
        super().__init__(policy, env, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        optimizer = self.ent_coef_optimizer
        if optimizer is not None and isinstance(self.policy, HybridSACPolicy) and self.policy.fused:
            rate = optimizer.param_groups[0]["lr"]
            assert self.log_ent_coef is not None
            self.ent_coef_optimizer = LeanAdam([self.log_ent_coef], lr=rate)
        self._recorded = recorded_updates(self) if self.cuda_graph else None
        if self.guide is not None:
            self._guide = Guide(self.guide, **{"seed": self.seed, **(self.guide_options or {})})

    @property
    def rules(self) -> SACRules:
        """What this agent changes in the shared update."""
        return SACRules(backup_entropy=self.backup_entropy)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Do ``gradient_steps`` updates of ``batch_size`` rows each."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.optimizers())
        if self._recorded is not None:
            self._means.add(self._recorded(gradient_steps, batch_size))
        else:
            for step in range(gradient_steps):
                self._step_of_train = step
                self._means.add(self.update(batch_size, self._follows(step)))
        self._n_updates += gradient_steps
        self._step_of_train = 0
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def update(self, batch_size: int, follow: bool) -> Metrics:
        """One update on a fresh batch; ``follow`` moves the target critics."""
        return self.learn_from(self.sample_batch(batch_size), follow)

    def learn_from(self, batch: Any, follow: bool) -> Metrics:
        """One update on a batch."""
        return sac_update(self, batch, self.rules, follow=follow, observe=self.due(OBSERVED))

    def update_number(self, step: int, batch: Any) -> Metrics:
        """Update ``step`` of this call of ``train``, on a batch; what a CUDA graph records."""
        self._step_of_train = step
        return self.learn_from(batch, self._follows(step))

    def draw_rows(self, batch_size: int) -> tuple[Any, int]:
        """Packed rows of a batch ``(B, width)``, and how many of them are offline."""
        rows: tuple[Any, int] = self.replay_buffer.sample_rows(batch_size, self._source)
        return rows

    @property
    def recordable(self) -> bool:
        """Whether ``learn_from`` is all that this agent's updates do."""
        return type(self).update is HybridSAC.update

    def due(self, every: int) -> bool:
        """Whether this update is one of every so many; each one is while a graph repeats them."""
        recorded = self._recorded is not None
        return recorded or (self._n_updates + self._step_of_train) % every == 0

    def _follows(self, step: int) -> bool:
        return step % self.target_update_interval == 0

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """All whose learning rate follows the schedule."""
        own = [self.actor.optimizer, self.critic.optimizer]
        return own if self.ent_coef_optimizer is None else [*own, self.ent_coef_optimizer]

    def resumable(self) -> dict[str, Any]:
        """What a resumed training needs besides networks, buffer, counters and generators."""
        return {} if self._guide is None else {"guide": self._guide.export_state()}

    def resume(self, state: dict[str, Any]) -> None:
        """Take what :meth:`resumable` gave."""
        if self._guide is not None and "guide" in state:
            self._guide.import_state(state["guide"])

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        fresh = self._last_obs is None
        prepared = super()._setup_learn(*args, **kwargs)
        if self._guide is not None and (fresh or len(self._guide.steps) != self.n_envs):
            self._guide.begin(self.n_envs)
        return prepared

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        actions, scaled = super()._sample_action(learning_starts, action_noise, n_envs)
        acting = np.zeros(0, bool) if self._guide is None else self._guide.acting()
        if self._guide is None or not acting.any():
            return actions, scaled
        seen: Any = self._last_obs if self._last_original_obs is None else self._last_original_obs
        guided = self._guide.predict(seen)
        actions, scaled = actions.copy(), scaled.copy()
        actions[acting] = guided[acting]
        scaled[acting] = self.policy.scale_action(guided[acting])
        return actions, scaled

    def _store_transition(
        self,
        replay_buffer: Any,
        buffer_action: NDArray[Any],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        if self._guide is not None:
            self._guide.observe(reward, dones)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "guide", "_guide", "_recorded"]


def critic_kwargs(
    policy: Any, n_critics: int, layer_norm: bool, policy_kwargs: dict[str, Any] | None
) -> dict[str, Any]:
    """Keywords of a policy for so many critics; what ``policy_kwargs`` says goes before.

    Raises:
        ScenarioError: If list critics are to be normalised.
    """
    if layer_norm and policy in ("ListPolicy", SACPolicy):
        raise ScenarioError("layer_norm", True, 'False, or policy="MlpPolicy": lists have none')
    own = {"n_critics": n_critics, **({"critic_layer_norm": True} if layer_norm else {})}
    return {**own, **(policy_kwargs or {})}
