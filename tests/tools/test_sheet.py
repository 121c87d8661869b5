"""Input and result side by side on one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

import sheet


@pytest.mark.parametrize("paired", [False, True])
def test_a_row_for_each_photo(paired: bool, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = pyvips.Image.new_from_file(str(repository / "examples" / "photos" / "coffee-simulated.jpg"))
    sharp = pyvips.Image.new_from_file(str(repository / "examples" / "truth" / "coffee.png"))
    folder = tmp_path / "photos"
    for side, image in (("source", photo), ("target", sharp)) if paired else ((".", photo),):
        (folder / side).mkdir(parents=True)
        image.crop(100, 100, 224, 160).write_to_file(str(folder / side / "a.png"))
    out = tmp_path / "new" / "sheet.jpg"
    monkeypatch.setattr("sys.argv", ["sheet.py", str(folder), "-o", str(out)])
    sheet.main()
    made = pyvips.Image.new_from_file(str(out))
    columns = 3 if paired else 2
    assert made.width > columns * (224 + 2 * 160) and made.height >= 2 * 160


def test_the_crop_is_where_most_has_changed() -> None:
    before = np.zeros((300, 400, 3), np.uint8)
    after = before.copy()
    after[250:260, 300:310] = 90
    top, left = sheet.most_changed(before, after)
    assert top <= 250 <= 259 < top + sheet.CROP_PX and left <= 300 <= 309 < left + sheet.CROP_PX
