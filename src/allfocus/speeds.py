"""The model and settings behind `--speed`; docs/speed.md has measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace

from allfocus.errors import OptionError
from allfocus.restore import Settings
from allfocus.weights.store import DEFAULT


@dataclass(frozen=True)
class Speed:
    """One choice between time and quality.

    Attributes:
        model: taken where the user names none.
        finest: finest working scale for photos of 6 megapixels and more.
        flips: whether the network also sees the mirror image.
    """

    model: str
    finest: int = 1
    flips: bool = False

    def settings(self, settings: Settings) -> Settings:
        """A user's settings with this choice in them."""
        return replace(settings, finest=self.finest, flips=self.flips)


BALANCED = "balanced"
SPEEDS = {
    "fast": Speed(DEFAULT, finest=2),
    BALANCED: Speed(DEFAULT),
    "best": Speed(DEFAULT, flips=True),
}


def speed_of(name: str) -> Speed:
    """The choice of a name. OptionError: another name."""
    if name not in SPEEDS:
        raise OptionError(f"speed {name!r}", f"one of {', '.join(SPEEDS)}", f"--speed {BALANCED}")
    return SPEEDS[name]
