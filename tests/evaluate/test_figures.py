from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.data import registry
from allfocus.data.pairs import PairSet
from allfocus.errors import OptionError
from allfocus.evaluate.figures import Crop, choose_crops, draw, make_row
from allfocus.evaluate.methods import MethodSpec


def test_png_and_pdf_with_titles_in_order(tiny: PairSet, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    methods = [MethodSpec(f"theirs=folder:{tiny.root / 'target'}").build(tiny)]
    rows = [make_row(tiny, pair, methods) for pair in tiny.first(2)]
    assert [title.split("\n")[0] for title in rows[0].titles] == ["input", "theirs", "ground truth"]
    assert rows[0].titles[1].endswith("inf dB")
    paths = [tmp_path / "figures" / "one.png", tmp_path / "figures" / "one.pdf"]
    draw(rows, paths)
    assert paths[1].read_bytes().startswith(b"%PDF")
    assert pyvips.Image.new_from_file(str(paths[0])).width == pytest.approx(3 * 2.4 * 200, abs=1)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["one.pdf", "one.png"]


def test_without_ground_truth(tiny: PairSet, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    photos = registry.load("photos", tiny.root / "source")
    row = make_row(photos, photos.pairs[0], [MethodSpec("input").build(photos)], [Crop(1, 2, 9, 5)])
    assert row.titles == ("input",)
    draw([row], [tmp_path / "one.png"])


def test_crops_are_chosen_where_detail_was_gained() -> None:
    noise = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)
    source = np.zeros((60, 90, 3), np.float32)
    source[40:52, 5:17] = noise
    other = source.copy()
    other[10:22, 20:32] = noise
    other[40:52, 70:82] = noise / 2
    first, second = choose_crops(source, other, 2)
    assert abs(first.x - 20) <= 1 and abs(first.y - 10) <= 1
    assert abs(second.x - 70) <= 1 and abs(second.y - 40) <= 1
    assert len(choose_crops(source[:1, :1], other[:1, :1], 4)) == 1


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "0,0,0,5", "-1,0,4,4"])
def test_a_crop_that_is_none(text: str) -> None:
    with pytest.raises(OptionError, match="--crop"):
        Crop.parse(text)


def test_a_crop_outside_is_refused_before_drawing(tiny: PairSet) -> None:
    assert Crop.parse("1,2,3,4") == Crop(1, 2, 3, 4)
    with pytest.raises(OptionError, match="inside the photo of 37x29"):
        make_row(tiny, tiny.pairs[0], [], [Crop(30, 20, 10, 10)])
