"""Small fake trees of every public layout, and what is said when the tree is another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.data import registry
from allfocus.data.folder import load_two, match_results
from allfocus.data.pairs import PairSet
from allfocus.errors import DataError, OptionError


def photos(folder: Path, *names: str, bits: int = 8, grey: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shape = (8, 16) if grey else (8, 16, 3)
    pixels = np.full(shape, 77 if bits == 8 else 20000, np.uint8 if bits == 8 else np.uint16)
    image = pyvips.Image.new_from_array(pixels)
    image = image if bits == 8 else image.copy(interpretation="grey16" if grey else "rgb16")
    for name in names:
        image.write_to_file(str(folder / name))


def dpdd(root: Path, split: str = "test", bits: int = 8, views: bool = True) -> Path:
    photos(root / f"{split}_c" / "source", "1P0A0917.png", "1P0A0919.png", bits=bits)
    photos(root / f"{split}_c" / "target", "1P0A0918.png", "1P0A0920.png", bits=bits)
    for side in "lr" if views else "":
        photos(root / f"{split}_{side}" / "source", *(f"1P0A09{n}_{side.upper()}.png" for n in (17, 19)), bits=bits)
    return root


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("wrapper", ["", "DPDD", "dd_dp_dataset_canon"])
def test_dpdd(tmp_path: Path, bits: int, wrapper: str) -> None:
    dpdd(tmp_path / wrapper, bits=bits)
    found = registry.load("dpdd", tmp_path)
    first = found.pairs[0]
    assert (found.name, found.bits, first.name) == ("dpdd-test", bits, "1P0A0917")
    assert first.target is not None and first.target.name == "1P0A0918.png"
    assert first.left is not None and first.left.name == "1P0A0917_L.png"
    assert first.right is not None and first.right.name == "1P0A0917_R.png"


def test_dpdd_without_views_and_other_splits(tmp_path: Path) -> None:
    dpdd(tmp_path, "val", views=False)
    assert registry.load("dpdd", tmp_path, "val").pairs[0].left is None
    with pytest.raises(OptionError, match="train, val, test"):
        registry.load("dpdd", tmp_path, "holiday")


def test_dpdd_indoor_and_outdoor(tmp_path: Path) -> None:
    dpdd(tmp_path)
    np.save(tmp_path / "indoor_labels.npy", np.array([2]))
    np.save(tmp_path / "outdoor_labels.npy", np.array([1]))
    found = registry.load("dpdd", tmp_path)
    assert [pair.name for pair in found.only("indoor")] == ["1P0A0919"]
    assert [pair.name for pair in found.only("outdoor")] == ["1P0A0917"]
    np.save(tmp_path / "indoor_labels.npy", np.array([3]))
    with pytest.raises(DataError, match="positions from 1 to 2"):
        registry.load("dpdd", tmp_path)


def test_a_missing_view_file_is_named(tmp_path: Path) -> None:
    dpdd(tmp_path)
    (tmp_path / "test_l" / "source" / "1P0A0917_L.png").unlink()
    with pytest.raises(DataError, match=r"2 photos in .* but 1 in .*look for 1P0A0917"):
        registry.load("dpdd", tmp_path)


def test_realdof(tmp_path: Path) -> None:
    photos(tmp_path / "RealDOF" / "source", "a.png", "b.png")
    photos(tmp_path / "RealDOF" / "target", "c.png", "d.png")
    assert [pair.name for pair in registry.load("realdof", tmp_path)] == ["a", "b"]


def test_cuhk_passes_over_motion_blur_and_masks(tmp_path: Path) -> None:
    photos(tmp_path / "image", "out_of_focus0001.jpg", "motion0001.jpg")
    photos(tmp_path / "gt", "out_of_focus0001.png")
    found = registry.load("cuhk", tmp_path)
    assert [pair.name for pair in found] == ["out_of_focus0001"]
    assert found.pairs[0].target is None


def test_pixeldp_is_turned(tmp_path: Path) -> None:
    for side in "clr":
        photos(tmp_path / f"test_{side}" / "source", "one.png", bits=16, grey=True)
    found = registry.load("pixeldp", tmp_path)
    assert (found.pairs[0].quarter_turns, found.bits, found.pairs[0].target) == (1, 16, None)
    assert found.read(found.pairs[0].source).shape == (8, 16, 3)


def test_lfdof_has_several_apertures_to_one_truth(tmp_path: Path) -> None:
    photos(tmp_path / "test_data" / "input", "X_ap1.png", "X_ap2.png", "Y_ap1.png")
    photos(tmp_path / "test_data" / "ground_truth", "X.png", "Y.png")
    found = registry.load("lfdof", tmp_path)
    assert [pair.target.stem for pair in found if pair.target] == ["X", "X", "Y"]
    (tmp_path / "test_data" / "ground_truth" / "Y.png").unlink()
    with pytest.raises(DataError, match=r"Y_ap1\.png has no ground truth \(1 of 3"):
        registry.load("lfdof", tmp_path)


@pytest.mark.parametrize("names", [("source", "target"), ("input", "gt"), ("blur", "sharp")])
def test_pairs_of_any_folders(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        photos(tmp_path / "mine" / name, "a.png")
    found = registry.load("pairs", tmp_path / "mine")
    assert (found.name, len(found)) == ("mine", 1)
    assert len(load_two(tmp_path / "mine" / names[0], tmp_path / "mine" / names[1])) == 1


def test_photos_alone(tmp_path: Path) -> None:
    photos(tmp_path / "holiday", "b.jpg", "a.jpg")
    photos(tmp_path / "holiday" / ".thumbnails", "c.jpg")
    assert [pair.name for pair in registry.load("photos", tmp_path / "holiday")] == ["a", "b"]


@pytest.mark.parametrize("name", sorted(registry.LOADERS.keys() - {"syndp"}))  # SynDP makes itself
@pytest.mark.parametrize("place", ["", "nowhere"])
def test_an_empty_or_missing_folder_gets_the_expected_tree(tmp_path: Path, name: str, place: str) -> None:
    with pytest.raises(DataError) as caught:
        registry.load(name, tmp_path / place)
    assert "  ROOT/\n" in caught.value.expected
    assert ("does not exist" if place else "it holds nothing") in caught.value.got


def test_the_parent_of_the_right_folder_is_pointed_out(tmp_path: Path) -> None:
    dpdd(tmp_path / "data" / "defocus")
    with pytest.raises(DataError) as caught:
        registry.load("dpdd", tmp_path)
    assert f"--root {tmp_path / 'data' / 'defocus'}" in caught.value.hint
    with pytest.raises(DataError) as caught:
        registry.load("dpdd", tmp_path / "data" / "defocus" / "test_c")
    assert f"--root {tmp_path / 'data' / 'defocus'}" in caught.value.hint


def test_half_a_layout_is_pointed_out(tmp_path: Path) -> None:
    photos(tmp_path / "test_c" / "source", "a.png")
    with pytest.raises(DataError) as caught:
        registry.load("dpdd", tmp_path)
    assert "no photos in test_c/target/" in caught.value.got
    assert "which has test_c/source but not the rest" in caught.value.hint


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is a file"):
        registry.load("realdof", tmp_path / "set.zip")


def test_unknown_set() -> None:
    with pytest.raises(OptionError, match="one of dpdd, realdof"):
        registry.load("imagenet", Path())


def pairs_of(tmp_path: Path) -> PairSet:
    photos(tmp_path / "set" / "source", "1.png", "3.png")
    photos(tmp_path / "set" / "target", "2.png", "4.png")
    return registry.load("pairs", tmp_path / "set")


@pytest.mark.parametrize(
    "names", [("1.png", "3.png"), ("2.jpg", "4.jpg"), ("1.sharp.png", "3_restored.png"), ("x.png", "y.png")]
)
def test_results_are_found_by_name_or_by_order(tmp_path: Path, names: tuple[str, str]) -> None:
    photos(tmp_path / "theirs", *names)
    matched = match_results(tmp_path / "theirs", pairs_of(tmp_path))
    assert [matched[name].name for name in ("1", "3")] == list(names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no photos in"),
        (("1.png",), "none for 3"),
        (("x.png", "y.png", "z.png"), "0 of them named"),
        (("1.png", "1.jpg"), "one result per scene"),
    ],
)
def test_results_that_do_not_fit_are_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    photos(tmp_path / "theirs", *names)
    with pytest.raises(DataError) as caught:
        match_results(tmp_path / "theirs", pairs_of(tmp_path))
    assert words in str(caught.value)


def test_real_val(shared_data: Path) -> None:
    if not (shared_data / "real-val").is_dir():
        pytest.skip("no real-val")
    found = registry.load("pairs", shared_data / "real-val")
    assert (found.name, len(found), found.bits) == ("real-val", 12, 8)
