"""The methods beside IFAN by name: one way to get a defocus map, one way to get a sharp photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines.progress import Progress, span
from allfocus.errors import InputError, MissingExtraError, OptionError
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box

_MAP_SHARE = 0.35
"""Share of the progress that the map takes when a deconvolution follows."""

_SIGMA_TO_RADIUS = 2.0
"""A disc of radius r has the variance of a Gaussian of r / 2."""


@dataclass(frozen=True)
class Method:
    """A method beside IFAN.

    Attributes:
        name: as on the command line.
        summary: one line for people.
        peak_sigma_px: largest sigma in px that it tells; None when it has no map.
        views: 2 when it needs dual-pixel views, else 1.
        network: "dmenet" or "dpdnet" when it needs a weights file, else "".
    """

    name: str
    summary: str
    peak_sigma_px: float | None = None
    views: int = 1
    network: str = ""


@dataclass(frozen=True)
class Options:
    """What may be chosen when a photo is restored.

    Attributes:
        views: left and right dual-pixel view, for methods of two views; each like the photo.
        weights: file of a learnt method; looked for in the model folder when None.
        data_weight: lambda of the deconvolution; deconvolution.LAMBDA has those of the comparison.
        selection: levels of the deconvolution: "hard" as in the comparison, or "blend".
        eight_bit: round photo and result of the map methods to 8 bits, as the comparison on the poster did.
        gated: whether a network acts only where the photo is blurred, as `restore.Settings` has it.
    """

    views: tuple[NDArray, NDArray] | None = None
    weights: str | Path | None = None
    data_weight: float = 16.8
    selection: Literal["hard", "blend"] = "hard"
    eight_bit: bool = False
    gated: bool = True


@dataclass(frozen=True)
class BaselineResult:
    """What a method made.

    Attributes:
        sharp: (H, W, 3) float32 in [0, 1].
        radius_px: (H, W) float32, the defocus map that was used, as `defocus_map` gives it; None where there is none.
    """

    sharp: NDArray[np.float32]
    radius_px: NDArray[np.float32] | None


METHODS = {
    method.name: method
    for method in (
        Method("ebdb", "edge-based defocus blur (Karaali and Jung 2018), then deconvolution", peak_sigma_px=5.0),
        Method(
            "jnb", "just noticeable blur (Shi, Xu and Jia 2015; our calibration), then deconvolution", peak_sigma_px=4.0
        ),
        Method("dmenet", "deep defocus map (Lee et al. 2019), then deconvolution", peak_sigma_px=7.0, network="dmenet"),
        Method(
            "dmenet-small", "a narrow DMENet, trained here, then deconvolution", peak_sigma_px=7.0, network="dmenet"
        ),
        Method("dpdnet-s", "DPDNet on the photo (Abuolaim and Brown 2020)", network="dpdnet"),
        Method("dpdnet-d", "DPDNet on the dual-pixel views (Abuolaim and Brown 2020)", views=2, network="dpdnet"),
        Method("dpdnet-s-small", "a narrow DPDNet on the photo, trained here", network="dpdnet"),
        Method("dpdnet-d-small", "a narrow DPDNet on the dual-pixel views, trained here", views=2, network="dpdnet"),
    )
}


def method(name: str) -> Method:
    """The method of that name; OptionError when there is none."""
    if name not in METHODS:
        raise OptionError(
            f"no baseline is called {name!r}", f"one of {', '.join(METHODS)}", "'ebdb' needs nothing else"
        )
    return METHODS[name]


def require(name: str, weights: str | Path | None = None) -> Path | None:
    """Check, before any work, that a method can run here.

    Args:
        name: of the method.
        weights: its weights file, if the user named one.

    Returns:
        The weights file that will be used; None for a method that needs none.

    Raises:
        OptionError: no such method.
        WeightsError: it needs weights and there are none.
        MissingExtraError: a package that it needs is not installed.
    """
    found = method(name)
    needed = [
        *(("scipy", "numba") if found.peak_sigma_px else ()),
        *(("torch", "safetensors") if found.network else ()),
    ]
    for package in needed:
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtraError(name, "eval", package) from error
    if not found.network:
        return None
    if weights is not None:
        return Path(weights)
    from allfocus.checkpoints.baseline import find

    return find(name, found.network)


def defocus_map(
    name: str, rgb: NDArray, progress: Progress | None = None, *, weights: str | Path | None = None
) -> NDArray[np.float32]:
    """Defocus map of a photo.

    Args:
        name: a method with a map ("ebdb", "jnb", "dmenet", "dmenet-small").
        rgb: (H, W, 3) display-referred, in [0, 1].
        progress: called with (share done, what is being done).
        weights: of a learnt method: a file; looked for in the model folder when None.

    Returns:
        (H, W) float32 blur radius in px, 0 or more: of the disc as wide as the Gaussian that the method finds.

    Raises:
        OptionError: a method without a map.
        InputError: not a photo of (H, W, 3) in [0, 1], or too small for the method.
        WeightsError, MissingExtraError: as `require`.
    """
    found = method(name)
    if found.peak_sigma_px is None:
        maps = ", ".join(known.name for known in METHODS.values() if known.peak_sigma_px)
        raise OptionError(f"{name} estimates no defocus map", f"one of {maps}", "'ebdb'")
    path = require(name, weights)
    _check(rgb)
    sigma_px = _estimate_sigma(found, _network(found, path), rgb, span(progress, 0.0, 1.0))
    return np.float32(_SIGMA_TO_RADIUS) * sigma_px


def _network(found: Method, weights: Path | None) -> Any:
    """The network of a learnt method, None for the others."""
    if weights is None:
        return None
    from allfocus.checkpoints.baseline import load_dmenet, load_dpdnet

    if found.network == "dmenet":
        return load_dmenet(weights)
    from allfocus.baselines.networks import DPDNetEngine

    return DPDNetEngine(load_dpdnet(weights, found.views), found.name)


def _estimate_sigma(found: Method, network: Any, rgb: NDArray, progress: Progress) -> NDArray[np.float32]:
    if found.name == "ebdb":
        from allfocus.baselines.defocus_maps.ebdb import sigma_map as estimate

        return estimate(rgb, progress)
    if found.name == "jnb":
        from allfocus.baselines.defocus_maps.jnb import sigma_map as estimate

        return estimate(rgb, progress)
    from allfocus.baselines.defocus_maps.dmenet import sigma_map as estimate_with

    return estimate_with(rgb, network, progress)


def restore(
    name: str, rgb: NDArray, progress: Progress | None = None, options: Options | None = None
) -> NDArray[np.float32]:
    """A photo made sharp by one of the methods: `run` without its map.

    Args, errors: as `run`.

    Returns:
        (H, W, 3) float32 in [0, 1].
    """
    return run(name, rgb, progress, options).sharp


def run(name: str, rgb: NDArray, progress: Progress | None = None, options: Options | None = None) -> BaselineResult:
    """A photo made sharp by one of the methods, with the defocus map that it used.

    Args:
        name: a key of `METHODS`.
        rgb: (H, W, 3) display-referred, in [0, 1].
        progress: called with (share done, what is being done).
        options: what may be chosen.

    Raises:
        OptionError: no such method, or no views for a method of two.
        InputError: not a photo of (H, W, 3) in [0, 1], views of another size, or too small for the method.
        WeightsError, MissingExtraError: as `require`.
    """
    options = options or Options()
    found = method(name)
    path = require(name, options.weights)
    return _run(found, _network(found, path), rgb, progress, options)


def _run(found: Method, network: Any, rgb: NDArray, progress: Progress | None, options: Options) -> BaselineResult:
    _check(rgb)
    if found.peak_sigma_px is None:
        return BaselineResult(_restore_dpdnet(network, rgb, progress, options), None)
    from allfocus.baselines.deconvolution import Prior, deblur

    photo = _rounded(np.asarray(rgb, dtype=np.float32)) if options.eight_bit else np.asarray(rgb, dtype=np.float32)
    sigma_px = _estimate_sigma(found, network, photo, span(progress, 0.0, _MAP_SHARE))
    stored = (
        np.rint(sigma_px / found.peak_sigma_px * 255) / 255 * found.peak_sigma_px
    )  # maps were kept as 8-bit pictures
    prior, report = Prior(options.data_weight), span(progress, _MAP_SHARE, 1.0)
    sharp = deblur(photo, stored, prior, options.selection, progress=report)
    return BaselineResult(_rounded(sharp) if options.eight_bit else sharp, np.float32(_SIGMA_TO_RADIUS) * sigma_px)


def _rounded(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return (np.rint(rgb * 255) / 255).astype(np.float32)


def _restore_dpdnet(network: Any, rgb: NDArray, progress: Progress | None, options: Options) -> NDArray[np.float32]:
    from allfocus.restore import Progress as Step
    from allfocus.restore import Settings, Views, finish, restore

    for view in options.views or ():
        _check(view)
    photo, *views = (decode(np.asarray(picture, np.float32)) for picture in (rgb, *(options.views or ())))

    def report(step: Step) -> None:
        if progress is not None:
            progress(step.done / step.total, "network")

    settings = Settings(scale=1, gated=options.gated)
    steps = restore(photo, network, network.card, settings, Views(*views) if views else None)
    with finish(steps, report).canvas as canvas:
        return canvas.read(Box(0, 0, canvas.width, canvas.height))


def _check(rgb: NDArray) -> None:
    fits = rgb.ndim == 3 and rgb.shape[2] == 3 and 0 not in rgb.shape and np.issubdtype(rgb.dtype, np.floating)
    if not fits or not np.isfinite(rgb).all() or rgb.min() < 0 or rgb.max() > 1:
        raise InputError(
            f"an array of shape {rgb.shape}, {rgb.dtype}", "floats (H, W, 3) in [0, 1]", "divide by the largest value"
        )


def scored(
    name: str, weights: str | Path | None = None, *, gated: bool = True
) -> Callable[..., tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """What `allfocus eval` calls for a method, in the protocol of the poster (8 bits for the methods with a map).

    A network is loaded here, once.

    Returns:
        A function of (photo, left or None, right or None), all (H, W, 3) float32 in [0, 1]. It gives the sharp photo,
        and the blur radius map in px (of the disc as wide as the Gaussian) or None.

    Raises:
        OptionError, WeightsError, MissingExtraError: as `require`.
    """
    found = method(name)
    network = _network(found, require(name, weights))

    def score(
        photo: NDArray, left: NDArray | None = None, right: NDArray | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        views = (left, right) if found.views > 1 and left is not None and right is not None else None
        made = _run(found, network, photo, None, Options(views, eight_bit=found.peak_sigma_px is not None, gated=gated))
        return made.sharp, made.radius_px

    return score
