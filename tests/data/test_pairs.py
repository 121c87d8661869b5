from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.data.pairs import assemble, header, pair_name, read
from allfocus.errors import DataError, OptionError


def photo(path: Path, width: int = 13, height: int = 7, value: int = 128, dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((height, width, 3), value, dtype)
    pyvips.Image.new_from_array(pixels, interpretation="rgb16" if dtype == np.uint16 else "srgb").write_to_file(
        str(path)
    )
    return path


def two(tmp_path: Path, sources: list[str], targets: list[str]) -> tuple[list[Path], list[Path]]:
    return (
        [photo(tmp_path / "source" / name) for name in sources],
        [photo(tmp_path / "target" / name) for name in targets],
    )


def test_eight_and_sixteen_bits_share_their_range(tmp_path: Path) -> None:
    assert read(photo(tmp_path / "a.png", value=128)) == pytest.approx(128 / 255)
    deep = photo(tmp_path / "b.png", value=30000, dtype=np.uint16)
    assert read(deep) == pytest.approx(30000 / 65535)
    assert read(deep, 8) == pytest.approx(round(30000 / 257) / 255)
    assert read(deep).dtype == np.float32
    assert header(deep).bits == 16


def test_grey_is_repeated(tmp_path: Path) -> None:
    pyvips.Image.new_from_array(np.arange(12, dtype=np.uint8).reshape(3, 4)).write_to_file(str(tmp_path / "g.png"))
    assert read(tmp_path / "g.png").shape == (3, 4, 3)


def test_names_may_differ_everywhere_as_in_dpdd(tmp_path: Path) -> None:
    sources, targets = two(tmp_path, ["1P0A01.png", "1P0A03.png"], ["1P0A02.png", "1P0A04.png"])
    found = assemble("x", tmp_path, sources, targets)
    assert [(pair.name, pair.target) for pair in found] == list(zip(["1P0A01", "1P0A03"], targets, strict=True))
    assert found.depth == "8"
    assert len(found.first(1)) == 1


@pytest.mark.parametrize(
    ("sources", "targets", "words"),
    [
        (["a.png", "b.png"], ["a.png"], "look for b"),
        (["a.png", "b.png", "c.png"], ["b.png", "c.png", "d.png"], "photo 1 is a.png as source but b.png as target"),
        ([], [], "no photos"),
    ],
)
def test_mismatches_are_refused(tmp_path: Path, sources: list[str], targets: list[str], words: str) -> None:
    with pytest.raises(DataError) as caught:
        assemble("x", tmp_path, *two(tmp_path, sources, targets))
    assert words in str(caught.value)


def test_sizes_must_agree(tmp_path: Path) -> None:
    sources = [photo(tmp_path / "source" / "a.png", 13, 7)]
    targets = [photo(tmp_path / "target" / "a.png", 12, 7)]
    with pytest.raises(DataError, match=r"13x7 px but .* has 12x7"):
        assemble("x", tmp_path, sources, targets)


def test_bit_depths_are_not_mixed(tmp_path: Path) -> None:
    sources = [photo(tmp_path / "source" / "a.png"), photo(tmp_path / "source" / "b.png", dtype=np.uint16)]
    with pytest.raises(DataError, match="mixes 8-bit"):
        assemble("x", tmp_path, sources)


def test_sixteen_bits_rounded_to_eight_say_so(tmp_path: Path) -> None:
    sources = [photo(tmp_path / "a.png", value=30000, dtype=np.uint16)]
    assert assemble("x", tmp_path, sources, bits=8).depth == "16-rounded-to-8"
    with pytest.raises(OptionError, match="8 or 16"):
        assemble("x", tmp_path, sources, bits=10)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_cut_off_file_is_found_before_anything_runs(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pyvips.Image.new_from_array(noise).write_to_file(str(path))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="ends too early"):
        assemble("x", tmp_path, [path])


def test_text_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(DataError, match="cannot be read"):
        assemble("x", tmp_path, [tmp_path / "a.png"])


def test_groups_come_from_their_file(tmp_path: Path) -> None:
    sources, targets = two(tmp_path, ["a.png", "b.png"], ["a.png", "b.png"])
    (tmp_path / "groups.csv").write_text("name,group\nb,indoor\nb,night\n")
    found = assemble("x", tmp_path, sources, targets)
    assert found.pairs[1].groups == ("indoor", "night")
    assert found.only("indoor").name == "x-indoor"
    with pytest.raises(DataError, match="one of indoor, night"):
        found.only("outdoor")
    (tmp_path / "groups.csv").write_text("file,kind\n")
    with pytest.raises(DataError, match="name and group"):
        assemble("x", tmp_path, sources, targets)


def test_twins_in_two_folders_get_the_folder_in_front() -> None:
    paths = [Path("one/a.png"), Path("two/a.png"), Path("two/b.png")]
    assert [pair_name(path, paths) for path in paths] == ["one_a", "two_a", "b"]
