from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.capture.demo import write_jpeg
from allfocus.capture.frame import encoded, photos, read, taken_at
from allfocus.errors import InputError
from raws import dng


def test_light_and_what_is_clipped(tmp_path: Path) -> None:
    codes = np.full((9, 11, 3), 128, np.uint8)
    codes[2, 3, 1] = 255
    pyvips.Image.new_from_array(codes, interpretation="srgb").pngsave(str(tmp_path / "a.png"))
    frame = read(tmp_path / "a.png")
    assert frame.shape == (9, 11) and frame.clipped.sum() == 1 and frame.clipped[2, 3]
    assert frame.linear[0, 0, 0] == pytest.approx(0.2159, abs=1e-3)
    np.testing.assert_allclose(encoded(frame.linear) * 255, codes, atol=0.01)
    assert frame.flipped().clipped[2, 7]


def test_grey_becomes_three_channels(tmp_path: Path) -> None:
    pyvips.Image.new_from_array(np.full((5, 6), 40, np.uint8)).pngsave(str(tmp_path / "g.png"))
    assert read(tmp_path / "g.png").linear.shape == (5, 6, 3)


def test_raw_is_linear_light_without_automatic_brightness(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    frames = []
    for light in (1900, 950):
        (tmp_path / f"{light}.dng").write_bytes(dng(light, light + 10))
        frames.append(read(tmp_path / f"{light}.dng"))
    assert frames[0].shape == (64, 96) and not frames[0].clipped.any()
    middle = np.s_[8:-8, 8:-8]
    brighter, darker = (frame.linear[middle].mean(axis=(0, 1)) for frame in frames)
    np.testing.assert_allclose(brighter / darker, 2, rtol=0.02)
    (tmp_path / "near.dng").write_bytes(dng(3300, 3310))
    assert not read(tmp_path / "near.dng").clipped.any()  # the brightest value is not white, however near it comes


def test_the_moment_it_was_taken(tmp_path: Path) -> None:
    dark = np.zeros((8, 8, 3), np.float32)
    for seconds in (0, 61):
        write_jpeg(dark, tmp_path / f"{seconds}.jpg", seconds)
    first, second = (taken_at(tmp_path / f"{seconds}.jpg") for seconds in (0, 61))
    assert first is not None and second is not None and second - first == 61
    pyvips.Image.black(4, 4).pngsave(str(tmp_path / "none.png"))
    assert taken_at(tmp_path / "none.png") is None
    assert taken_at(tmp_path / "missing.png") is None


def test_only_photos_are_listed(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.nef", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in photos(tmp_path)] == ["a.nef", "b.JPG"]


def test_a_file_that_is_no_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"no photo")
    with pytest.raises(InputError):
        read(tmp_path / "x.jpg")
