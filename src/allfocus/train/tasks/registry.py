"""The names that a run can train, and the task behind each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from allfocus.nets import registry as networks
from allfocus.nets.dpdnet import sizes
from allfocus.train.config import TrainConfig
from allfocus.train.tasks.base import Task
from allfocus.train.tasks.dmenet import DMENetTask
from allfocus.train.tasks.dpdnet import DPDNetTask
from allfocus.train.tasks.ifan import IFANTask

PUBLISHED_WIDTH = 64


def _dpdnet(structure: str, views: int) -> Callable[[TrainConfig], Task]:
    return lambda config: DPDNetTask(sizes(structure, views, config.net.width or PUBLISHED_WIDTH), config.loss)


def _dmenet(config: TrainConfig) -> Task:
    return DMENetTask((config.net.width or PUBLISHED_WIDTH) / PUBLISHED_WIDTH, config.loss)


BASELINES: dict[str, Callable[[TrainConfig], Task]] = {
    "dpdnet-s": _dpdnet("public", 1),
    "dpdnet-d": _dpdnet("public", 2),
    "dpdnet-s-large": _dpdnet("large", 1),
    "dpdnet-d-large": _dpdnet("large", 2),
    "dmenet": _dmenet,
}
"""The learnt baselines; every other name is one of `nets.registry`."""


def build(config: TrainConfig) -> Task:
    """The task of a run, with fresh weights. OptionError: no network has this name, or its losses do not fit it."""
    return BASELINES.get(config.architecture, _ifan)(config)


def ifan_architecture(config: TrainConfig) -> networks.Architecture:
    """The architecture of a run of IFAN's family: the named one with the run's own sizes.

    Raises:
        OptionError: no network has this name.
    """
    own = {name: value for name, value in vars(config.net).items() if value is not None}
    return replace(networks.architecture(config.architecture), **own)


def _ifan(config: TrainConfig) -> Task:
    return IFANTask(ifan_architecture(config), config.loss, config.residual_gain, config.identity_filters)
