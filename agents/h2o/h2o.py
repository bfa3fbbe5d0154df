"""H2O: soft actor-critic on real data and an imperfect simulator, with the gap accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from hybridrl.agents.common.hybrid_sac import HybridSAC
from hybridrl.agents.common.replay import HybridSamples
from hybridrl.agents.common.sac_core import CriticObjective, Metrics, SACRules, sac_update
from hybridrl.agents.h2o.discriminators import Discriminators, NextInput
from hybridrl.agents.h2o.estimator import GapOptions, gap_terms, jitter_spread
from hybridrl.agents.h2o.losses import critic_loss
from hybridrl.planners.errors import ScenarioError
