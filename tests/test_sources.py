"""What may be given, and how it comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import allfocus
from allfocus.errors import AllfocusError, InputError, OptionError
from allfocus.photo.canvas import Canvas
from allfocus.photo.tiling import Box
from allfocus.sources import Given

RNG = np.random.default_rng(0)


def restored(given: Given, change: float) -> Any:
    """What comes back when the value `change` (of white) is added to every colour sample."""
    photo = given.decode()
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    box = Box(0, 0, photo.width, photo.height)
    sharp = np.clip(photo.read(box) + change * photo.peak, 0, photo.peak)
    canvas.write(box, sharp.astype(photo.dtype))
    return given.returned(photo, canvas)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("shape", [(7, 13), (7, 13, 1), (7, 13, 2), (7, 13, 3), (7, 13, 4), (1, 1)])
def test_arrays_come_back_in_their_shape_and_type(dtype: str, shape: tuple[int, ...]) -> None:
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    array = (RNG.random(shape) * white).astype(dtype)
    same = restored(Given.of(array), 0.0)
    assert same.dtype == array.dtype
    np.testing.assert_array_equal(same, array)  # to the bit, in float64 too
    lighter = restored(Given.of(array), 0.25)
    assert lighter.shape == shape
    colours = slice(None) if len(shape) == 2 or shape[2] in (1, 3) else slice(shape[2] - 1)
    wanted = np.clip(array[..., colours].astype(float) + 0.25 * white, 0, white)
    np.testing.assert_allclose(lighter[..., colours].astype(float), wanted, atol=1e-3 * white + (white > 1))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F"])
def test_pil_images_come_back_in_their_mode_with_what_they_carry(mode: str) -> None:
    image = Image.new(mode, (13, 7), 0.5 if mode == "F" else None) if mode != "I;16" else Image.new(mode, (13, 7), 99)
    image.info["icc_profile"] = b"profile"
    back = restored(Given.of(image), 0.0)
    assert isinstance(back, Image.Image)
    assert (back.mode, back.size, back.info) == (image.mode, image.size, image.info)
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_a_pil_image_through_the_front_door() -> None:
    pixels = RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    back = allfocus.deblur(Image.fromarray(pixels))
    assert isinstance(back, Image.Image)
    np.testing.assert_array_equal(np.asarray(back), allfocus.deblur(pixels))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_everything_like_bytes_is_an_encoded_photo(kind: type, tmp_path: Path) -> None:
    Image.new("RGB", (9, 5), (1, 2, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    given = Given.of(kind(data))
    assert given.data == data
    assert restored(given, 0.0).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "source",
    [None, 7, 1.5, [], ["a.jpg"], {}, object(), True, "", b"".__class__, Path],
    ids=lambda source: "object" if type(source) is object else repr(source),
)
def test_another_type_is_an_option_error(source: object) -> None:
    with pytest.raises(OptionError, match="; try: "):
        allfocus.deblur(source)  # type: ignore[arg-type]


def test_hints_lead_on(tmp_path: Path) -> None:
    import torch

    with pytest.raises(OptionError, match=r"numpy\.asarray"):
        Given.of(torch.zeros(3, 4, 5))
    with (tmp_path / "a").open("w+b") as file, pytest.raises(OptionError, match=r"file\.read\(\)"):
        Given.of(file)
    with pytest.raises(OptionError, match=r'image\.convert\("RGB"\)'):
        Given.of(Image.new("CMYK", (4, 4)))
    if np.longdouble(0).itemsize > 8:
        with pytest.raises(InputError, match="float64"):
            Given.of(np.zeros((4, 4), np.longdouble))


def test_an_array_is_written_where_an_output_is_named(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert allfocus.deblur(pixels, tmp_path / "a.png") == tmp_path / "a.png"
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), allfocus.deblur(pixels))
    with pytest.raises(AllfocusError, match="already exists"):
        allfocus.deblur(pixels, tmp_path / "a.png")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_that_rounding_carried_outside_are_taken(dtype: str) -> None:
    array = np.full((20, 20, 3), 1.00002, dtype)
    array[3] = -1e-6
    back = allfocus.deblur(array)
    assert back.dtype == array.dtype
    assert 0 <= back.min() <= back.max() <= 1
    with pytest.raises(InputError, match=r"samples from .* to 1\.01"):
        allfocus.deblur(np.full((20, 20, 3), 1.01, dtype))
