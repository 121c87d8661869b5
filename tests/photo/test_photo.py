from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.photo.codecs import decode
from allfocus.photo.photo import Photo, Reader
from allfocus.photo.tiling import Box


def picture(width: int, height: int, bands: int = 3, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(width * 100 + height).random((height, width, bands))
    if dtype == "float32":
        return values.astype(np.float32)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def reference_view(pixels: np.ndarray, peak: float, shrink: int) -> np.ndarray:
    """The whole view in float64: edges repeated to whole cells, cells averaged, grey repeated."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % shrink), (0, -width % shrink), (0, 0)), mode="edge").astype(np.float64)
    rows, columns = padded.shape[0] // shrink, padded.shape[1] // shrink
    view = padded.reshape(rows, shrink, columns, shrink, -1).mean(axis=(1, 3)) / peak
    return np.repeat(view, 3, axis=2) if view.shape[2] == 1 else view


@pytest.mark.parametrize(("dtype", "depth", "peak"), [("uint8", 8, 255), ("uint16", 16, 65535), ("float32", 32, 1)])
def test_an_array_is_a_photo_of_its_depth(dtype: str, depth: int, peak: float) -> None:
    pixels = picture(7, 13, 4, dtype)
    photo = decode(pixels)
    assert (photo.width, photo.height, photo.bands, photo.depth, photo.peak) == (7, 13, 3, depth, peak)
    assert photo.dtype == pixels.dtype
    assert np.array_equal(photo.read(Box(2, 3, 4, 5)), pixels[3:8, 2:6, :3])
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha.numpy(), pixels[..., 3])


@pytest.mark.parametrize("box", [Box(0, 0, 0, 1), Box(-1, 0, 2, 2), Box(6, 0, 2, 1), Box(0, 12, 1, 2)])
def test_a_box_outside_the_photo_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="outside the photo of 7x13"):
        decode(picture(7, 13)).read(box)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_box_of_any_view_is_cut_from_the_edge_padded_whole(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 23)), data.draw(st.integers(1, 23))
    shrink = data.draw(st.sampled_from([1, 2, 4]))
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "float32"]))
    bands = data.draw(st.sampled_from([1, 3]))
    pixels = picture(width, height, bands, dtype)
    photo = decode(pixels)
    reader = photo.unit(shrink)
    assert (reader.width, reader.height) == (math.ceil(width / shrink), math.ceil(height / shrink))

    x, y = data.draw(st.integers(-9, reader.width + 9)), data.draw(st.integers(-9, reader.height + 9))
    box = Box(x, y, data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    whole = np.pad(reference_view(pixels, photo.peak, shrink), ((40, 40), (40, 40), (0, 0)), mode="edge")
    expected = whole[y + 40 : y + 40 + box.height, x + 40 : x + 40 + box.width]
    got = reader.read(box)
    assert got.shape == (box.height, box.width, 3)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=2e-7, rtol=0)
    np.testing.assert_allclose(reader.grey(box), expected.mean(axis=2), atol=2e-7, rtol=0)
    filled = np.full((3, *got.shape[:2]), np.nan, np.float32)
    assert reader.planes(box, out=filled) is filled
    np.testing.assert_array_equal(filled.transpose(1, 2, 0), got)


@pytest.mark.parametrize("shrink", [1, 2, 4])
def test_a_view_is_the_same_to_the_bit_however_it_is_cut(shrink: int) -> None:
    reader = decode(picture(61, 47)).unit(shrink)
    whole = reader.read(Box(0, 0, reader.width, reader.height))
    for y in range(0, reader.height, 5):
        for x in range(0, reader.width, 7):
            box = Box(x, y, min(7, reader.width - x), min(5, reader.height - y))
            assert np.array_equal(reader.read(box), whole[y : y + box.height, x : x + box.width])


def test_white_is_one_and_black_is_zero_at_every_depth() -> None:
    for dtype, white in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        for shrink in (1, 2, 4):
            for value, expected in ((0, 0.0), (white, 1.0)):
                view = decode(np.full((5, 6, 3), value, dtype)).unit(shrink).read(Box(0, 0, 1, 1))
                assert view.ravel().tolist() == pytest.approx([expected] * 3, abs=1e-7)


def test_only_three_scales() -> None:
    with pytest.raises(ValueError, match="1, 2 or 4"):
        Reader(decode(picture(4, 4)), 3)


def test_grey_with_transparency_keeps_one_colour_channel() -> None:
    photo = decode(picture(5, 4, 2))
    assert (photo.bands, photo.alpha is not None) == (1, True)
    assert isinstance(photo, Photo)
