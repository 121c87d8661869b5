"""Reading the defocus maps that `allfocus` writes, with tifffile."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def read_tiff(path: Path) -> NDArray[np.float32]:
    """The radius in px, (H, W), from a file that `defocus.files.write_tiff` wrote."""
    with tifffile.TiffFile(path) as file:
        step = json.loads(file.pages[0].tags["ImageDescription"].value)["step"]  # type: ignore[union-attr]
        return file.asarray().astype(np.float32) * np.float32(step)
