"""Shots of a board by two cameras behind a beam splitter, with known distortion."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyvips

from allfocus.capture.calibration import Board
from allfocus.capture.pairing import Exposures

SIZE = (480, 360)
MATRIX = np.array([[520.0, 0, 245], [0, 520, 172], [0, 0, 1]])


def front(board: Board) -> np.ndarray:
    """The board from the front, 40 px a square, with a white rim."""
    if board.charuco:
        return board.charuco_board().generateImage((40 * board.columns + 80, 40 * board.rows + 80), marginSize=40)
    rows, columns = np.indices((board.rows + 1, board.columns + 1))
    squares = np.kron((rows + columns) % 2, np.ones((40, 40))) * 255
    return np.pad(squares, 40, constant_values=255).astype(np.uint8)


def seen(board: Board, tilt: tuple[float, float], offset: tuple[float, float], k1: float) -> np.ndarray:
    """Through a camera with radial distortion: (H, W) codes."""
    straight_on = front(board)
    tall, wide = straight_on.shape
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
        straight_on, places[..., 0], places[..., 1], cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=200
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
