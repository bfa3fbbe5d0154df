"""What every HOPE agent shares: it draws scene classes by what is left to learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from hybridrl.agents.hope.collect import classes_of
from hybridrl.agents.hope.curriculum import ScenarioCurriculum
from hybridrl.envs.parking.task import CLASS_NAMES

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm as _Base
else:
    _Base = object


class ChoosesScenes(_Base):
    """Mixin before a Stable-Baselines3 algorithm; the subclass sets ``curriculum``.

    Attributes:
        curriculum: Whether classes are chosen; a mapping gives target success rates by class.
        scenes: What is known of every class, and the probabilities that follow from it.
    """

    curriculum: bool | Mapping[str, float]
    scenes: ScenarioCurriculum

    @property
    def curriculum_record(self) -> Tensor:
        """Outcomes of the last episodes of every class; saved with the weights."""
        return self.scenes.record

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Go on in another environment; the curriculum draws from its classes."""
        super().set_env(env, force_reset)
        if self.curriculum:
            self.scenes.activate(classes_of(self.env))

    def _set_up_scenes(self) -> None:
        targets = self.curriculum if isinstance(self.curriculum, Mapping) else None
        active = classes_of(self.env) if self.curriculum else ()
        self.scenes = ScenarioCurriculum(CLASS_NAMES, active, targets=targets)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "scenes"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        states, variables = super()._get_torch_save_params()
        return states, [*variables, "curriculum_record"]

    def _weigh_classes(self, env: VecEnv) -> None:
        if len(self.scenes.active) > 1:
            env.env_method("set_class_weights", self.scenes.probabilities())
            for name in self.scenes.active:
                self.logger.record(f"success/{name}", self.scenes.success(name))

    def _count_episodes(self, infos: list[dict[str, Any]], dones: NDArray[np.bool_]) -> None:
        for i in np.flatnonzero(dones):
            if "label" in infos[i]:
                self.scenes.add(infos[i]["label"], infos[i]["is_success"])
