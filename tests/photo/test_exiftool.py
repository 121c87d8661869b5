"""Metadata before and after as exiftool reads it, an independent judge (Debian: libimage-exiftool-perl)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import roundtrip_photos
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode
from allfocus.photo.tiling import Box

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed"),
]

GROUPS = ("IFD0:", "ExifIFD:", "GPS:", "XMP", "ICC", "MakerNotes:", "IPTC:")
OF_THE_FILE = (
    "Orientation", "ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "Photometric", "StripOffsets",
    "StripByteCounts", "RowsPerStrip", "SamplesPerPixel", "PlanarConfiguration", "SampleFormat", "ExtraSamples",
    "XResolution", "YResolution", "ResolutionUnit", "Predictor", "NewSubfileType", "PageNumber", "TileWidth",
    "TileLength", "TileOffsets", "TileByteCounts", "ReferenceBlackWhite", "YCbCrPositioning", "SubfileType",
)  # fmt: skip
"""What says how this file stores its pixels."""


def read(path: Path) -> dict[str, str]:
    """Group and tag to value."""
    line = ["exiftool", "-json", "-G1", "-a", "-u", "-struct", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    tags = json.loads(done.stdout)[0]
    assert "ExifTool:Error" not in tags, tags
    warning = str(tags.get("ExifTool:Warning", ""))
    assert not warning or "MakerNotes" in warning, warning  # of a camera that does not exist
    return {
        name: str(value)
        for name, value in tags.items()
        if name.startswith(GROUPS) and name.split(":")[1] not in OF_THE_FILE
    }


def sent_through(data: bytes, target: str, folder: Path) -> dict[str, str]:
    photo = decode(data)
    whole = Box(0, 0, photo.width, photo.height)
    place = folder / f"out.{target}"
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(whole, photo.read(whole))
        encode(photo, canvas, place, format=target)
    return read(place)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_exiftool_reads_the_same_metadata(tmp_path: Path, format: str, orientation: int) -> None:
    case = roundtrip_photos.Case(format, format, 8, "rgb", False, "all", orientation)
    source = tmp_path / f"source.{format}"
    source.write_bytes(roundtrip_photos.sample(case))
    before, after = read(source), sent_through(source.read_bytes(), format, tmp_path)
    assert len(before) > 15
    changed = {name: (value, after.get(name)) for name, value in before.items() if after.get(name) != value}
    assert not changed


def test_exiftool_reads_a_camera_jpeg_as_before(tmp_path: Path) -> None:
    """With what exiftool itself writes: IPTC, XMP, GPS, camera tags."""
    source = tmp_path / "source.jpeg"
    source.write_bytes(roundtrip_photos.sample(roundtrip_photos.Case("jpeg", "jpeg", 8, "rgb", False, "none", 1)))
    said = ["-Artist=Jörg", "-IPTC:City=Ürümqi", "-XMP:Rating=4", "-GPSLatitude=47.5", "-GPSLatitudeRef=N", "-ISO=400"]
    subprocess.run(["exiftool", "-overwrite_original", "-q", *said, str(source)], check=True)
    before, after = read(source), sent_through(source.read_bytes(), "jpeg", tmp_path)
    assert before.items() <= after.items()
    assert any(name.startswith("IPTC:") for name in after)
