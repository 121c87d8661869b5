from __future__ import annotations

import io
import struct
import time

import numpy as np
import PIL.Image
import pytest
import pyvips
import tifffile

import roundtrip_photos
from allfocus.errors import InputError
from allfocus.photo import jpeg
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, losses
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box

NOISE = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)


def test_too_large_for_a_jpeg_segment_is_left_out_and_said() -> None:
    case = roundtrip_photos.Case("png", "jpeg", 8, "rgb", False, "none", 1)
    exif, xmp = roundtrip_photos.exif_blob(1) + bytes(70_000), b"<x/>" + b" " * 70_000
    photo = decode(roundtrip_photos.png_file(roundtrip_photos.picture(case), None, exif, xmp))
    assert (photo.exif, photo.xmp) == (exif, xmp)
    said = [note.split(" was left out")[0] for note in losses(photo, format="jpeg")]
    assert said == [f"EXIF of {len(exif)} bytes", f"XMP of {len(xmp)} bytes"]
    image = PIL.Image.open(io.BytesIO(unchanged(photo, "jpeg")))
    assert "exif" not in image.info
    assert "xmp" not in image.info
    assert losses(photo, format="webp") == ()


def unchanged(photo: Photo, format: str) -> bytes:
    box = Box(0, 0, photo.width, photo.height)
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(box, photo.read(box))
        data = encode(photo, canvas, None, format=format)
    assert data is not None
    return data


def test_the_iptc_block_goes_from_jpeg_to_jpeg() -> None:
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x78\0\x07caption"
    plain = io.BytesIO()
    PIL.Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(plain, "jpeg")
    data = plain.getvalue()
    photo = decode(data[:2] + jpeg.segments(None, None, block) + data[2:])
    assert photo.iptc == block
    assert block in unchanged(photo, "jpeg")
    assert losses(photo, format="png") == ("the IPTC block was left out: only JPEG files carry it here, not PNG",)


@pytest.mark.parametrize("format", ["png", "avif"])
def test_an_hdr_colour_description_stays(format: str) -> None:
    photo = decode(np.full((9, 8, 3), 30_000, np.uint16))
    hdr = Photo.from_bands(photo.image, format, coding=type(photo.coding)(bits=12, cicp=(9, 16)))
    back = decode(unchanged(hdr, format))
    assert back.coding.cicp == (9, 16)
    assert losses(back, format="jpeg")[-1] == "the wide or HDR colour description (CICP) was left out: JPEG holds none"


def test_a_profile_stands_above_a_colour_description() -> None:
    """As a cICP chunk would stand above the profile in a PNG, none is written."""
    photo = decode(np.full((9, 8, 3), 30_000, np.uint16))
    icc = pyvips.Image.profile_load("p3")
    both = Photo.from_bands(photo.image, "avif", icc=icc, coding=type(photo.coding)(bits=12, cicp=(9, 16)))
    assert decode(unchanged(both, "png")).coding.cicp is None
    assert decode(unchanged(both, "png")).icc == icc
    assert losses(both, format="tiff") == ()


def test_resolution_and_subsampling_stay() -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(file, "jpeg", dpi=(300, 300), subsampling=2)
    photo = decode(file.getvalue())
    for format in ("jpeg", "png", "tiff"):
        image = PIL.Image.open(io.BytesIO(unchanged(photo, format)))
        assert [round(float(dots)) for dots in image.info["dpi"]] == [300, 300]
    assert decode(unchanged(photo, "jpeg")).coding.subsampled
    assert not decode(unchanged(decode(noise), "jpeg")).coding.subsampled


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg"])
def test_no_resolution_is_invented(format: str) -> None:
    data = unchanged(decode(np.zeros((4, 4, 3), np.uint8)), format)
    info = PIL.Image.open(io.BytesIO(data)).info
    if format == "tiff":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            assert (page.resolution, page.resolutionunit) == ((1, 1), tifffile.RESUNIT.NONE)
    else:
        assert "dpi" not in info
    again = unchanged(decode(data), "png")
    assert "dpi" not in PIL.Image.open(io.BytesIO(again)).info


# What is written like the source -----------------------------------------------------------------------------------


def jpeg_of(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "jpeg", **options)
    return file.getvalue()


@pytest.mark.parametrize(("quality", "written"), [(60, 90), (89, 90), (93, 93), (98, 98), (100, 100)])
def test_quality_follows_the_source(quality: int, written: int) -> None:
    photo = decode(jpeg_of(NOISE, quality=quality))
    assert photo.coding.quality == quality
    head = jpeg.header(io.BytesIO(unchanged(photo, "jpeg")))
    assert head is not None
    assert head.quality == written
    said = losses(photo, format="jpeg")
    assert said == ((f"its JPEG quality of about {quality} was raised to 90",) if quality < 90 else ())
    assert losses(photo, format="jpeg", quality=70) == ()


def test_a_quality_that_is_asked_for_holds() -> None:
    photo = decode(jpeg_of(NOISE, quality=97))
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(Box(0, 0, photo.width, photo.height), NOISE)
        head = jpeg.header(io.BytesIO(encode(photo, canvas, None, quality=71) or b""))
    assert head is not None
    assert head.quality == 71


@pytest.mark.parametrize(("subsampling", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_chroma_follows_the_source_or_is_said(subsampling: int, name: str) -> None:
    photo = decode(jpeg_of(NOISE, quality=95, subsampling=subsampling))
    head = jpeg.header(io.BytesIO(unchanged(photo, "jpeg")))
    assert head is not None
    assert (head.sampling[0] == (2, 2)) == (name == "4:2:0")
    assert losses(photo, format="jpeg") == (
        ("its chroma (4:2:2) was stored at full size (4:4:4)",) if name == "4:2:2" else ()
    )


def test_extended_xmp_is_carried_or_said() -> None:
    parts = [jpeg.EXTENDED_XMP_NAME + b"0" * 32 + bytes(8) + bytes([65 + part]) * 50_000 for part in range(2)]
    main = b'<x:xmpmeta xmpNote:HasExtendedXMP="' + b"0" * 32 + b'"/>'
    plain = jpeg_of(NOISE)
    photo = decode(plain[:2] + jpeg.segments(None, main, extended_xmp=tuple(parts)) + plain[2:])
    assert photo.extended_xmp == tuple(parts)
    out = unchanged(photo, "jpeg")
    assert all(part in out for part in parts)
    assert out.index(main) < out.index(parts[0]) < out.index(parts[1])
    assert losses(photo, format="png") == ("the extended XMP was left out: only JPEG files carry it here, not PNG",)


def test_what_a_jpeg_loses_is_said() -> None:
    assert decode(jpeg_of(NOISE, comment=b"hello")).notes == ("the JPEG comment was left out",)
    file = io.BytesIO()
    first, second = PIL.Image.fromarray(NOISE), PIL.Image.fromarray(NOISE[::-1])
    first.save(file, "mpo", save_all=True, append_images=[second])
    assert decode(file.getvalue()).notes == ("only the first of 2 pictures in the file was read",)


# Damage ------------------------------------------------------------------------------------------------------------

SMOOTH = (
    np.random.default_rng(3).normal(0, 12, (160, 240, 3)) + 128 + 90 * np.sin(np.arange(240) / 19)[None, :, None]
).clip(0, 255).astype(np.uint8)  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"subsampling": 1}, {"optimize": True}, {"quality": 20}])
def test_intact_files_hold_all_their_blocks(options: dict[str, object]) -> None:
    for pixels in (SMOOTH, SMOOTH[:150, :233], SMOOTH[..., 0], np.full((64, 96, 3), 128, np.uint8), SMOOTH * 0 + 128):
        data = jpeg_of(pixels, **options)
        head = jpeg.header(io.BytesIO(data))
        assert head is not None
        assert jpeg.missing_blocks(data, head) == 0
        decode(data)


def is_refused(damaged: bytes) -> bool:
    """Whether the damage is found; if so, the file is restored where that is allowed."""
    try:
        decode(damaged)
    except InputError as error:
        assert "damaged or cut short" in str(error)
    else:
        return False
    photo = decode(damaged, allow_damaged=True)
    assert (photo.width, photo.height) == (240, 160)
    assert photo.notes[-1].startswith("the file is damaged (")
    return True


def test_damage_that_is_decoded_without_a_warning_is_found() -> None:
    """Holes and spans of zeros shift what follows; now and then what follows fits all the same, and nobody can tell."""
    data = jpeg_of(SMOOTH, quality=95)
    places = range(len(data) // 10, 9 * len(data) // 10, 601)
    closed = [is_refused(data[:at] + b"\xff\xd9") for at in places]
    holes = [is_refused(data[:at] + data[at + 700 :]) for at in places]
    zeros = [is_refused(data[:at] + bytes(700) + data[at + 700 :]) for at in places]
    assert all(closed)
    assert np.mean(holes) >= 0.9
    assert np.mean(zeros) >= 0.9


def test_a_size_that_the_file_cannot_hold_is_refused_at_once() -> None:
    data = bytearray(jpeg_of(SMOOTH))
    head = jpeg.header(io.BytesIO(bytes(data)))
    assert head is not None
    struct.pack_into(">HH", data, head.frame_at + 5, 22_000, 22_000)
    started = time.process_time()
    with pytest.raises(InputError, match=r"bytes cannot hold the 22000x22000 pixels that it states"):
        decode(bytes(data))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(("marker", "precision", "says"), [(0xC1, 12, "12-bit samples"), (0xC3, 8, "a lossless JPEG")])
def test_other_kinds_of_jpeg_are_called_that(marker: int, precision: int, says: str) -> None:
    data = bytearray(jpeg_of(SMOOTH))
    head = jpeg.header(io.BytesIO(bytes(data)))
    assert head is not None
    data[head.frame_at + 1], data[head.frame_at + 4] = marker, precision
    with pytest.raises(InputError, match=says) as refusal:
        decode(bytes(data))
    assert "damaged" not in str(refusal.value)
