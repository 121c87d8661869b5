"""Decoding and encoding: what is accepted, what is refused and in which words, and that nothing is left behind."""

from __future__ import annotations

import errno
import gc
import io
import os
import struct
import subprocess
import sys
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import pyvips
import tifffile

import roundtrip_photos
from allfocus.errors import InputError, OptionError, OutputError
from allfocus.photo import decoder
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, header, losses
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box

NOISE = np.random.default_rng(1).integers(0, 255, (60, 90, 4), dtype=np.uint8)
RGB = NOISE[..., :3]
FORMATS = ("jpeg", "png", "tiff", "webp", "avif")


def pillow(pixels: np.ndarray | PIL.Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    image.save(file, format, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def whole(photo: Photo) -> np.ndarray:
    return photo.read(Box(0, 0, photo.width, photo.height))


def canvas_of(photo: Photo) -> Canvas:
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    canvas.write(Box(0, 0, photo.width, photo.height), whole(photo))
    return canvas


# What is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (7, 13)])
def test_every_size_goes_through_every_format(format: str, width: int, height: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    photo = decode(pixels)
    data = encode(photo, canvas_of(photo), None, format=format)
    assert data is not None
    back = decode(data)
    assert (back.width, back.height, back.bands, back.format) == (width, height, 3, format)
    if format in ("png", "tiff"):
        assert np.array_equal(whole(back), pixels)


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


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_a_tiff_keeps_its_compression_and_tiling(compression: str | None, tile: tuple[int, int] | None) -> None:
    if compression == "lzw":
        data = pyvips.Image.new_from_array(RGB).tiffsave_buffer(
            compression="lzw", tile=bool(tile), tile_width=32, tile_height=16
        )
    else:
        data = tiff(RGB, photometric="rgb", compression=compression, tile=tile)
    photo = decode(data)
    out = encode(photo, canvas_of(photo), None)
    assert out is not None
    with tifffile.TiffFile(io.BytesIO(out)) as file, tifffile.TiffFile(io.BytesIO(data)) as before:
        page, was = file.pages.first, before.pages.first
        assert (page.is_tiled, page.tile) == (was.is_tiled, was.tile)
        assert (page.compression == 1) == (was.compression == 1)
        assert np.array_equal(page.asarray() if compression != "lzw" else whole(decode(out)), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
def test_photos_are_set_upright(orientation: int, format: str) -> None:
    case = roundtrip_photos.Case(format, format, 8, "rgb", format in ("png", "tiff"), "all", orientation)
    stored = roundtrip_photos.picture(case)
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1), 7: stored[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(stored),
    }[orientation]  # fmt: skip
    photo = decode(roundtrip_photos.sample(case))
    got = whole(photo).astype(int)
    if photo.alpha is not None:
        got = np.dstack([got, photo.alpha.numpy()])
    limit = 0 if format in ("png", "tiff") else 60
    assert got.shape == upright.shape
    assert np.abs(got - upright).max() <= limit
    assert photo.exif is not None
    assert (
        photo.exif
        == decode(roundtrip_photos.sample(roundtrip_photos.Case(format, format, 8, "rgb", case.alpha, "all", 1))).exif
    )


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


# What is refused -------------------------------------------------------------------------------------------------


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


# Writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_the_ending_chooses_the_format(tmp_path: Path, format: str) -> None:
    photo = decode(RGB)
    target = tmp_path / f"out.{format}"
    assert encode(photo, canvas_of(photo), target) is None
    assert decode(target).format == format
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == encode(photo, canvas_of(photo), None, format=format)


def test_without_an_ending_it_is_the_photos_own(tmp_path: Path) -> None:
    photo = decode(pillow(RGB, "webp"))
    encode(photo, canvas_of(photo), tmp_path / "out")
    assert decode(tmp_path / "out").format == "webp"
    assert decode(encode(decode(RGB), canvas_of(decode(RGB)), None) or b"").format == "png"


def test_what_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    photo = decode(RGB)
    with pytest.raises(OptionError, match=r"out.gif is a .gif; expected one of .jpg, .png, .tif, .webp, .avif"):
        encode(photo, canvas_of(photo), tmp_path / "out.gif")
    with pytest.raises(OptionError, match="the format 'bmp'"):
        encode(photo, canvas_of(photo), None, format="bmp")
    with pytest.raises(OptionError, match="quality 0; expected a quality from 1 to 100"):
        encode(photo, canvas_of(photo), None, format="jpeg", quality=0)
    with pytest.raises(ValueError, match="3 uint8 bands"):
        encode(photo, Canvas(90, 60, 1, "uint8"), None)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_long_for_the_format_is_refused() -> None:
    photo = decode(np.zeros((1, 16_400, 3), np.uint8))
    with pytest.raises(
        OutputError, match="16400x1 pixels does not fit into WebP; expected at most 16383 pixels a side"
    ):
        encode(photo, canvas_of(photo), None, format="webp")


def test_an_encoder_that_gives_up_is_not_blamed_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(self: object, **_: object) -> bytes:
        raise pyvips.Error("unable to call webpsave_buffer", "webpsave: unable to encode")

    photo = decode(RGB)
    monkeypatch.setattr(pyvips.Image, "webpsave_buffer", gives_up, raising=False)
    for target in (tmp_path / "out.webp", None):
        with pytest.raises(OutputError, match=r"WebP cannot hold this picture of 90x60 \(unable to encode\)"):
            encode(photo, canvas_of(photo), target, format="webp")
    assert list(tmp_path.iterdir()) == []


def test_lower_quality_is_smaller() -> None:
    photo = decode(RGB)
    for format in ("jpeg", "webp", "avif"):
        small, large = (encode(photo, canvas_of(photo), None, format=format, quality=quality) for quality in (20, 95))
        assert len(small or b"") < len(large or b"")


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    photo = decode(RGB)
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="already exists"):
        encode(photo, canvas_of(photo), target)
    assert target.read_bytes() == b"precious"
    encode(photo, canvas_of(photo), target, overwrite=True)
    assert decode(target).width == 90


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, format: str) -> None:
    """In a process of its own whose files may not grow over 20 kB, which writing sees as a disk that is full."""
    program = """
import resource, signal, sys
import numpy as np
from allfocus.errors import OutputError
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
photo = decode(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
canvas = Canvas(200, 200, 3, "uint8")
from allfocus.photo.tiling import Box
canvas.write(Box(0, 0, 200, 200), photo.read(Box(0, 0, 200, 200)))
try:
    encode(photo, canvas, sys.argv[1])
except OutputError as error:
    print(error)
"""
    target = tmp_path / f"out.{format}"
    done = subprocess.run([sys.executable, "-c", program, target], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert f"{target} could not be written (" in done.stdout
    assert done.stdout.endswith("try: another -o, or free some space\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_the_disks_own_words_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    def full(self: object, data: object) -> int:
        self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # type: ignore[attr-defined]
        return -1

    monkeypatch.setattr("allfocus.photo.splice.Splice._write", full)
    photo = decode(RGB)
    with pytest.raises(OutputError, match=r"could not be written \(No space left on device\)"):
        encode(photo, canvas_of(photo), tmp_path / f"out.{format}")
    assert list(tmp_path.iterdir()) == []


def test_what_is_lost_is_known_before_writing() -> None:
    deep = decode(NOISE.astype(np.uint16) * 257)
    assert losses(deep, format="tiff") == losses(deep, format="png") == ()
    assert losses(deep, "x.jpg") == (
        "16-bit samples were rounded to 8 bit, all that JPEG holds",
        "transparency was left out: JPEG holds none",
    )
    assert losses(deep, "x.avif") == ("16-bit samples were rounded to 12 bit, all that AVIF holds",)


def test_sixteen_bits_are_rounded_to_the_nearest_of_eight() -> None:
    steps = np.arange(0, 65536, 7, dtype=np.uint16).reshape(1, -1)
    photo = decode(steps)
    back = decode(encode(photo, canvas_of(photo), None, format="jpeg", quality=100) or b"")
    assert np.abs(whole(back)[0, :, 0] - np.rint(steps[0] / 257)).max() <= 1
    deep = decode(encode(decode(steps / np.float32(65535)), canvas_of(decode(steps / np.float32(65535))), None) or b"")
    assert np.array_equal(whole(deep)[..., 0], steps)


@pytest.mark.parametrize("format", FORMATS)
def test_the_photo_goes_as_soon_as_its_file_is_written(tmp_path: Path, format: str) -> None:
    gc.disable()  # what only it would find stays in memory for many photos
    try:
        photo = decode(pillow(RGB, format))
        held = weakref.ref(photo)
        canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
        encode(photo, canvas, tmp_path / f"file.{format}")
        canvas.close()
        del photo, canvas
        assert held() is None
    finally:
        gc.enable()


def test_many_threads_decode_and_encode_at_once() -> None:
    files = [pillow(RGB[::step], format) for format in ("png", "tiff") for step in (1, 2, 3)]

    def through(data: bytes) -> bool:
        photo = decode(data)
        with canvas_of(photo) as canvas:
            back = decode(encode(photo, canvas, None) or b"")
        return np.array_equal(whole(back), whole(photo))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(through, files * 4))


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


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_result_has_the_permissions_of_its_source(tmp_path: Path, mode: int) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(pillow(RGB, "png"))
    source.chmod(mode)
    photo = decode(source)
    encode(photo, canvas_of(photo), target)
    assert target.stat().st_mode & 0o777 == mode | 0o200, "its owner can write to it"
    assert source.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_an_orientation_that_only_xmp_states_is_applied(format: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    plain = decode(RGB)
    turned = Photo.from_bands(plain.image, "array", xmp=xmp)
    photo = decode(encode(turned, canvas_of(plain), None, format=format) or b"")
    assert (photo.width, photo.height) == (60, 90)
    assert photo.xmp == xmp.replace(b'"6"', b'"1"')


def test_what_exif_says_of_the_size_turns_with_the_picture() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0xA002: 90, 0xA003: 60})
    photo = decode(pillow(RGB, "jpeg", exif=exif, quality=95))
    read = PIL.Image.open(io.BytesIO(encode(photo, canvas_of(photo), None) or b"")).getexif()
    assert (photo.width, photo.height) == (60, 90)
    assert [read.get_ifd(0x8769)[tag] for tag in (0xA002, 0xA003)] == [60, 90]
