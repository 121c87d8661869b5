"""Memory does not grow with the photo; benchmarks/photo_memory.py measures 100 megapixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@pytest.mark.parametrize(
    "name",
    [
        "strips.tif",
        pytest.param("tiles-deflate.tif", marks=pytest.mark.slow),
        pytest.param("photo.png", marks=pytest.mark.slow),
    ],
)
def test_a_25_megapixel_photo_passes_in_less_memory_than_its_pixels_take(
    repository: Path, tmp_path: Path, name: str
) -> None:
    program = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(repository / "benchmarks")!r})
import photo_memory
path = Path(sys.argv[1])
if path.exists():
    print(json.dumps(photo_memory.through(path)))
else:
    photo_memory.made(path, 25, photo_memory.PHOTOS[path.name])
"""
    command = [sys.executable, "-c", program, str(tmp_path / name)]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    row = json.loads(outputs[1])
    assert row["pixels"] == "5000x5000"
    assert row["encode"]["peak_mb"] - row["start_peak_mb"] < 65  # 75 MB of pixels, once; they exist twice
