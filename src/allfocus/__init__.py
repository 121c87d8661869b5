"""allfocus deblurs photos that are out of focus.

>>> import allfocus
>>> allfocus.deblur("photo.jpg")  # doctest: +SKIP
PosixPath('photo.sharp.jpg')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allfocus.deblurrer import Deblurred, Deblurrer, deblur
    from allfocus.errors import AllfocusError

__version__ = "0.2.0.dev0"
__all__ = ["AllfocusError", "Deblurred", "Deblurrer", "__version__", "deblur"]

_HOMES = {
    "AllfocusError": "allfocus.errors",
    "Deblurred": "allfocus.deblurrer",
    "Deblurrer": "allfocus.deblurrer",
    "deblur": "allfocus.deblurrer",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import allfocus` is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'allfocus' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
