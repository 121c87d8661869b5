"""ICC profile, EXIF and XMP carried from JPEG to JPEG and from WebP to WebP in the static site."""

from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np
import pytest
import pyvips

from web.conftest import blurred, opened
from web.node import in_node, needs_node

pytestmark = needs_node
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" note="kept"/></x:xmpmeta>'
CARRIED = """
  const bytes = (name) => Uint8Array.from(Buffer.from(given[name], 'base64'));
  const carry = {jpeg: metadata.carryJpeg, webp: metadata.carryWebp}[given.format];
  const {blob, notes} = carry(bytes('source'), bytes('made'), 128, 96);
  return {file: Buffer.from(await blob.arrayBuffer()).toString('base64'), notes};
"""


def exif(orientation: int) -> bytes:
    return (
        b"II*\0\x08\0\0\0\x02\0"
        + struct.pack("<HHI4s", 0x010F, 2, 4, b"abc\0")
        + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
        + bytes(4)
    )


def profile(of: str) -> bytes:
    image = pyvips.Image.black(1, 1, bands=4 if of == "cmyk" else 3)
    kind = {"cmyk": "cmyk"}.get(of, "srgb")
    return image.copy(interpretation=kind).icc_export(output_profile=of).get("icc-profile-data")


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(icc: bytes) -> bytes:
    """A JPEG with every kind of segment that says something; the profile in two pieces."""
    plain = pyvips.Image.new_from_array(blurred()).jpegsave_buffer(keep="none")
    half = len(icc) // 2
    said = (
        segment(0xE1, b"Exif\0\0" + exif(6))
        + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
        + segment(0xE2, b"ICC_PROFILE\0\x01\x02" + icc[:half])
        + segment(0xE2, b"ICC_PROFILE\0\x02\x02" + icc[half:])
        + segment(0xED, b"Photoshop 3.0\0IPTC")
        + segment(0xFE, b"a comment")
    )
    return plain[:2] + said + plain[2:]


def webp(icc: bytes, lossless: bool = False) -> bytes:
    image = pyvips.Image.new_from_array(blurred()).copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)  # type: ignore[arg-type]
    image.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)  # type: ignore[arg-type]
    image.set_type(pyvips.GValue.blob_type, "exif-data", b"Exif\0\0" + exif(6))  # type: ignore[arg-type]
    return image.webpsave_buffer(lossless=lossless)


def carried(format: str, source: bytes, made: bytes) -> tuple[bytes, list[str]]:
    text = {name: base64.b64encode(data).decode() for name, data in (("source", source), ("made", made))}
    found: Any = in_node(CARRIED, format=format, **text)
    return base64.b64decode(found["file"]), found["notes"]


def test_a_jpeg_keeps_what_the_photo_said() -> None:
    icc = profile("p3")
    made = pyvips.Image.new_from_array(255 - blurred()).jpegsave_buffer(Q=95, keep="none")
    file, notes = carried("jpeg", jpeg(icc), made)
    assert notes == []
    assert opened(file).get("icc-profile-data") == icc
    assert exif(1) in file and exif(6) not in file
    assert XMP.replace(b'"6"', b'"1"') in file
    assert b"Photoshop 3.0\0IPTC" in file and b"a comment" in file
    assert np.array_equal(opened(file).numpy(), opened(made).numpy())


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_keeps_what_the_photo_said(lossless: bool) -> None:
    icc = profile("p3")
    made = pyvips.Image.new_from_array(255 - blurred()).webpsave_buffer(lossless=lossless, keep="none")
    file, notes = carried("webp", webp(icc), made)
    again = opened(file)
    assert notes == []
    assert again.get("icc-profile-data") == icc
    assert again.get("xmp-data") == XMP
    assert again.get("orientation") == 6 and "abc" in again.get("exif-ifd0-Make")
    assert np.array_equal(again.numpy(), opened(made).numpy())


def test_a_profile_that_is_not_for_rgb_is_left_out_and_said() -> None:
    made = pyvips.Image.new_from_array(blurred()).jpegsave_buffer(keep="none")
    file, notes = carried("jpeg", jpeg(profile("cmyk")[:3000]), made)
    assert "icc-profile-data" not in opened(file).get_fields()
    assert len(notes) == 1 and "left out" in notes[0]
    assert exif(1) in file


def test_what_said_nothing_gets_nothing() -> None:
    made = pyvips.Image.new_from_array(blurred()).webpsave_buffer(keep="none")
    assert carried("webp", made, made)[0] == made


def test_webp_kinds_are_told_apart() -> None:
    for lossless in (False, True):
        text = base64.b64encode(webp(profile("srgb"), lossless)).decode()
        code = "return metadata.kindOfWebp(Uint8Array.from(Buffer.from(given.file, 'base64')));"
        assert in_node(code, file=text) == {"lossless": lossless, "animated": False}
