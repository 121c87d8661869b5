"""The baselines by name. A new one is a file with a subclass of `Baseline` and a line in `METHODS`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines.base import Baseline, BaselineOptions, Progress
from allfocus.errors import MissingExtraError, OptionError
from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box

_CLASSICAL, _LEARNT = ("scipy", "numba"), ("torch", "safetensors")


@dataclass(frozen=True)
class BaselineEntry:
    """A method beside IFAN, as far as it is known before it is loaded.

    Attributes:
        place: its subclass of `Baseline`, "module:Class".
        summary: one line for people.
        needs: packages beyond the core's.
        maps: whether it estimates a defocus map.
        views: 2 when it needs dual-pixel views, else 1.
        published: endings of its weights as others publish them, beside our own; None for a method without weights.
    """

    place: str
    summary: str
    needs: tuple[str, ...] = ()
    maps: bool = False
    views: int = 1
    published: tuple[str, ...] | None = None


METHODS: dict[str, BaselineEntry] = {
    "ebdb": BaselineEntry(
        "allfocus.baselines.defocus_maps.ebdb:EBDB",
        "edge-based defocus blur (Karaali and Jung 2018), then deconvolution", _CLASSICAL, maps=True),
    "jnb": BaselineEntry(
        "allfocus.baselines.defocus_maps.jnb:JNB",
        "just noticeable blur (Shi, Xu and Jia 2015; our calibration), then deconvolution", _CLASSICAL, maps=True),
    "dmenet": BaselineEntry(
        "allfocus.baselines.defocus_maps.dmenet:DMENetMap",
        "deep defocus map (Lee et al. 2019), then deconvolution", _CLASSICAL + _LEARNT, maps=True, published=(".npz",)),
    "dmenet-small": BaselineEntry(
        "allfocus.baselines.defocus_maps.dmenet:DMENetMap",
        "a narrow DMENet, trained here, then deconvolution", _CLASSICAL + _LEARNT, maps=True, published=()),
    "dpdnet-s": BaselineEntry(
        "allfocus.baselines.dpdnet:DPDNetBaseline",
        "DPDNet on the photo (Abuolaim and Brown 2020)", _LEARNT, published=(".hdf5", ".h5")),
    "dpdnet-d": BaselineEntry(
        "allfocus.baselines.dpdnet:DPDNetBaseline",
        "DPDNet on the dual-pixel views (Abuolaim and Brown 2020)", _LEARNT, views=2, published=(".hdf5", ".h5")),
    "dpdnet-s-small": BaselineEntry(
        "allfocus.baselines.dpdnet:DPDNetBaseline",
        "a narrow DPDNet on the photo, trained here", _LEARNT, published=()),
    "dpdnet-d-small": BaselineEntry(
        "allfocus.baselines.dpdnet:DPDNetBaseline",
        "a narrow DPDNet on the dual-pixel views, trained here", _LEARNT, views=2, published=()),
}  # fmt: skip


def entry(name: str) -> BaselineEntry:
    """What is known about the method of that name; OptionError when there is none."""
    if name not in METHODS:
        raise OptionError(f"no baseline is called {name!r}", f"one of {', '.join(METHODS)}", "'ebdb'")
    return METHODS[name]


def find_weights(name: str, weights: str | Path | None = None) -> Path | None:
    """Check, before any work, that a method can run here, and give its weights file; None for one that needs none.

    Raises:
        OptionError: no such method. WeightsError: it needs weights and there are none.
        MissingExtraError: a package that it needs is not installed.
    """
    found = entry(name)
    for package in found.needs:
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtraError(name, "eval", package) from error
    if found.published is None:
        return None
    if weights is not None:
        return Path(weights)
    from allfocus.checkpoints.baseline import find

    return find(name, found.published)


def load(name: str, weights: str | Path | None = None) -> Baseline:
    """A method of `METHODS`, ready for many photos; its weights are looked for in the model folder unless given.

    OptionError, WeightsError, MissingExtraError: as `find_weights`.
    """
    found, path = entry(name), find_weights(name, weights)
    module, _, kind = found.place.partition(":")
    return getattr(import_module(module), kind)(name, found.views, path)


def map_photo(baseline: Baseline, photo: Photo, progress: Progress | None = None) -> NDArray[np.float32]:
    """Defocus map of a decoded photo; see `Baseline.defocus_map`."""
    return baseline.defocus_map(_unit(photo), progress)


def restore_photo(
    baseline: Baseline, photo: Photo, progress: Progress | None = None, options: BaselineOptions | None = None
) -> Canvas:
    """Deblur a decoded photo, whole in memory, in its own depth and bands; errors as `Baseline.run`.

    Pixels that the method leaves alone are bit-identical; `progress` is called with (share done, what is being done).
    """
    sharp = baseline.run(_unit(photo), options, progress).sharp
    if photo.bands == 1:
        sharp = sharp.mean(axis=2, keepdims=True)
    pixels = sharp * np.float32(photo.peak)
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    whole = Box(0, 0, photo.width, photo.height)
    canvas.write(whole, (pixels if photo.depth == 32 else np.rint(pixels)).astype(photo.dtype))
    return canvas


def _unit(photo: Photo) -> NDArray[np.float32]:
    """(H, W, 3) in [0, 1]; float photos may leave that range, which none of the methods was made for."""
    return np.clip(photo.unit().read(Box(0, 0, photo.width, photo.height)), 0.0, 1.0)
