from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips

from allfocus.capture.calibration import Board, Rig, calibrate
from allfocus.capture.frame import Frame
from allfocus.capture.pairing import Exposures
from allfocus.errors import DataError, OptionError

SIZE = (480, 360)
MATRIX = np.array([[520.0, 0, 245], [0, 520, 172], [0, 0, 1]])


def picture(board: Board) -> np.ndarray:
    """The board from the front, 40 px a square, with a white rim."""
    if board.charuco:
        return board.charuco_board().generateImage((40 * board.columns + 80, 40 * board.rows + 80), marginSize=40)
    rows, columns = np.indices((board.rows + 1, board.columns + 1))
    squares = np.kron((rows + columns) % 2, np.ones((40, 40))) * 255
    return np.pad(squares, 40, constant_values=255).astype(np.uint8)


def seen(board: Board, tilt: tuple[float, float], offset: tuple[float, float], k1: float) -> np.ndarray:
    """Through a camera with radial distortion: (H, W) codes."""
    front = picture(board)
    tall, wide = front.shape
    unit = 40.0
    rotation, _ = cv2.Rodrigues(np.array([*tilt, 0.05]))
    move = np.array([offset[0], offset[1], 13.0])
    to_board = np.array([[1 / unit, 0, -wide / 2 / unit], [0, 1 / unit, -tall / 2 / unit], [0, 0, 1]])
    homography = MATRIX @ np.column_stack([rotation[:, 0], rotation[:, 1], move]) @ to_board
    across, down = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    points = np.stack([across, down], axis=-1).reshape(-1, 1, 2).astype(np.float64)
    straight = cv2.undistortPoints(points, MATRIX, np.array([k1, 0, 0, 0, 0.0]), P=MATRIX)
    places = (
        cv2.perspectiveTransform(straight, np.linalg.inv(homography)).reshape(SIZE[1], SIZE[0], 2).astype(np.float32)
    )
    return cv2.remap(
        front, places[..., 0], places[..., 1], cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=200
    )


def shots(folder: Path, board: Board, count: int = 6) -> list[Exposures]:
    found = []
    generator = np.random.default_rng(3)
    for number in range(count):
        tilt = tuple(generator.uniform(-0.45, 0.45, 2))
        offset = tuple(generator.uniform(-0.8, 0.8, 2))
        views = [seen(board, tilt, offset, -0.12), seen(board, tilt, (offset[0] + 0.2, offset[1]), -0.05)[:, ::-1]]
        paths = [folder / f"{name}{number}.png" for name in ("wide", "narrow")]
        for view, path in zip(views, paths, strict=True):
            pyvips.Image.new_from_array(np.ascontiguousarray(view)).pngsave(str(path))
        found.append(Exposures(str(number), (paths[0],), (paths[1],)))
    return found


@pytest.mark.parametrize("board", [Board(8, 5), Board(9, 6, charuco=True)])
def test_a_rig_is_measured(tmp_path: Path, board: Board) -> None:
    rig = calibrate(shots(tmp_path, board), board)
    assert rig.shots >= 4 and rig.size == SIZE
    assert rig.source.matrix[0][0] == pytest.approx(520, rel=0.03)
    assert rig.source.distortion[0] == pytest.approx(-0.12, abs=0.05)
    assert rig.target.distortion[0] == pytest.approx(-0.05, abs=0.05)
    assert rig.target.matrix[0][2] == pytest.approx(SIZE[0] - 1 - 245, abs=12)  # of the mirrored view as it was read
    assert rig.residual_px < 1.5 and rig.warp[0, 2] == pytest.approx(0.2 * 520 / 13, abs=4)
    rig.write(tmp_path / "rig.json")
    assert Rig.read(tmp_path / "rig.json") == rig


def test_straightening_undoes_the_distortion(tmp_path: Path) -> None:
    board = Board(8, 5)
    rig = calibrate(shots(tmp_path, board), board)
    codes = seen(board, (0.0, 0.0), (0.0, 0.0), -0.12)
    linear = np.repeat(codes[..., None] / np.float32(255), 3, axis=2).astype(np.float32)
    straight = rig.straightened(Frame(linear, np.zeros(linear.shape[:2], bool)), "source")
    corners = board.corners(np.rint(straight.linear[..., 0] * 255).astype(np.uint8))
    assert corners is not None
    rows = corners[0].reshape(5, 8, 2)
    bend = [np.abs(np.polyval(np.polyfit(row[:, 0], row[:, 1], 1), row[:, 0]) - row[:, 1]).max() for row in rows]
    assert max(bend) < 0.4
    with pytest.raises(DataError, match="as calibrated"):
        rig.straightened(Frame(linear[:-1], np.zeros((SIZE[1] - 1, SIZE[0]), bool)), "source")


def test_too_few_boards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 3"):
        calibrate(shots(tmp_path, Board(8, 5), 2), Board(8, 5))


@pytest.mark.parametrize("text", ["9", "9x", "dots:4x5", "axb"])
def test_a_board_is_written_in_one_way(text: str) -> None:
    assert Board.parse("9x6") == Board(9, 6) and Board.parse("charuco:11x8") == Board(11, 8, charuco=True)
    with pytest.raises(OptionError, match="COLUMNSxROWS"):
        Board.parse(text)


def test_another_file_is_no_rig(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(DataError, match="is not a rig file"):
        Rig.read(tmp_path / "x.json")
