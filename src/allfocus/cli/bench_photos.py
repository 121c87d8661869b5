"""`allfocus bench --megapixels`: whole photos from start to exit, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from allfocus.weights.store import Model

WATCH = """
import subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:], stderr=subprocess.DEVNULL)
seconds = time.perf_counter() - started
try:
    import resource
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, computed = used.ru_maxrss, used.ru_utime + used.ru_stime
except ImportError:
    peak, computed = 0, 0.0
print(code, seconds, computed, peak, file=sys.stderr)
"""
"""Runs a command from a small process: the peak memory of a child counts what its parent held when it was started."""
SOFT_SIGMA_PX = 2.0
METHOD = (
    "a soft texture as JPEG to TIFF, start to exit of allfocus deblur in a process of its own: once with an empty"
    " cache, then with what that left; PSNR against openvino float32, or the first engine here"
)


class Watched(NamedTuple):
    """What a process took.

    Attributes:
        seconds: from start to exit.
        computed: seconds of its threads on processors, which other programs change less; 0 where nobody tells.
        peak_mb: largest resident memory; None where nobody tells.
        output: its standard output.
    """

    seconds: float
    computed: float
    peak_mb: int | None
    output: str


def watched(arguments: list[str], environment: dict[str, str]) -> Watched:
    """Run `allfocus` in a process of its own. EngineError: it ended with an error."""
    from allfocus.errors import EngineError

    line = [sys.executable, "-m", "allfocus", *arguments]
    found = subprocess.run(
        [sys.executable, "-S", "-c", WATCH, *line], env=environment, capture_output=True, text=True, check=False
    )
    code, seconds, computed, peak = found.stderr.split()[-4:]
    if int(code):
        raise EngineError(f"{' '.join(arguments)} ended with {code}", "a restored photo", "the same by hand")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Watched(float(seconds), float(computed), round(int(peak) / unit) or None, found.stdout)


def time_photos(
    models: list[Model], megapixels: list[float], repeats: int, precisions: list[str]
) -> list[dict[str, Any]]:
    """A row for each size (megapixels, 3:2), model, engine and precision that can run here; `repeats` are warm."""
    from allfocus.engine import onnxruntime, openvino
    from allfocus.scratch import ScratchFolder

    rows = []
    with ScratchFolder.temporary() as scratch:
        folder = scratch.path
        for size in megapixels:
            photo = _photo(size, folder)
            for model in models:
                wanted: np.ndarray | None = None
                for module in (openvino, onnxruntime):
                    for precision in precisions:
                        if module.unavailable(precision, model) is None:
                            choice = (model.card.name, module.NAME, precision)
                            row, sharp = _time(photo, size, choice, repeats, folder)
                            wanted = sharp if wanted is None else wanted
                            rows.append({**row, "psnr_db": _psnr_db(sharp, wanted)})
    return rows


def _time(
    photo: Path, megapixels: float, choice: tuple[str, str, str], repeats: int, folder: Path
) -> tuple[dict[str, Any], np.ndarray]:
    """Cold and warm runs of one choice of model, engine and precision, and the picture that came of them."""
    from allfocus.photo.codecs import decode
    from allfocus.photo.tiling import Box

    model, engine, precision = choice
    target = folder / "sharp.tif"
    environment = {**os.environ, "ALLFOCUS_CACHE": str(folder / "-".join((*choice, f"{megapixels:g}")))}
    line = ["deblur", str(photo), "-o", str(target), "--overwrite", "--json", "--scale", "1"]
    line += ["--model", model, "--engine", engine, "--precision", precision]
    runs = [watched(line, environment) for _ in range(1 + repeats)]
    seconds = [run.seconds for run in runs]
    peaks = [run.peak_mb for run in runs if run.peak_mb is not None]
    row = {
        "megapixels": megapixels,
        "model": model,
        "engine": engine,
        "precision": json.loads(runs[0].output)["engine"]["precision"],
        "cold_seconds": round(seconds[0], 3),
        "warm_seconds": [round(value, 3) for value in seconds[1:]],
        "median_seconds": round(median(seconds[1:]), 3),
        "processor_seconds": round(median(run.computed for run in runs[1:]), 3),
        "seconds_per_megapixel": round(median(seconds[1:]) / megapixels, 3),
        "peak_mb": max(peaks, default=None),
    }
    sharp = decode(target)
    return row, sharp.read(Box(0, 0, sharp.width, sharp.height))


def _photo(megapixels: float, folder: Path) -> Path:
    """A soft grey texture: blurred everywhere, so that all of it has to be computed."""
    import pyvips

    width = round((1.5e6 * megapixels) ** 0.5)
    height = round(width / 1.5)
    grain = pyvips.Image.gaussnoise(width, height, mean=128, sigma=160, seed=1).gaussblur(SOFT_SIGMA_PX).cast("uchar")
    path = folder / f"{megapixels:g}.jpg"
    grain.bandjoin([grain, grain]).copy(interpretation="srgb").jpegsave(str(path), Q=95)
    return path


def _psnr_db(found: np.ndarray, wanted: np.ndarray) -> float | None:
    """PSNR of 8-bit pictures in strips; None for equal ones."""
    import numpy as np

    total = sum(
        float(np.square(found[y : y + 256].astype(np.float32) - wanted[y : y + 256]).sum(dtype=np.float64))
        for y in range(0, len(found), 256)
    )
    return round(float(10 * np.log10(255**2 * found.size / total)), 2) if total else None
