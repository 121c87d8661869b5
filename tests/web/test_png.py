"""PNG files in the static site: depth, orientation and chunks, against libvips."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest
import pyvips

from web.conftest import EXIF, chunk, opened
from web.node import in_node, needs_node

pytestmark = needs_node
ROUND_TRIP = """
  return Promise.all(given.files.map(async (file) => {
    const photo = await png.decode(Uint8Array.from(Buffer.from(file, 'base64')));
    return photo.pixels ? Buffer.from(await (await png.encode(photo)).arrayBuffer()).toString('base64') : null;
  }));
"""


def picture(bands: int, dtype: type, height: int = 7, width: int = 13) -> np.ndarray:
    return np.random.default_rng(bands).integers(0, np.iinfo(dtype).max, (height, width, bands)).astype(dtype)


def encoded(pixels: np.ndarray, **save: object) -> bytes:
    interpretation = {1: "b-w", 2: "b-w", 3: "srgb", 4: "srgb"}[pixels.shape[2]]
    if pixels.dtype == np.uint16:
        interpretation = "grey16" if pixels.shape[2] < 3 else "rgb16"
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)
    return image.pngsave_buffer(keep="none", **save)


def with_orientation(file: bytes, orientation: int) -> bytes:
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)
    return file[:33] + chunk(b"eXIf", exif) + file[33:]


def through(*files: bytes) -> list[bytes | None]:
    """Each file, decoded and encoded again."""
    found = in_node(ROUND_TRIP, files=[base64.b64encode(file).decode() for file in files])
    assert isinstance(found, list)
    return [None if file is None else base64.b64decode(file) for file in found]


def test_pixels_come_back_as_they_were() -> None:
    pictures = [picture(bands, dtype) for bands in (1, 2, 3, 4) for dtype in (np.uint8, np.uint16)]
    pictures += [picture(3, np.uint16, *size) for size in ((1, 1), (2, 1), (1, 5), (4, 4), (8, 9))]
    for interlace in (False, True):
        files = through(*(encoded(pixels, interlace=interlace) for pixels in pictures))
        for pixels, file in zip(pictures, files, strict=True):
            assert file is not None
            again = opened(file).numpy()
            assert again.dtype == pixels.dtype
            assert np.array_equal(again.reshape(pixels.shape), pixels)


def test_what_is_written_is_upright() -> None:
    files = [with_orientation(encoded(picture(3, np.uint16)), orientation) for orientation in range(1, 9)]
    for file, again in zip(files, through(*files), strict=True):
        assert again is not None
        assert np.array_equal(opened(again).numpy(), opened(file).autorot().numpy())
        assert opened(again).get("orientation") == 1


def test_other_chunks_are_carried_byte_for_byte() -> None:
    file = encoded(picture(3, np.uint8))
    kept = chunk(b"eXIf", EXIF) + chunk(b"tEXt", b"Comment\0soft") + chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
    (again,) = through(file[:33] + kept + chunk(b"vpAg", bytes(9)) + file[33:])
    assert again is not None and kept in again and b"vpAg" not in again


def test_what_the_browser_has_to_decode_is_said() -> None:
    assert through(encoded(picture(3, np.uint8), palette=True)) == [None]


def test_a_file_cut_short_is_refused() -> None:
    file = encoded(picture(3, np.uint16, 40, 40))
    with pytest.raises(AssertionError, match="Error: the PNG file is damaged or cut short"):
        through(file[: len(file) // 2])
