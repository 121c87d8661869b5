"""The names under which networks are known, how each is built, and which losses its row of the paper was taught by.

A new network is a module in `nets` and one line in `FAMILIES`. One that is not trained as IFAN is also needs a task of
its own (`train/tasks/registry.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import torch

from allfocus.errors import OptionError
from allfocus.nets.macs import macs_of_network
from allfocus.nets.reblur import ReblurringNetwork
from allfocus.ops.adaptive_conv import FilterLayout

FAMILIES: dict[str, str] = {
    "ifan": "allfocus.nets.ifan:IFAN",
    "plain": "allfocus.nets.ablations:Plain",
    "disparity": "allfocus.nets.ablations:DisparityOnly",
    "filters": "allfocus.nets.ablations:FiltersOnly",
}
"""What builds a network, "module:class": it takes those fields of `Architecture` that it names, and maybe
`residual_gain`. The network has `multiple` (of its picture's sides, px) and `views` (1 or 2), and its
`forward(photo, pair=None)` returns an `IFANOutput`, at least with a residual of the photo's shape. A family that no
entry stands for is also known as a network of its own name."""


@dataclass(frozen=True)
class Architecture:
    """Everything that decides the shapes and the arithmetic of a network; stored in the card of its weights.

    Attributes:
        iterations, views, unshuffle, tied, width: as in `IFAN`.
        family: a name in `FAMILIES`. A family that takes fewer fields ignores the others.
    """

    iterations: int = 17
    views: int = 1
    unshuffle: int = 1
    tied: bool = False
    width: int = 32
    family: str = "ifan"

    def build(self, residual_gain: float = 1.0) -> Any:
        """A freshly initialised network; see `FAMILIES`. OptionError: if there is no such family."""
        options = asdict(self)
        family = options.pop("family")
        if family not in FAMILIES:
            raise OptionError(f"no family of networks is called {family!r}", f"one of {', '.join(FAMILIES)}", "'ifan'")
        make = _maker(family)
        taken = inspect.signature(make).parameters
        options["residual_gain"] = residual_gain
        return make(**{name: value for name, value in options.items() if name in taken})

    def build_reblurring(self, iterations: int = 17) -> ReblurringNetwork:
        """A fresh reblurring network (training only) with N pairs of 1-D filters, for the filters of this one."""
        deep = 4 * self.width
        filter_channels = FilterLayout(deep, self.iterations).total
        return ReblurringNetwork(filter_channels, iterations, tied=self.tied, width=deep)


@dataclass(frozen=True)
class NamedNetwork:
    """A named network.

    Attributes:
        architecture: how it is built.
        summary: one line for people.
        disparity_loss: whether its row was trained with the warped dual-pixel views.
        reblurring: pairs of filters of the reblurring network it was trained with; 0 for none.
    """

    architecture: Architecture
    summary: str
    disparity_loss: bool = True
    reblurring: int = 17


ENTRIES: dict[str, NamedNetwork] = {
    "ifan": NamedNetwork(Architecture(), "IFAN, N=17; row F+D+R of the paper"),
    "ifan-fast": NamedNetwork(
        Architecture(unshuffle=2, width=24),
        "IFAN on the 2x unshuffled photo, three quarters as wide: a seventh of the work",
    ),
    "ifan-dual": NamedNetwork(Architecture(views=2), "IFAN whose filters come from both dual-pixel views"),
    "ifan-dual-fast": NamedNetwork(Architecture(views=2, unshuffle=2, width=24), "the same on 2x unshuffled views"),
    "ifan-tied": NamedNetwork(Architecture(tied=True), "IFAN as released: the vertical filters serve both passes"),
    "ifan-8": NamedNetwork(Architecture(iterations=8), "N=8 of the paper's sweep", reblurring=8),
    "ifan-26": NamedNetwork(Architecture(iterations=26), "N=26 of the paper's sweep", reblurring=9),
    "ifan-35": NamedNetwork(Architecture(iterations=35), "N=35 of the paper's sweep"),
    "ifan-44": NamedNetwork(Architecture(iterations=44), "N=44 of the paper's sweep"),
    "ablation-none": NamedNetwork(Architecture(family="plain"), "neither filters nor disparity", False, 0),
    "ablation-d": NamedNetwork(Architecture(family="disparity"), "disparity, no filters", True, 0),
    "ablation-f": NamedNetwork(Architecture(family="filters"), "filters, no disparity", False, 0),
    "ablation-fd": NamedNetwork(Architecture(), "filters and disparity, no reblurring loss", True, 0),
    "ablation-fr": NamedNetwork(Architecture(family="filters"), "filters and reblurring loss, no disparity", False, 17),
    "ablation-fdr": NamedNetwork(Architecture(), "all three: IFAN"),
}


def _maker(family: str) -> Callable[..., torch.nn.Module]:
    module, _, name = FAMILIES[family].partition(":")
    return getattr(import_module(module), name)


def entry(name: str) -> NamedNetwork:
    """The named network with what it is trained by. OptionError: if no network has this name."""
    if name not in named():
        raise OptionError(f"no network is called {name!r}", f"one of {', '.join(named())}", "allfocus models --all")
    return named()[name]


def named() -> dict[str, NamedNetwork]:
    """`ENTRIES`, and each family that none of them covers under its own name, with its default sizes."""
    known = {one.architecture.family for one in ENTRIES.values()}
    others = {
        family: NamedNetwork(
            Architecture(family=family), (inspect.getdoc(_maker(family)) or family).splitlines()[0], False, 0
        )
        for family in FAMILIES
        if family not in known
    }
    return {**ENTRIES, **others}


def architecture(name: str) -> Architecture:
    """The architecture of this name. OptionError: if no network has it."""
    return entry(name).architecture


def network_of(name: str, wanted: Architecture) -> str | None:
    """The named network that a model's weights belong to: its namesake, else the first of the same architecture."""
    same = [known for known, one in named().items() if one.architecture == wanted]
    return name if name in same else next(iter(same), None)


@dataclass(frozen=True)
class Description:
    """One line of `allfocus models --all`.

    Attributes:
        name, summary: of the network.
        parameters: of the deblurring network.
        reblurring_parameters: of the network that is beside it in training only; 0 for none.
        convolution_macs, macs: at 1280x720, see `nets.macs.Macs`.
    """

    name: str
    summary: str
    parameters: int
    reblurring_parameters: int
    convolution_macs: int
    macs: int


def describe(name: str) -> Description:
    """Count one network, without computing or allocating it. OptionError: if no network has this name."""
    known = entry(name)
    with torch.device("meta"):
        net = known.architecture.build()
        reblurring = known.architecture.build_reblurring(known.reblurring) if known.reblurring else None
    macs = macs_of_network(net, net.views)
    return Description(
        name,
        known.summary,
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        reblurring_parameters=sum(parameter.numel() for parameter in reblurring.parameters()) if reblurring else 0,
        convolution_macs=macs.convolution,
        macs=macs.with_bias_and_activation,
    )


def describe_all() -> list[Description]:
    """Every network, in the order of the registry."""
    return [describe(name) for name in named()]
