"""`allfocus map`: the defocus map of a photo, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from allfocus.photo.photo import Photo

NETWORK = "ifan"


def map_command(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo; it is only read.")],
    method: Annotated[str, typer.Option(help="ifan, ebdb, jnb or dmenet.")] = "ifan",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The TIFF to write. [NAME.map.tiff]")] = None,
    weights: Annotated[str | None, typer.Option(help="Weights file for dmenet, or model name for ifan.")] = None,
    picture: Annotated[bool, typer.Option(help="Also write a coloured PNG with a legend.")] = True,
    peak: Annotated[
        float, typer.Option(help="Blur radius of the brightest colour in px; 0 chooses automatically.")
    ] = 0.0,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
    json: Annotated[bool, typer.Option(help="Print one JSON object.")] = False,
) -> None:
    """Write the defocus map of a photo: the blur radius at each pixel, as a 16-bit TIFF in steps of 0.01 px."""
    import numpy as np

    from allfocus.cli.report import bar
    from allfocus.defocus.files import check_files, peak_of, picture_beside, write_picture, write_tiff
    from allfocus.errors import OptionError
    from allfocus.photo.codecs import decode
    from allfocus.targets import check

    if not 0 <= peak < np.inf:
        raise OptionError(f"peak {peak:g}", "a radius in px, or 0", "--peak 0")
    target = output or photo.with_name(f"{photo.stem}.map.tiff")
    check((target, picture_beside(target)) if picture else (target,), (photo,))
    check_files(target, picture=picture, overwrite=overwrite)
    estimate = _estimator(method, weights)
    decoded = decode(photo)
    with bar(photo.name) as progress:
        radius_px = estimate(decoded, progress)
    write_tiff(radius_px, target, method, overwrite=overwrite)
    if picture:
        write_picture(radius_px, picture_beside(target), peak or peak_of(radius_px), overwrite=overwrite)
    quartiles = [round(float(value), 2) for value in np.percentile(radius_px, (25, 50, 75, 95))]
    if json:
        _print_json(photo, target, picture, method, quartiles)
        return
    print(f"{target}  {decoded.width}x{decoded.height}, {method}")
    half, quarter, few = quartiles[1:]
    print(f"  blur radius in half of the photo {half:g} px or more, in a quarter {quarter:g}, in a twentieth {few:g}")
    if picture:
        print(f"  picture: {picture_beside(target)}")


Estimator = Callable[["Photo", "Callable[[float, str], None] | None"], "NDArray[np.float32]"]


def _estimator(method: str, weights: str | None) -> Estimator:
    """The estimator of the map; refuses before the photo is read."""
    from allfocus.errors import OptionError

    if method == NETWORK:
        return _network(weights)
    from allfocus.baselines.registry import METHODS, load, map_photo

    maps = [name for name, known in METHODS.items() if known.maps]
    if method not in maps:
        raise OptionError(f"no map method is called {method!r}", f"one of {', '.join(maps)}, {NETWORK}", "'ebdb'")
    baseline = load(method, weights)
    return lambda photo, progress: map_photo(baseline, photo, progress)


def _network(weights: str | None) -> Estimator:
    from allfocus.defocus.map import check_estimates_defocus
    from allfocus.engine.choose import choose
    from allfocus.restore import Progress, Settings, finish, restore
    from allfocus.weights import store

    model = store.find(weights or store.DEFAULT)
    check_estimates_defocus(model.card)
    engine = choose(model)

    def estimate(photo: Photo, progress: Callable[[float, str], None] | None) -> NDArray[np.float32]:
        def report(step: Progress) -> None:
            if progress is not None:
                progress(step.done / step.total, "network" if step.scale == 1 else f"network at 1/{step.scale}")

        restored = finish(restore(photo, engine, model.card, Settings(with_map=True)), report)
        restored.canvas.close()
        assert restored.defocus_map is not None  # the card says so
        return restored.defocus_map.read()

    return estimate


def _print_json(photo: Path, target: Path, picture: bool, method: str, quartiles: list[float]) -> None:
    import json

    from allfocus.defocus.files import picture_beside

    files = {"source": str(photo), "output": str(target), "picture": str(picture_beside(target)) if picture else None}
    radius_px = dict(zip(("25", "50", "75", "95"), quartiles, strict=True))
    print(json.dumps({**files, "method": method, "radius_px": radius_px}), flush=True)
