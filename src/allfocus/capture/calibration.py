"""A rig of two cameras, calibrated once from photos of a board: distortion, and the homography between the views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import write_json
from allfocus.capture.frame import Frame, read
from allfocus.capture.opencv import cv2
from allfocus.capture.pairing import Exposures
from allfocus.errors import DataError, OptionError

FORMAT = 1
LEAST_SHOTS = 3
LEAST_CORNERS = 12
HINT = "eight or more shots of a flat board, tilted, that fill the frame"


class OtherSize(DataError):
    """A photo that has not the size that the rig was calibrated for."""


@dataclass(frozen=True)
class Board:
    """A printed board.

    Attributes:
        columns, rows: squares of a ChArUco board, or inner corners of a chessboard.
        charuco: which of the two it is; markers are of OpenCV's dictionary DICT_4X4_250, 0.7 of a square large.
    """

    columns: int
    rows: int
    charuco: bool = False

    @classmethod
    def parse(cls, text: str) -> Board:
        """From "9x6" (inner corners of a chessboard) or "charuco:11x8" (squares). OptionError for anything else."""
        kind, _, size = text.rpartition(":")
        columns, cross, rows = size.partition("x")
        if kind not in ("", "chess", "charuco") or not cross or not (columns.isdigit() and rows.isdigit()):
            raise OptionError(f"--board {text}", "COLUMNSxROWS, or charuco:COLUMNSxROWS", "--board 9x6")
        return cls(int(columns), int(rows), kind == "charuco")

    def corners(self, plane: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Corners in a picture, (n, 2) in px, and on the board, (n, 2) in squares; None where it is not found."""
        if self.charuco:
            detector = cv2.aruco.CharucoDetector(self.charuco_board())
            found, numbers, _, _ = detector.detectBoard(plane)
            if found is None or numbers is None or len(numbers) < LEAST_CORNERS:
                return None
            places = self.charuco_board().getChessboardCorners()[numbers.ravel(), :2]
            return found.reshape(-1, 2).astype(np.float32), places.astype(np.float32)
        done, found = cv2.findChessboardCornersSB(plane, (self.columns, self.rows), flags=cv2.CALIB_CB_ACCURACY)
        if not done:
            return None
        places = np.mgrid[0 : self.columns, 0 : self.rows].T.reshape(-1, 2)
        return found.reshape(-1, 2).astype(np.float32), places.astype(np.float32)

    def charuco_board(self):
        """OpenCV's own description of a ChArUco board."""
        words = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_250)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), 1.0, 0.7, words)


@dataclass(frozen=True)
class Camera:
    """One camera: OpenCV's matrix (3 x 3) and distortion (k1, k2, p1, p2, k3), and the misfit of its corners in px."""

    matrix: list[list[float]]
    distortion: list[float]
    misfit_px: float


@dataclass(frozen=True)
class Rig:
    """Two cameras that keep their places.

    Attributes:
        size: width and height of the photos in px.
        source, target: the cameras.
        homography: from pixels of the source to pixels of the target after its flip, both straightened, 3 x 3; right
            at the board's mean distance, and a start for each pair's own fit anywhere.
        mirrored: the target looks at a mirror image.
        residual_px: median distance of corners after the homography.
        residual_95_px: what 95 of 100 stay below.
        shots: how many boards decided.
    """

    size: tuple[int, int]
    source: Camera
    target: Camera
    homography: list[list[float]]
    mirrored: bool
    residual_px: float
    residual_95_px: float
    shots: int

    @property
    def warp(self) -> NDArray[np.float64]:
        """The homography as an array."""
        return np.array(self.homography, np.float64)

    def straightened(self, frame: Frame, role: str) -> Frame:
        """A frame of the "source" or "target" camera without its distortion; OtherSize for another size."""
        width, height = self.size
        if frame.shape != (height, width):
            raise OtherSize(
                f"{frame.shape[1]}x{frame.shape[0]} px",
                f"{width}x{height}, as calibrated",
                "calibrate again",
            )
        camera = self.source if role == "source" else self.target
        matrix, distortion = np.array(camera.matrix), np.array(camera.distortion)
        # five cubic taps in 1/32 px steps would be coarse; float maps through remap keep the sub-pixel place
        maps = cv2.initUndistortRectifyMap(matrix, distortion, np.eye(3), matrix, (width, height), cv2.CV_32FC1)
        linear = cv2.remap(frame.linear, *maps, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
        clipped = cv2.remap(frame.clipped.astype(np.float32), *maps, cv2.INTER_LINEAR, borderValue=1.0) > 0.01
        return Frame(np.clip(linear, 0, 1), clipped)

    def write(self, path: Path) -> None:
        """As JSON, written beside and renamed."""
        write_json(path, {"format": FORMAT, **asdict(self)})

    @classmethod
    def read(cls, path: Path) -> Rig:
        """A rig that `write` wrote. DataError for any other file."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record.pop("format") != FORMAT:
                raise ValueError("another format")
            cameras = {role: Camera(**record.pop(role)) for role in ("source", "target")}
            return cls(size=tuple(record.pop("size")), **cameras, **record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is not a rig file ({error})", "one of `allfocus capture calibrate`", "make it again"
            ) from None


def calibrate(shots: Sequence[Exposures], board: Board, mirrored: bool = True) -> Rig:
    """A rig from pairs of photos of a board; pairs in which one camera does not show the board are left out.

    A target that is `mirrored` is flipped first. DataError: fewer than three pairs with the board, or photos of two
    sizes.
    """
    ours, theirs, places, sizes = [], [], [], set()
    for shot in shots:
        if not shot.sources or not shot.targets:
            continue
        source, target = read(shot.sources[0]), read(shot.targets[0])
        sizes |= {source.shape, target.shape}
        raw = [_codes(frame) for frame in (source, target)]
        # a board in a mirror is no board: the target is flipped before it is looked for
        found = [board.corners(raw[0]), board.corners(np.ascontiguousarray(raw[1][:, ::-1]) if mirrored else raw[1])]
        if found[0] is None or found[1] is None:
            continue
        both = _common(found[0], found[1])
        if both is None:
            continue
        first, second, on_board = both
        ours.append(first)
        theirs.append(second)
        places.append(np.column_stack([on_board, np.zeros(len(on_board))]).astype(np.float32))
    if len(sizes) > 1:
        raise DataError("photos of several sizes", "one size from both cameras", "one camera setting throughout")
    if len(ours) < LEAST_SHOTS:
        raise DataError(f"the board in {len(ours)} of {len(shots)} pairs", f"at least {LEAST_SHOTS}", HINT)
    height, width = sizes.pop()
    cameras = [_camera(places, corners, (width, height)) for corners in (ours, theirs)]
    straight = [
        np.concatenate([_straight(corners, camera) for corners in side])
        for side, camera in ((ours, cameras[0]), (theirs, cameras[1]))
    ]
    warp, _ = cv2.findHomography(straight[0], straight[1], cv2.RANSAC, 5.0)
    if warp is None:
        raise DataError("no homography fits the corners", "views of one scene", HINT)
    there = cv2.perspectiveTransform(straight[0][None].astype(np.float64), warp)[0]
    lengths = np.hypot(*(there - straight[1]).T)
    target = cameras[1]
    if mirrored:  # the target camera's own photos are not flipped, so its optical centre is where it was
        matrix = np.array(target.matrix)
        matrix[0, 2] = width - 1 - matrix[0, 2]
        k1, k2, p1, p2, k3 = target.distortion
        target = Camera(matrix.tolist(), [k1, k2, p1, -p2, k3], target.misfit_px)
    return Rig(
        (width, height), cameras[0], target, (warp / warp[2, 2]).tolist(), mirrored,
        float(np.median(lengths)), float(np.quantile(lengths, 0.95)), len(ours),
    )  # fmt: skip


def _camera(places: list[NDArray[np.float32]], corners: list[NDArray[np.float32]], size: tuple[int, int]) -> Camera:
    misfit, matrix, distortion, _, _ = cv2.calibrateCamera(places, corners, size, None, None)
    return Camera(matrix.tolist(), [float(one) for one in distortion.ravel()[:5]], float(misfit))


def _straight(corners: NDArray[np.float32], camera: Camera) -> NDArray[np.float64]:
    matrix = np.array(camera.matrix)
    return cv2.undistortPoints(corners[:, None].astype(np.float64), matrix, np.array(camera.distortion), P=matrix)[:, 0]


def _common(
    first: tuple[NDArray[np.float32], NDArray[np.float32]], second: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None:
    """The corners that both see, in px of each, and on the board."""
    numbers = {tuple(np.round(place, 3)): index for index, place in enumerate(second[1])}
    shared = [
        (index, numbers[key]) for index, place in enumerate(first[1]) if (key := tuple(np.round(place, 3))) in numbers
    ]
    if len(shared) < LEAST_CORNERS:
        return None
    ours, theirs = (list(one) for one in zip(*shared, strict=True))
    return first[0][ours], second[0][theirs], first[1][ours]


def _codes(frame: Frame) -> NDArray[np.uint8]:
    return np.rint(frame.luma * 255).astype(np.uint8)
