"""The round trip matrix of benchmarks/roundtrip.py: what must survive, and that results/roundtrip.csv still says so."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

import pytest

import roundtrip

LOSSLESS = ("png", "tiff")
FORMATS = ("jpeg", "png", "tiff", "webp", "avif")


@pytest.fixture(scope="module")
def rows() -> list:
    return [roundtrip.run(case) for case in roundtrip.cases()]


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_size_and_metadata_survive_every_pair_of_formats(rows: list, source: str, target: str) -> None:
    chosen = [row for row in rows if (row.source, row.target) == (source, target)]
    assert chosen
    for row in chosen:
        assert row.size == "kept", row
        grey_to_rgb = row.colour == "grey" and target in ("webp", "avif")
        assert row.icc in ("-", "replaced by sRGB" if grey_to_rgb else "identical"), row
        assert row.xmp in ("-", "identical"), row
        assert row.exif in ("-", "values kept" if "tiff" in (source, target) else "identical"), row


@pytest.mark.parametrize("target", FORMATS)
def test_transparency_survives_untouched_except_in_jpeg(rows: list, target: str) -> None:
    for row in rows:
        if row.target != target:
            continue
        if row.alpha == "no":
            assert row.alpha_out == "-", row
        elif target == "jpeg":
            assert row.alpha_out == "lost", row
        elif row.depth_out >= row.depth:
            assert row.alpha_out == "identical", row
        else:
            assert row.alpha_out.startswith("within 0."), row  # half a level of the depth that the format holds


def test_lossless_files_are_identical_to_the_bit(rows: list) -> None:
    checked = set()
    for row in rows:
        same_kind = row.source == row.target
        if row.target == "avif" and row.icc != "-":
            continue  # with a profile, an AVIF file's header does not tell that it is lossless
        if (row.target in LOSSLESS and row.depth_out >= row.depth) or (same_kind and row.coding == "lossless"):
            assert row.pixels == "identical", row
            checked.add((row.target, row.depth))
    assert checked >= {("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16), ("tiff", 32), ("webp", 8), ("avif", 12)}


def test_lossy_files_are_close(rows: list) -> None:
    for row in rows:
        if row.pixels not in ("identical", "-"):
            assert float(row.pixels.split()[0]) > 30, row


def test_every_orientation_was_tried(rows: list) -> None:
    for source in FORMATS:
        assert {row.orientation for row in rows if row.source == source} == set(range(1, 9))


def test_what_a_format_cannot_hold_is_said(rows: list) -> None:
    for row in rows:
        assert ("transparency was left out" in row.notes) == (row.alpha_out == "lost"), row
        assert ("stored as RGB" in row.notes) == (row.colour == "grey" and row.target in ("webp", "avif")), row
        rounded = {10: 16, 12: 16}.get(row.depth, row.depth) > row.depth_out and row.source != row.target
        assert ("rounded" in row.notes) == rounded, row


def test_the_stored_table_is_this_one(rows: list, repository: Path) -> None:
    with (repository / "results" / "roundtrip.csv").open(newline="") as file:
        stored = list(csv.DictReader(file))

    def plain(line: dict) -> dict:
        """Without the figures that change with the versions of the codecs."""
        figures = ("at least", "within")
        words = [word for word in str(line["outcome"]).split(", ") if not word.startswith(figures)]
        return {name: str(value) for name, value in line.items()} | {"outcome": ", ".join(words)}

    assert [plain(line) for line in stored] == [plain(asdict(line)) for line in roundtrip.lines(rows)]


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        ("ICC", {"identical"}),
        ("XMP", {"identical"}),
        ("EXIF", {"identical", "values kept"}),
        ("orientation", {"applied"}),
        ("size", {"kept"}),
        ("depth", {"kept"}),
    ],
)
def test_a_format_keeps_its_own_items_at_every_depth(rows: list, item: str, kept: set) -> None:
    own = [line for line in roundtrip.lines(rows) if line.source == line.target and line.item == item]
    assert {(line.source, line.depth) for line in own} >= {("jpeg", 8), ("png", 16), ("tiff", 32), ("webp", 8)}
    for line in own:
        assert set(line.outcome.split(", ")) <= kept, line
