from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from allfocus.capture.calibration import Board, Rig, calibrate
from allfocus.capture.frame import Frame
from allfocus.errors import DataError, OptionError
from boards import SIZE, seen, shots


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
