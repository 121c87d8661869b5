"""Decoding: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import pyvips

from allfocus.errors import InputError, OutputError
from allfocus.photo import decoder
from allfocus.photo.codecs import decode, header
from photo_files import FORMATS, NOISE, RGB, pillow, tiff, whole


def test_a_path_and_its_bytes_are_the_same_photo(tmp_path: Path) -> None:
    path = tmp_path / "a photo.png"
    path.write_bytes(pillow(RGB, "png"))
    for source in (path, str(path), path.read_bytes()):
        photo = decode(source)
        assert np.array_equal(whole(photo), RGB)
        assert (photo.format, photo.depth, photo.notes) == ("png", 8, ())


def test_the_content_counts_and_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "really.jpg"
    path.write_bytes(pillow(RGB, "png"))
    assert decode(path).format == "png"


@pytest.mark.parametrize(
    ("data", "bands", "depth", "note"),
    [
        (pillow(PIL.Image.fromarray(RGB).quantize(16), "png"), 3, 8, "the palette was converted to RGB"),
        (pillow(PIL.Image.fromarray(RGB).quantize(16), "tiff"), 3, 8, "the palette was converted to RGB"),
        (pillow(PIL.Image.fromarray(RGB).convert("1"), "png"), 1, 8, "1-bit samples were widened to 8 bit"),
        (tiff(RGB[..., 0] > 99), 1, 8, "1-bit samples were widened to 8 bit"),
        (tiff((RGB / 255).astype(np.float16), photometric="rgb"), 3, 32, "16-bit float samples were widened to 32 bit"),
        (tiff(np.stack([RGB, RGB]), photometric="rgb"), 3, 8, "only the first of 2 pages was read"),
        (
            pillow(RGB, "webp", save_all=True, append_images=[PIL.Image.fromarray(RGB[::-1])]),
            3,
            8,
            "only the first of 2 pages was read",
        ),
        (
            tiff(NOISE, photometric="rgb", extrasamples=["assocalpha"]),
            3,
            8,
            "premultiplied transparency was converted to straight",
        ),
        (
            pillow(PIL.Image.fromarray(RGB).convert("CMYK"), "jpeg"),
            3,
            8,
            "CMYK was converted to sRGB through a generic profile",
        ),
        (
            tiff(NOISE.astype(np.uint16) * 257, photometric="separated"),
            3,
            16,
            "CMYK was converted to sRGB through a generic profile",
        ),
    ],
    ids=["palette png", "palette tiff", "1-bit png", "1-bit tiff", "half float", "pages", "animation",
         "premultiplied", "cmyk jpeg", "cmyk tiff"],
)  # fmt: skip
def test_unusual_photos_are_converted_and_it_is_said(data: bytes, bands: int, depth: int, note: str) -> None:
    photo = decode(data)
    assert (photo.bands, photo.depth, photo.notes) == (bands, depth, (note,))
    assert (photo.width, photo.height) == (90, 60)


def test_cmyk_goes_through_its_own_profile_and_becomes_srgb() -> None:
    ink = PIL.Image.fromarray(RGB).convert("CMYK")
    photo = decode(pillow(ink, "jpeg", icc_profile=pyvips.Image.profile_load("cmyk")))
    assert photo.notes == ("CMYK was converted to sRGB through its own profile",)
    assert photo.icc is not None
    assert photo.icc[16:20] == b"RGB "
    wrong = decode(pillow(ink, "jpeg", icc_profile=pyvips.Image.profile_load("p3")))
    assert wrong.notes == ("CMYK was converted to sRGB through a generic profile",)


def test_cmyk_transparency_is_untouched() -> None:
    data = tiff(np.dstack([NOISE, RGB[..., 0]]), photometric="separated", extrasamples=["unassalpha"])
    photo = decode(data)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha.numpy(), RGB[..., 0])


def test_a_float_tiff_in_range_is_kept_as_it_is() -> None:
    pixels = np.random.default_rng(0).random((9, 8, 3)).astype(np.float32)
    photo = decode(tiff(pixels, photometric="rgb"))
    assert (photo.depth, photo.peak) == (32, 1.0)
    assert np.array_equal(whole(photo), pixels)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ">u2", ">f4"])
def test_arrays_of_related_types_are_taken(dtype: str) -> None:
    array = np.ones((3, 4, 3)).astype(dtype)
    photo = decode(array)
    assert photo.depth == (16 if dtype == ">u2" else 32)
    assert np.array_equal(whole(photo), array.astype(photo.dtype))


def test_a_slice_of_an_array_is_taken() -> None:
    assert np.array_equal(whole(decode(NOISE[::2, ::-1, :3])), NOISE[::2, ::-1, :3])


def test_a_large_photo_waits_on_disk_in_the_folder_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("allfocus.photo.canvas.MEMORY_LIMIT", 0)
    monkeypatch.setattr(decoder, "STRIP_BYTES", 1000)
    photo = decode(pillow(RGB, "png"), folder=tmp_path)
    assert np.array_equal(whole(photo), RGB)
    with pytest.raises(OutputError, match="scratch file"):
        decode(pillow(RGB, "png"), folder=tmp_path / "missing")


def header_only_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    fields = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", fields) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def huge_jpeg() -> bytes:
    data = bytearray(pillow(RGB, "jpeg"))
    struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, 65_000, 65_000)
    return bytes(data)


def huge_tiff() -> bytes:
    entries = [(256, 60_000), (257, 60_000), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 60_000), (279, 9)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)


@pytest.mark.parametrize(
    ("data", "size"),
    [(header_only_png(100_000, 100_000), "100000x100000"), (huge_jpeg(), "65000x65000"), (huge_tiff(), "60000x60000")],
    ids=["png", "jpeg", "tiff"],
)
def test_a_decompression_bomb_is_refused_from_its_header(data: bytes, size: str) -> None:
    with pytest.raises(
        InputError, match=rf"states a size of {size} pixels .*; expected at most 500 megapixels; try: a smaller"
    ):
        decode(data)


@pytest.mark.parametrize("format", FORMATS)
def test_the_limit_is_the_callers(format: str) -> None:
    data = pillow(RGB, format)
    assert decode(data, max_pixels=60 * 90).width == 90
    with pytest.raises(InputError, match=r"90x60 pixels \(0.0054 megapixels\); expected at most 0.005399 megapixels"):
        decode(data, max_pixels=60 * 90 - 1)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("format", "options"),
    [("jpeg", {}), ("jpeg", {"progressive": True}), ("png", {}), ("tiff", {}), ("tiff", {"compression": "tiff_lzw"}),
     ("webp", {}), ("avif", {})],
)  # fmt: skip
def test_a_file_cut_short_is_never_taken(
    format: str, options: dict, share: float, capfd: pytest.CaptureFixture
) -> None:
    data = pillow(RGB, format, **options)
    title = "WebP" if format == "webp" else format.upper()
    with pytest.raises(
        InputError, match=rf"is damaged or cut short \(.+\); expected a whole {title} file; try: copy it"
    ):
        decode(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


def test_the_reason_is_of_this_file_and_not_of_one_read_before(tmp_path: Path) -> None:
    for name, data in (("whole.avif", pillow(RGB, "avif")), ("cut.jpg", pillow(RGB, "jpeg")[:-300])):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "cut.avif").write_bytes((tmp_path / "whole.avif").read_bytes()[:-300])
    header(tmp_path / "whole.avif")
    with pytest.raises(InputError, match=r"premature end of JPEG image"):
        decode(tmp_path / "cut.jpg")
    with pytest.raises(InputError, match=r"\(it ends early\)"):
        decode(tmp_path / "cut.avif")


@pytest.mark.parametrize("head", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF\0\0\0\0WEBP"])
def test_a_beginning_alone_is_no_photo(head: bytes) -> None:
    with pytest.raises(InputError, match="damaged or cut short"):
        decode(head)


def test_a_damaged_png_is_found_out() -> None:
    data = bytearray(pillow(RGB, "png"))
    data[len(data) // 2] ^= 255
    with pytest.raises(InputError, match="damaged"):
        decode(bytes(data))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"photo.jpg is empty \(0 bytes\); expected a JPEG, PNG, TIFF, WebP or AVIF photo; try: copy it"),
        (b"just a letter\nto you\n", r"not a readable photo \(it looks like text\)"),
        (pillow(RGB, "gif"), r"\(it looks like GIF\)"),
        (b"\0" * 100, r"\(nothing known begins like this\)"),
    ],
)
def test_what_is_no_photo_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        decode(path)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing.jpg does not exist; .*; try: check the name"):
        decode(tmp_path / "nothing.jpg")
    with pytest.raises(InputError, match="is a folder"):
        decode(tmp_path)
    with pytest.raises(InputError, match="is not a regular file"):
        decode(Path(os.devnull))
    with pytest.raises(InputError, match="cannot be read"):
        decode("x" * 300)


def test_a_closed_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(pillow(RGB, "jpeg"))

    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        decode(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "holds NaN or infinite samples; expected float samples in"),
        (np.inf, "holds NaN or infinite samples"),
        (-0.5, r"holds samples from -0.5 to 1; expected float samples in \[0, 1\]; try: divide by the value of white"),
        (255.0, "holds samples from 0 to 255"),
    ],
)
def test_float_samples_must_be_in_range(value: float, message: str) -> None:
    pixels = np.zeros((40, 30, 3), np.float32)
    pixels[1, 1], pixels[39, 29, 2] = 1, value
    with pytest.raises(InputError, match=message):
        decode(tiff(pixels, photometric="rgb"))
    with pytest.raises(InputError, match=message):
        decode(pixels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            tiff(RGB.astype(np.float64), photometric="rgb"),
            "has 64-bit float samples; expected 8 or 16 bit",
        ),
        (tiff(RGB[..., 0].astype(np.int16)), "has 16-bit signed integer samples"),
        (tiff(RGB[..., 0].astype(np.uint32)), "has 32-bit integer samples"),
        (tiff(RGB[..., 0].astype(np.complex64)), "has 64-bit complex samples"),
        (tiff(RGB, photometric="cielab"), "holds CIELAB colour; expected grey, RGB or CMYK"),
        (tiff(np.dstack([NOISE, RGB]), photometric="rgb"), "has 7 channels; expected grey or RGB, with or without"),
        (tiff(np.dstack([NOISE, NOISE[..., :1]]), photometric="rgb"), "has 5 channels"),
    ],
)
def test_rare_tiffs_are_refused_with_their_kind(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode(data)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 5), np.uint8), np.zeros((3, 4, 5), np.uint8), np.zeros((2, 3, 4, 3), np.uint8),
     np.zeros((3, 4), np.int32), np.zeros((3, 4), bool), np.zeros(3, np.uint8)],
)  # fmt: skip
def test_arrays_that_are_no_photos(array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"an array of shape .* expected \(H, W\), \(H, W, 1\), \(H, W, 3\) or"):
        decode(array)


def test_libvips_says_nothing_on_stderr() -> None:
    """In a process of its own, where nobody has set up logging: a PNG whose EXIF makes libexif warn, and a cut JPEG."""
    program = """
import sys
from allfocus.errors import InputError
from allfocus.photo.codecs import decode
for line in sys.stdin:
    try:
        decode(bytes.fromhex(line))
    except InputError:
        pass
"""
    exif = b"II*\0\x08\0\0\0\x05\0" + bytes(range(60))
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    png = pillow(RGB, "png")
    jpeg = pillow(RGB, "jpeg", exif=b"Exif\0\0" + exif)
    lines = "\n".join(data.hex() for data in (png[:33] + chunk + png[33:], jpeg, jpeg[:-900], tiff(RGB)[:-40]))
    done = subprocess.run([sys.executable, "-c", program], input=lines, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_tiff_of_a_compression_that_is_not_read_is_called_that() -> None:
    for code, name in ((50000, "Zstandard"), (34887, "LERC"), (34712, "JPEG 2000"), (52546, "JPEG XL")):
        data = bytearray(tiff(RGB))
        start = struct.unpack_from("<I", data, 4)[0]
        for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
            if struct.unpack_from("<H", data, at)[0] == 259:
                struct.pack_into("<H", data, at + 8, code)
        with pytest.raises(InputError, match=rf"is a TIFF with {name} compression") as refusal:
            decode(bytes(data))
        assert "damaged" not in str(refusal.value)


def test_a_tiff_that_cannot_hold_its_pixels_is_refused_at_once() -> None:
    data = bytearray(tiff(RGB))
    start = struct.unpack_from("<I", data, 4)[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            struct.pack_into("<HHII", data, at, struct.unpack_from("<H", data, at)[0], 4, 1, 20_000)
    with pytest.raises(InputError, match="bytes cannot hold the 20000x20000 pixels"):
        decode(bytes(data))
