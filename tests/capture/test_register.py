from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from allfocus.capture.demo import PlantedScene
from allfocus.capture.frame import Frame, read
from allfocus.capture.register import Alignment, Unalignable, align, inside, laid_on
from allfocus.capture.scene import disc_blur
from allfocus.metrics.registration import displacement, rms_px, warped


def target_of(folder: Path, scene: PlantedScene) -> Path:
    return folder / "narrow" / f"NARROW{int(scene.name.removeprefix('WIDE')) + 100:04d}.jpg"


def frame(linear: np.ndarray) -> Frame:
    unit = np.clip(linear, 0, 1).astype(np.float32)
    return Frame(unit, unit.max(axis=2) > 0.985)


def test_good_pairs_are_laid_on_each_other(demo: tuple[Path, list[PlantedScene]]) -> None:
    folder, scenes = demo
    for scene in (one for one in scenes if not one.fault):
        source, target = read(folder / "wide" / f"{scene.name}.jpg"), read(target_of(folder, scene))
        found = align(source, target)
        assert found.mirrored
        apart = displacement(found.warp, source.shape) - displacement(scene.warp, source.shape)
        assert rms_px(apart) < 0.15, scene
        assert found.scale == pytest.approx(np.sqrt(np.linalg.det(np.array(scene.warp)[:2, :2])), abs=2e-3)


@pytest.mark.parametrize("fault", ["black", "wall", "elsewhere"])
def test_what_cannot_be_aligned_says_why(demo: tuple[Path, list[PlantedScene]], fault: str) -> None:
    folder, scenes = demo
    (scene,) = (one for one in scenes if one.fault == fault)
    with pytest.raises(Unalignable) as caught:
        align(read(folder / "wide" / f"{scene.name}.jpg"), read(target_of(folder, scene)))
    assert caught.value.reason == scene.reason
    assert pickle.loads(pickle.dumps(caught.value)).reason == scene.reason


def test_a_noisy_black_photo_is_black(drawn: np.ndarray) -> None:
    dark = frame(np.random.default_rng(0).normal(0, 0.0025, drawn.shape))
    for source, target in ((frame(drawn), dark), (dark, frame(drawn))):
        with pytest.raises(Unalignable) as caught:
            align(source, target)
        assert caught.value.reason == "black"


def test_scale_is_not_underestimated(drawn: np.ndarray) -> None:
    """What OpenCV's ECC does with a blurred view; blur must not pull the scale to one side."""
    for scale in (0.97, 1.03):
        height, width = drawn.shape[:2]
        planted = np.array(
            [[scale, 0, (width - 1) / 2 * (1 - scale)], [0, scale, (height - 1) / 2 * (1 - scale)], [0, 0, 1]]
        )
        target = frame(warped(drawn, np.linalg.inv(planted)))
        found = align(frame(disc_blur(drawn, 3.0)), target, mirrored=False)
        assert found.scale == pytest.approx(scale, abs=4e-4)


def test_laid_on_by_the_identity_is_the_frame(drawn: np.ndarray) -> None:
    same = laid_on(frame(drawn), Alignment(np.eye(3), False, 0), drawn.shape[:2])
    np.testing.assert_allclose(same.linear, drawn, atol=2e-3)


def test_places_that_the_target_did_not_see_are_told(drawn: np.ndarray) -> None:
    shifted = np.array([[1, 0, 30.0], [0, 1, 0], [0, 0, 1]])
    laid = laid_on(frame(drawn), Alignment(shifted, False, 0), drawn.shape[:2])
    assert laid.clipped[:, -30:].all() and not laid.clipped[:, :-31].any()
    seen = inside(shifted, drawn.shape[:2], drawn.shape[:2])
    assert seen[:, :-31].all() and not seen[:, -29:].any()
