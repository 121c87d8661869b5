"""The data sets by the names that `--data` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from allfocus.data import cuhk, dpdd, folder, lfdof, pixeldp, realdof
from allfocus.data.pairs import PairSet
from allfocus.errors import OptionError

Loader = Callable[[Path, str, int | None], PairSet]


def _syndp(root: Path, split: str, bits: int | None) -> PairSet:
    from allfocus.data.syndp import load  # the only set that is made here: what makes it is loaded when it is asked for

    return load(root, split, bits)


LOADERS: dict[str, Loader] = {
    "dpdd": dpdd.load,
    "realdof": realdof.load,
    "cuhk": cuhk.load,
    "pixeldp": pixeldp.load,
    "lfdof": lfdof.load,
    "syndp": _syndp,
    "pairs": folder.load,
    "photos": folder.load_photos,
}


def load(name: str, root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """The data set of this name below `root`, checked.

    Raises:
        OptionError: an unknown name, split or bit depth. DataError: a wrong layout or files that do not fit together.
    """
    if name not in LOADERS:
        raise OptionError(
            f"no data set is called {name!r}", f"one of {', '.join(LOADERS)}", "--data pairs for your own"
        )
    return LOADERS[name](Path(root), split, bits)
