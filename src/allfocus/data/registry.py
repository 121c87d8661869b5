"""The data sets by the names that `--data` takes. A new one is a file with a `load` and a line in `LOADERS`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from allfocus.data.pairs import PairSet
from allfocus.errors import OptionError

LOADERS: dict[str, str] = {
    "dpdd": "allfocus.data.dpdd:load",
    "realdof": "allfocus.data.realdof:load",
    "cuhk": "allfocus.data.cuhk:load",
    "pixeldp": "allfocus.data.pixeldp:load",
    "lfdof": "allfocus.data.lfdof:load",
    "syndp": "allfocus.data.syndp:load",
    "pairs": "allfocus.data.folder:load",
    "photos": "allfocus.data.folder:load_photos",
}
"""Each name with its function of (root, split, bits), "module:function", which is loaded when it is asked for."""


def load(name: str, root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """The data set of this name below `root`, checked. Each set's own `load` takes the same but the name.

    Args:
        name: of `LOADERS`.
        root: folder of the set, or the one that its archive unpacks into.
        split: "train", "val" or "test"; ignored by a set that has one.
        bits: 8 to round 16-bit files to 8 bits.

    Raises:
        OptionError: an unknown name, split or bit depth. DataError: a wrong layout or files that do not fit together.
    """
    if name not in LOADERS:
        raise OptionError(f"no data set is called {name!r}", f"one of {', '.join(LOADERS)}", "--data pairs for yours")
    module, _, function = LOADERS[name].partition(":")
    return getattr(import_module(module), function)(Path(root), split, bits)
