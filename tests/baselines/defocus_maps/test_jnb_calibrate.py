"""The calibration command, on a few small patches of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
from scipy import ndimage

import jnb_calibrate
from allfocus.baselines.defocus_maps import jnb
from allfocus.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(6):
        field = ndimage.gaussian_filter(np.random.default_rng(k).standard_normal((96, 96, 3)), (0.7, 0.7, 0))
        pixels = np.clip(128 + 80 * field, 0, 255).astype(np.uint8)
        pyvips.Image.new_from_array(pixels).write_to_file(str(tmp_path / f"a_{k}.png"))
    (tmp_path / "manifest.csv").write_text("file,group,licence\na_0.png,a,CC0\n", encoding="utf-8")
    return tmp_path


def test_the_command_writes_what_the_method_reads(folder: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "mine.npz"
    jnb_calibrate.main(["--photos", str(folder), "--groups", "a_", "--curve-photos", "2", "-o", str(output)])
    calibration = jnb.Calibration.from_bytes(output.read_bytes())
    assert calibration.dictionary.shape == (128, 64)
    assert "1 tiles of a, CC0" in calibration.note
    assert "sigma 0.00 px" in capsys.readouterr().out
    sharp = calibration.sigma(calibration.sparsity[-1])
    assert sharp == 0.0
    assert not list(tmp_path.glob("*.partial"))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo in"):
        jnb_calibrate.main(["--photos", str(tmp_path)])
