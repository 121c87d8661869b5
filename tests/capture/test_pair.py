from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips
import tifffile

from allfocus.capture.calibration import Board, Camera, Rig, calibrate
from allfocus.capture.demo import PlantedScene, write_jpeg
from allfocus.capture.frame import encoded
from allfocus.capture.pair import PairOptions, make
from allfocus.capture.pairing import Exposures
from allfocus.capture.picture import write_png
from allfocus.capture.scene import disc_blur
from allfocus.capture.scene import drawn as drawn_scene
from allfocus.metrics.registration import displacement, rms_px, warped
from boards import MATRIX, SIZE, shots

GOOD = PairOptions(mirrored=False)


@pytest.fixture
def wide(drawn: np.ndarray, tmp_path: Path) -> Path:
    """The blurred view of the scene."""
    write_png(encoded(disc_blur(drawn, 3.0)), tmp_path / "wide.png", 16)
    return tmp_path / "wide.png"


def shot_with(linear: np.ndarray, path: Path, aperture: str) -> Path:
    """A JPEG that states the aperture it was taken with."""
    codes = np.rint(encoded(np.clip(linear, 0, 1)) * 255).astype(np.uint8)
    image = pyvips.Image.new_from_array(codes, interpretation="srgb").copy()
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd2-FNumber", aperture)
    image.jpegsave(str(path), Q=97)
    return path


def test_the_sharpest_frame_of_a_burst_is_the_target(drawn: np.ndarray, wide: Path, tmp_path: Path) -> None:
    frames = []
    for number, radius_px in enumerate((2.0, 0.0, 3.0)):
        frames.append(tmp_path / f"narrow{number}.jpg")
        write_jpeg(disc_blur(drawn, radius_px), frames[-1], number)
    made = make(Exposures("a", (wide,), tuple(frames)), GOOD)
    assert made.target == frames[1] and not made.reasons and (made.measures.flicker or 0) < 0.01


def test_light_that_changes_within_a_burst_is_flicker_but_not_within_a_bracket(
    drawn: np.ndarray, wide: Path, tmp_path: Path
) -> None:
    lights = (1.0, 0.9, 0.8)
    burst = [shot_with(drawn * light, tmp_path / f"burst{light}.jpg", "16/1") for light in lights]
    assert make(Exposures("a", (wide,), tuple(burst)), GOOD).reasons == ("flicker",)
    bracket = [shot_with(drawn * light, tmp_path / f"f{light}.jpg", f"{round(10 / light)}/1") for light in lights]
    assert make(Exposures("a", (wide,), tuple(bracket)), GOOD).reasons == ()


def test_jpeg_tiff_and_png_make_one_pair(drawn: np.ndarray, wide: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "n.tif", np.rint(encoded(drawn) * 65535).astype(np.uint16), photometric="rgb")
    write_jpeg(drawn, tmp_path / "n.jpg", 0)
    for target in ("n.tif", "n.jpg"):
        made = make(Exposures("a", (wide,), (tmp_path / target,)), GOOD)
        assert made.alignment is not None and not made.reasons
        assert rms_px(displacement(made.alignment.warp, drawn.shape[:2])) < 0.05


def test_a_local_field_takes_away_what_one_warp_leaves(tmp_path: Path) -> None:
    scene = drawn_scene(np.random.default_rng(8), (360, 480))[64:-64, 64:-64]
    rows, columns = np.mgrid[0 : scene.shape[0], 0 : scene.shape[1]].astype(np.float32)
    across = 3 * (2 * rows / scene.shape[0] - 1) ** 2
    bent = cv2.remap(scene, columns + across, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    write_png(encoded(disc_blur(scene, 3.0)), tmp_path / "wide.png", 16)
    write_png(encoded(np.asarray(bent, np.float32)), tmp_path / "bent.png", 16)
    pair = Exposures("a", (tmp_path / "wide.png",), (tmp_path / "bent.png",))
    without, with_field = (
        make(pair, options).measures.shift_px for options in (GOOD, PairOptions(mirrored=False, flow_px=3.0))
    )
    assert without is not None and with_field is not None and with_field < 0.5 * without


def distorted(linear: np.ndarray, matrix: np.ndarray, k1: float) -> np.ndarray:
    """What a camera with radial distortion makes of a straight view."""
    height, width = linear.shape[:2]
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    points = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2).astype(np.float64)
    straight = cv2.undistortPoints(points, matrix, np.array([k1, 0, 0, 0, 0.0]), P=matrix)
    places = straight.reshape(height, width, 2).astype(np.float32)
    return cv2.remap(linear, places[..., 0], places[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def test_a_rig_is_used_for_a_session(tmp_path: Path) -> None:
    """Boards, a rig from them, then a pair that only the rig's distortion can lay on each other."""
    rig = calibrate(shots(tmp_path, Board(8, 5)), Board(8, 5))
    scene = drawn_scene(np.random.default_rng(8), (SIZE[1], SIZE[0]))[64:-64, 64:-64]
    moved = np.array([[1, 0, 8.0], [0, 1, 0.0], [0, 0, 1]])  # as the boards' views
    second = np.clip(warped(scene, np.linalg.inv(moved), order=3), 0, 1).astype(np.float32)
    write_png(encoded(disc_blur(distorted(scene, MATRIX, -0.12), 3.0)), tmp_path / "w.png", 16)
    write_png(encoded(distorted(second, MATRIX, -0.05))[:, ::-1], tmp_path / "n.png", 16)
    pair = Exposures("a", (tmp_path / "w.png",), (tmp_path / "n.png",))
    made = make(pair, PairOptions(rig=rig))
    assert made.alignment is not None and made.alignment.mirrored and made.alignment.features == 0
    straight, bent = made.measures.many_px, make(pair, PairOptions()).measures.many_px
    assert made.reasons == () and straight is not None and bent is not None and bent > 2 * straight


def test_photos_of_another_size_than_the_rig_are_a_reason(wide: Path) -> None:
    camera = Camera(MATRIX.tolist(), [0.0] * 5, 0.1)
    rig = Rig(SIZE, camera, camera, np.eye(3).tolist(), False, 0.1, 0.2, 5)
    made = make(Exposures("a", (wide,), (wide,)), PairOptions(rig=rig))
    assert made.reasons == ("different sizes",) and "as calibrated" in made.detail


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("alone", "no target for WIDE"),
        ("resized", "224x192 and 168x144 px"),
        ("black", "is black"),
        ("wall", "no texture to align"),
        ("elsewhere", "no common features"),
    ],
)
def test_a_bad_pair_has_one_reason_and_says_what_was_seen(
    demo: tuple[Path, list[PlantedScene]], fault: str, words: str
) -> None:
    folder, scenes = demo
    (scene,) = (one for one in scenes if one.fault == fault)
    source = folder / "wide" / f"{scene.name}.jpg"
    target = folder / "narrow" / f"NARROW{int(scene.name.removeprefix('WIDE')) + 100:04d}.jpg"
    made = make(Exposures(scene.name, (source,), (target,) if target.is_file() else ()), PairOptions())
    assert made.reasons == (scene.reason,) and words in made.detail and made.pictures is None


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (16, 16), (23, 24), (40, 200), (65, 64)])
def test_no_size_is_too_small_for_an_answer(drawn: np.ndarray, size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    for name, view in (("w", disc_blur(drawn, 1.5)), ("n", drawn)):
        write_png(encoded(view[:height, :width]), tmp_path / f"{name}.png", 8)
    made = make(Exposures("a", (tmp_path / "w.png",), (tmp_path / "n.png",)), PairOptions(flow_px=1.0))
    assert made.pictures is not None or made.reasons[0] in ("no texture", "no overlap")
