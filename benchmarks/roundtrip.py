"""What survives a photo's way through allfocus: formats x depth x colour x alpha x ICC x EXIF x XMP x orientation.

Sends small photos of every kind (`roundtrip_photos.py`) through decode -> canvas -> encode, and reads the results with
Pillow, OpenCV and tifffile (the pixels of AVIF with libvips).

    python benchmarks/roundtrip.py            writes results/roundtrip.csv
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pyvips
import tifffile

from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, losses
from allfocus.photo.tiling import Box
from roundtrip_photos import TIFF_VALUES, XMP, Case, exif_blob, icc_of, sample

METADATA = ("none", "icc", "exif", "xmp", "all")


@dataclass(frozen=True)
class Row:
    """What became of one case; see `outcome` for the words."""

    source: str
    target: str
    depth: int
    colour: str
    alpha: str
    metadata: str
    orientation: int
    coding: str
    depth_out: int
    size: str
    pixels: str
    alpha_out: str
    icc: str
    exif: str
    xmp: str
    notes: str
    reader: str


@dataclass(frozen=True)
class Line:
    """One line of results/roundtrip.csv: what became of one item in all cases of a source, a target and a depth.

    Attributes:
        source, target: formats.
        depth: bits a sample of the source, 32 means float.
        item: "size", "depth", "pixels", "transparency", "ICC", "EXIF", "XMP" or "orientation".
        outcome: each outcome that occurred, and the lowest PSNR where pixels changed.
        cases: how many photos had the item.
        reader: what read the result.
    """

    source: str
    target: str
    depth: int
    item: str
    outcome: str
    cases: int
    reader: str


def cases() -> Iterator[Case]:
    """Every kind of photo to its own format, each orientation, and everything to every other format."""
    kinds = [
        *itertools.product(["jpeg"], [8], ["grey", "rgb"], [False], [""]),
        *itertools.product(["png"], [8, 16], ["grey", "rgb"], [False, True], [""]),
        *itertools.product(["tiff"], [8, 16, 32], ["grey", "rgb"], [False, True], [""]),
        *itertools.product(["webp"], [8], ["rgb"], [False, True], ["", "lossless"]),
        *itertools.product(["avif"], [8, 10, 12], ["rgb"], [False, True], ["", "lossless"]),
    ]
    for source, depth, colour, alpha, coding in kinds:
        for metadata in METADATA:
            yield Case(source, source, depth, colour, alpha, metadata, 1, coding)
        for orientation in range(2, 9) if source != "avif" or (depth == 8 and not coding) else ():
            yield Case(source, source, depth, colour, alpha, "all", orientation, coding)
    for (source, depth, colour, alpha, coding), target in itertools.product(
        kinds, ["jpeg", "png", "tiff", "webp", "avif"]
    ):
        if target != source and not coding:
            yield Case(source, target, depth, colour, alpha, "all", 1, coding)


def run(case: Case) -> Row:
    """Send one photo through and say what became of it."""
    data = sample(case)
    photo = decode(data)
    whole = Box(0, 0, photo.width, photo.height)
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(whole, photo.read(whole))
        out = encode(photo, canvas, None, format=case.target)
    assert out is not None
    found, depth_out, reader = read_back(out, case.target)
    expected = as_seen(case, data)
    step = (1.01 if case.depth in (10, 12) else 0.05) / 65535  # 10 and 12 bits are spread over 16 by repeating bits
    icc, exif, xmp = metadata_of(out, case.target)
    return Row(
        case.source, case.target, case.depth, case.colour, "yes" if case.alpha else "no", case.metadata,
        case.orientation, case.coding,
        depth_out=depth_out,
        size="kept" if found.shape[:2] == expected.shape[:2] else f"{found.shape[1]}x{found.shape[0]}",
        pixels="-" if replaces_profile(case) else pixels_outcome(colours(expected), colours(found), step),
        alpha_out=alpha_outcome(transparency(expected), transparency(found), step),
        icc="replaced by sRGB" if replaces_profile(case) and icc else outcome(icc_of(case), icc),
        exif=exif_outcome(case, data, exif),
        xmp=outcome(XMP if case.metadata in ("xmp", "all") else None, xmp),
        notes="; ".join(losses(photo, format=case.target)),
        reader=reader,
    )  # fmt: skip


def as_seen(case: Case, data: bytes) -> np.ndarray:
    """The picture of a case's file upright, as float64 (height, width, bands) in [0, 1]."""
    stored = read_back(data, case.source)[0]
    if case.source == "avif" or case.metadata not in ("exif", "all"):
        return stored  # AVIF is turned by its own boxes, which readers apply
    turns = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3), 7: (True, 3), 8: (False, 1)}
    mirrored, quarters = turns.get(case.orientation, (False, 0))
    return np.rot90(stored[:, ::-1] if mirrored else stored, quarters)


def read_back(data: bytes, format: str) -> tuple[np.ndarray, int, str]:
    """A result as float64 (height, width, bands) in [0, 1], its bits a sample, and what read it."""
    if format == "tiff":
        pixels, reader = tifffile.imread(io.BytesIO(data)), "tifffile"
    elif format == "png":
        pixels, reader = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), "OpenCV"
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.ndim == 3 else pixels
        if pixels.ndim == 3 and pixels.shape[2] == 4 and data[25] == 4:
            pixels = pixels[..., [0, 3]]  # OpenCV gives grey with transparency as four channels
    elif format == "avif":
        image = pyvips.Image.new_from_buffer(data, "")
        bits = image.get("bits-per-sample")
        return (image.numpy() >> (16 - bits if bits > 8 else 0)) / (2**bits - 1), bits, "libvips"
    else:
        pixels, reader = np.asarray(PIL.Image.open(io.BytesIO(data))), "Pillow"
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    depth = 8 * pixels.dtype.itemsize
    return pixels.astype(np.float64) / (1 if depth == 32 else 2**depth - 1), depth, reader


def colours(pixels: np.ndarray) -> np.ndarray:
    """The channels of a picture (height, width, bands) without transparency."""
    return pixels[..., : 3 if pixels.shape[2] >= 3 else 1]


def transparency(pixels: np.ndarray) -> np.ndarray | None:
    """The last channel where it is transparency."""
    return pixels[..., -1] if pixels.shape[2] in (2, 4) else None


def outcome(before: bytes | None, after: object) -> str:
    """ "-" where there was nothing, "identical" (byte for byte), "lost", "changed" or "invented"."""
    if before is None:
        return "-" if after is None else "invented"
    return "lost" if after is None else "identical" if before == after else "changed"


def replaces_profile(case: Case) -> bool:
    """Whether a grey profile goes to a format that holds RGB only."""
    return case.colour == "grey" and case.metadata in ("icc", "all") and case.target in ("webp", "avif")


def exif_outcome(case: Case, source: bytes, after: bytes | dict | None) -> str:
    """As `outcome`; "values kept" where a side is TIFF, which has no block, and every value was compared by itself."""
    if case.metadata not in ("exif", "all"):
        return outcome(None, after)
    before = exif_blob(1)
    if case.source == "avif":
        before = metadata_of(source, "avif")[1]  # as its writer has arranged it
        assert isinstance(before, bytes)
    if case.source == "tiff" and case.target != "tiff":
        values = blob_values(after) if isinstance(after, bytes) else None
        return "lost" if values is None else "values kept" if TIFF_VALUES.items() <= values.items() else "changed"
    if isinstance(after, dict):
        from_picture = {("0", tag) for tag in (0x0112, 0x011A, 0x011B, 0x0128)}  # orientation and resolution
        expected = {key: value for key, value in blob_values(before).items() if key not in from_picture}
        return "values kept" if expected.items() <= after.items() else "changed"
    if case.source == "avif" and case.orientation > 1 and after is not None:
        return "identical" if after in source else "changed"  # Pillow adds the file's rotation to what it reads
    return outcome(before, after)


def pixels_outcome(before: np.ndarray, after: np.ndarray, step: float) -> str:
    """ "identical" to within `step`, or the PSNR in dB on a scale where white is 1."""
    difference = after - before
    if np.abs(difference).max() < step:
        return "identical"
    return f"{-10 * np.log10(np.mean(difference**2)):.1f} dB"


def alpha_outcome(before: np.ndarray | None, after: np.ndarray | None, step: float) -> str:
    if before is None:
        return "-" if after is None else "invented"
    if after is None:
        return "lost"
    worst = float(np.abs(before - after).max())
    return "identical" if worst < step else f"within {worst * 255:.2f} of 255"


# What the results hold, read without allfocus ------------------------------------------------------------------


def metadata_of(data: bytes, format: str) -> tuple[bytes | None, bytes | dict | None, bytes | None]:
    """ICC, EXIF (a block, or values by directory and tag for TIFF) and XMP of a file."""
    if format == "tiff":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = {tag.code: tag for tag in file.pages.first.tags}
            icc, xmp = (bytes(tags[code].value) if code in tags else None for code in (34675, 700))
        values = blob_values(data)
        return icc, values if any(key in values for key in TIFF_VALUES) else None, xmp
    with PIL.Image.open(io.BytesIO(data)) as image:
        info = image.info
        exif = info.get("exif")
        return info.get("icc_profile"), exif and exif.removeprefix(b"Exif\0\0"), info.get("xmp")


def blob_values(data: bytes) -> dict[tuple[str, int], bytes]:
    """The values of a little-endian TIFF or EXIF block by directory and tag, pointers left out."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
    values: dict[tuple[str, int], bytes] = {}

    def walk(name: str, start: int) -> None:
        (count,) = struct.unpack_from("<H", data, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number, place = struct.unpack_from("<HHII", data, at)
            if tag in (0x8769, 0x8825):
                walk({0x8769: "exif", 0x8825: "gps"}[tag], place)
                continue
            size = sizes.get(kind, 1) * number
            values[name, tag] = data[at + 8 : at + 8 + size] if size <= 4 else data[place : place + size]

    walk("0", struct.unpack_from("<I", data, 4)[0])
    return values


def lines(rows: list[Row]) -> list[Line]:
    """The rows taken together by source, target, depth and item."""
    found: dict[tuple[str, str, int, str], list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        depth = "kept" if row.depth_out == row.depth else f"{row.depth_out} bit"
        items = {"size": row.size, "depth": depth, "pixels": row.pixels, "transparency": row.alpha_out,
                 "ICC": row.icc, "EXIF": row.exif, "XMP": row.xmp}  # fmt: skip
        if row.orientation > 1:
            items["orientation"] = "applied" if row.size == "kept" and row.pixels != "-" else "-"
        for item, word in items.items():
            if word != "-":
                found[row.source, row.target, row.depth, item].append((word, row.reader))
    return [Line(*key, summary([word for word, _ in each]), len(each), each[0][1]) for key, each in found.items()]


def summary(words: list[str]) -> str:
    """The words that occur, those with a figure as the worst of them."""
    decibels = [float(word.split()[0]) for word in words if word.endswith("dB")]
    levels = [float(word.split()[1]) for word in words if word.startswith("within")]
    plain = sorted({word for word in words if not word.endswith("dB") and not word.startswith("within")})
    return ", ".join(
        [*plain, *([f"at least {min(decibels):.0f} dB"] if decibels else []),
         *([f"within {max(levels):.1f} of 255"] if levels else [])]
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1] / "results" / "roundtrip.csv"
    parser.add_argument("-o", "--output", type=Path, default=default)
    out = parser.parse_args().output
    found = lines([run(case) for case in cases()])
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Line)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in found)
    print(f"{len(found)} lines in {out}")


if __name__ == "__main__":
    main()
