"""The names under which networks are known, and how each is built."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from allfocus.errors import OptionError
from allfocus.nets.ifan import IFAN


@dataclass(frozen=True)
class Architecture:
    """Everything that decides the shapes and the arithmetic of an IFAN; stored in the card of its weights."""

    iterations: int = 17
    views: int = 1
    unshuffle: int = 1
    tied: bool = False
    width: int = 32

    def build(self, residual_gain: float = 1.0) -> IFAN:
        """A freshly initialised network."""
        return IFAN(**asdict(self), residual_gain=residual_gain)


ARCHITECTURES = {
    "ifan": Architecture(),
    "ifan-fast": Architecture(unshuffle=2),
    "ifan-dual": Architecture(views=2),
}


def architecture(name: str) -> Architecture:
    """The architecture of this name.

    Raises:
        OptionError: if no network has it.
    """
    if name not in ARCHITECTURES:
        raise OptionError(f"no network is called {name!r}", f"one of {', '.join(ARCHITECTURES)}", "allfocus models")
    return ARCHITECTURES[name]
