from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from allfocus.capture.focus_stack import fuse, fuse_files
from allfocus.capture.frame import Frame, encoded, read
from allfocus.capture.picture import write_png
from allfocus.errors import DataError, OptionError, OutputError
from capture_truth import simulated_stack


def psnr(ours: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((ours.astype(np.float64) - truth) ** 2)))


def test_a_stack_is_sharp_everywhere(drawn: np.ndarray) -> None:
    stack, _ = simulated_stack(drawn, np.random.default_rng(2), 4)
    fused = fuse(stack)
    left, top, width, height = fused.box
    cut = np.s_[top : top + height, left : left + width]
    truth = encoded(drawn[cut])
    gain = np.float32(np.median(drawn[cut] / np.maximum(fused.linear, 1e-3)))
    assert psnr(encoded(fused.linear * gain), truth) > 33
    assert psnr(encoded(stack[0].linear[cut]), truth) < 30
    assert set(np.unique(fused.chosen)) == {0, 1, 2, 3}


def test_files_in_a_folder(drawn: np.ndarray, tmp_path: Path) -> None:
    stack, _ = simulated_stack(drawn[:128, :160], np.random.default_rng(2), 2)
    for number, frame in enumerate(stack):
        write_png(encoded(frame.linear), tmp_path / f"{number}.png", 16)
    out = tmp_path / "out"
    out.mkdir()
    fused = fuse_files(tmp_path, out / "all.png")
    assert read(out / "all.png").shape == fused.linear.shape[:2]
    with pytest.raises(OptionError, match=r"ends in \.png"):
        fuse_files(tmp_path, out / "all.jpg")


def test_a_stack_and_its_first_frame_are_a_pair(drawn: np.ndarray, tmp_path: Path) -> None:
    from allfocus.capture.pair import PairOptions, make
    from allfocus.capture.pairing import pair_up

    frames, narrow, wide = (tmp_path / name for name in ("frames", "narrow", "wide"))
    frames.mkdir()
    stack, _ = simulated_stack(drawn, np.random.default_rng(2), 5)
    for number, frame in enumerate(stack):
        write_png(encoded(frame.linear), frames / f"{number}.png", 16)
    fuse_files(frames, narrow / "scene.png", 16, wide / "scene.png")
    (shot,) = pair_up(wide, narrow)
    made = make(shot, PairOptions())
    assert made.reasons == () and made.measures.sharper is not None and made.measures.sharper > 1.2
    assert made.alignment is not None and not made.alignment.mirrored and abs(made.alignment.scale - 1) < 5e-4
    before = (frames / "1.png").read_bytes()
    for places in ((frames / "1.png", None), (narrow / "a.png", frames / "1.png")):
        with pytest.raises(OutputError, match="is the input itself"):
            fuse_files(frames, places[0], 16, places[1])
    assert (frames / "1.png").read_bytes() == before and not (narrow / "a.png").exists()


def test_refusals_teach(drawn: np.ndarray) -> None:
    frame = Frame(drawn, np.zeros(drawn.shape[:2], bool))
    smaller = Frame(drawn[:-8], np.zeros((drawn.shape[0] - 8, drawn.shape[1]), bool))
    for frames, words in (([frame], "two frames or more"), ([frame, smaller], "one size")):
        with pytest.raises(DataError, match=words):
            fuse(frames)
