"""Dual-pixel defocus from sharp photos: scenes, lenses, rendering with occlusion, and sensors."""

from allfocus.simulate.lens import Lens, LensConfig
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.render import Surface, compose, render
from allfocus.simulate.scene import Scene, SceneConfig
from allfocus.simulate.sensor import Sensor, SensorConfig
from allfocus.simulate.simulator import Quadruples, Simulator, SimulatorConfig

__all__ = [
    "Lens",
    "LensConfig",
    "PhotoPool",
    "Quadruples",
    "Scene",
    "SceneConfig",
    "Sensor",
    "SensorConfig",
    "Simulator",
    "SimulatorConfig",
    "Surface",
    "compose",
    "render",
]
