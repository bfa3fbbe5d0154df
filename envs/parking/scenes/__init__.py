"""Where parking problems come from: levels, generators, published scenes, recorded lots."""

from hybridrl.envs.parking.scenes.library import fixed_scene, fixed_scenes, sample_scenario

__all__ = ["fixed_scene", "fixed_scenes", "sample_scenario"]
