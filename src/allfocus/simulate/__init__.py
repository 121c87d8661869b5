"""Dual-pixel defocus from sharp photos: scenes, lenses, rendering with occlusion, and sensors."""

from allfocus.simulate.depth import DepthMaps
from allfocus.simulate.lens import Lens, LensConfig
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.render import render
from allfocus.simulate.scene import Scene, SceneConfig
from allfocus.simulate.sensor import Sensor, SensorConfig
from allfocus.simulate.simulator import Quadruples, Shot, Simulator, SimulatorConfig
from allfocus.simulate.surface import Surface, compose

__all__ = [
    "DepthMaps",
    "Lens",
    "LensConfig",
    "PhotoPool",
    "Quadruples",
    "Scene",
    "SceneConfig",
    "Sensor",
    "SensorConfig",
    "Shot",
    "Simulator",
    "SimulatorConfig",
    "Surface",
    "compose",
    "render",
]
