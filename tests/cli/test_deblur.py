"""`allfocus deblur` as a user meets it: results, refusals with exit code 2, and nothing left behind."""

from __future__ import annotations

import errno
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
import torch

import allfocus
from allfocus.checkpoints.release import release
from allfocus.cli.main import main
from allfocus.defocus.files import read_tiff
from allfocus.nets.registry import Architecture


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.kron(rng.integers(0, 255, (height // 4 + 1, width // 4 + 1, 3)), np.ones((4, 4, 1)))[
        :height, :width
    ].astype(np.uint8)


def saved(path: Path, pixels: np.ndarray) -> Path:
    pyvips.Image.new_from_array(pixels).write_to_file(str(path))
    return path


def run(*arguments: object) -> int:
    """The command's exit code."""
    try:
        main(["deblur", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def missing(folder: Path) -> Path:
    return folder / "missing.jpg"


def text(folder: Path) -> Path:
    path = folder / "text.jpg"
    path.write_text("this is a shopping list, not a photo " * 5)
    return path


def truncated(folder: Path) -> Path:
    path = saved(folder / "truncated.jpg", picture(200, 200))
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.png"
    path.touch()
    return path


def not_a_number(folder: Path) -> Path:
    pixels = np.full((20, 20, 3), 0.5, np.float32)
    pixels[3, 4, 1] = np.nan
    tifffile.imwrite(folder / "nan.tif", pixels, photometric="rgb")
    return folder / "nan.tif"


def bomb(folder: Path) -> Path:
    """A PNG of a few bytes that says it has 2.5 gigapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    path = folder / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


BAD = [
    (missing, "missing.jpg does not exist; expected a photo, a folder or a glob; try: check the spelling"),
    (text, "text.jpg is not a photo that can be read here"),
    (truncated, "truncated.jpg is damaged or cut short"),
    (empty, "empty.png is empty (0 bytes)"),
    (not_a_number, "nan.tif holds NaN or infinite samples"),
    (bomb, "bomb.png says it has 50000x50000 pixels (2.5e+03 megapixels); expected at most 500 megapixels"),
]


@pytest.mark.parametrize(("make", "told"), BAD)
def test_bad_input_is_one_clear_line_exit_code_2_and_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], told: str
) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert run(path) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("allfocus: ")
    assert told in lines[0]
    assert "; try: " in lines[0]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (7, 13)])
def test_odd_sizes_work_and_keep_their_size(tmp_path: Path, size: tuple[int, int]) -> None:
    path = saved(tmp_path / "odd.png", picture(*size))
    assert run(path) == 0
    sharp = pyvips.Image.new_from_file(str(tmp_path / "odd.sharp.png"))
    assert (sharp.height, sharp.width) == size


def test_the_original_and_an_earlier_result_stay(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.png", picture())
    original = path.read_bytes()
    assert run(path) == 0
    (tmp_path / "a.sharp.png").write_bytes(b"mine")
    assert run(path) == 2
    assert "a.sharp.png" in capfd.readouterr().err
    assert (tmp_path / "a.sharp.png").read_bytes() == b"mine"
    assert run(path, "-o", path) == 2
    assert path.read_bytes() == original
    assert run(path, "--overwrite") == 0
    assert (tmp_path / "a.sharp.png").read_bytes() != b"mine"


def test_an_output_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.png", picture())
    (tmp_path / "file").touch()
    assert run(path, "-o", tmp_path / "file" / "b.png") == 2
    assert "; expected " in capfd.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "file"]


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", picture())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr(Path, "replace", full)
    assert run(path) == 2
    assert "o space left on device" in capfd.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_in_a_folder_the_others_still_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    saved(folder / "good.png", picture())
    saved(folder / "deep" / "also.png", picture())
    empty(folder)
    assert run(folder, "-o", tmp_path / "out") == 2
    told = capfd.readouterr().err
    assert "2 of 3 photos done, 1 failed" in told
    assert "empty.png" in told
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert written == ["deep/also.png", "good.png"]


def test_json_tells_what_was_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.png", picture())
    assert run(path, "--json", "--compare", "--scale", "2", "--precision", "float32") == 0
    row = json.loads(capfd.readouterr().out)
    assert row["output"] == str(tmp_path / "a.sharp.png")
    assert row["engine"]["precision"] == "float32"
    assert Path(row["comparison"]).is_file()
    assert (row["width"], row["height"]) == (60, 40)


def test_the_defocus_map_is_written_beside_the_result(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.png", picture())
    assert run(path, "-o", tmp_path / "out" / "b.png", "--map", "--json") == 0
    assert json.loads(capfd.readouterr().out)["map"] == str(tmp_path / "out" / "a.map.tiff")
    radius_px = read_tiff(tmp_path / "out" / "a.map.tiff")
    assert radius_px.shape == (40, 60)
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["a.map.png", "a.map.tiff", "b.png"]
    allfocus.deblur(picture(), map=tmp_path / "python.tiff")
    np.testing.assert_array_equal(read_tiff(tmp_path / "python.tiff"), radius_px)
    assert run(path, "-o", tmp_path / "out" / "c.png", "--map") == 2  # the map is there already
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == written


def test_bokeh_below_every_radius_keeps_the_photo_bit_for_bit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture())
    assert run(path, "--keep-bokeh", "0.001") == 0
    kept = pyvips.Image.new_from_file(str(tmp_path / "a.sharp.png")).numpy()
    np.testing.assert_array_equal(kept, picture())
    assert np.array_equal(allfocus.deblur(picture(), keep_bokeh=1e3), allfocus.deblur(picture()))


def test_strength_zero_is_the_photo_bit_for_bit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture())
    assert run(path, "--strength", "0") == 0
    sharp = pyvips.Image.new_from_file(str(tmp_path / "a.sharp.png")).numpy()
    np.testing.assert_array_equal(sharp, picture())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scale", "3"], "scale '3'; expected auto, 1, 2 or 4"),
        (["--strength", "2"], "strength 2.0; expected a number from 0 to 1"),
        (["--engine", "magic"], "magic"),
        (["--model", "nothing"], "no model is called 'nothing'"),
        (["--tile", "32"], "a tile of 32 px"),
        (["--keep-bokeh", "0"], "keep_bokeh 0; expected a blur radius above 0 px"),
        (["--map", "--method", "ebdb"], "--map or --keep-bokeh with --method ebdb"),
    ],
)
def test_bad_options_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    path = saved(tmp_path / "a.png", picture(200, 200))
    assert run(path, *options) == 2
    assert told in capfd.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights file of a small network of two views."""
    architecture = Architecture(iterations=2, views=2, width=8)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("dual")
    return release(architecture.build(0.5), architecture, "dual", folder, context_px=16).weights


def test_a_photo_with_its_dual_pixel_views(tmp_path: Path, dual: Path) -> None:
    soft = np.kron(picture(10, 15), np.ones((8, 8, 1))).astype(np.uint8)
    paths = [saved(tmp_path / f"{name}.png", np.roll(soft, x, 1)) for name, x in (("c", 0), ("l", 2), ("r", -2))]
    line = ("--model", dual, "--left", paths[1], "--right", paths[2], "--precision", "float32")
    assert run(paths[0], *line) == 0
    sharp = pyvips.Image.new_from_file(str(tmp_path / "c.sharp.png")).numpy()
    views = (np.roll(soft, 2, 1), np.roll(soft, -2, 1))
    again = allfocus.deblur(soft, model=dual, views=views, precision="float32")
    np.testing.assert_array_equal(sharp, again)
    exchanged = allfocus.deblur(soft, model=dual, views=views[::-1], precision="float32")
    assert (again != exchanged).any()


def test_views_that_do_not_fit_are_refused(tmp_path: Path, dual: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, two = saved(tmp_path / "a.png", picture()), saved(tmp_path / "b.png", picture(40, 64))
    for line, told in [
        ((one, "--left", one, "--right", one), "dual-pixel views for ifan-fast, a network of one view"),
        ((one, "--model", dual), "no dual-pixel views for dual, a network of two; expected the left and the right"),
        ((one, "--model", dual, "--left", one), "one dual-pixel view; expected both views of the photo"),
        ((one, two, "--model", dual, "--left", one, "--right", one), "one pair of views for 2 photos"),
        ((one, "--model", dual, "--left", one, "--right", two), "a right view of 64x40 px; expected the photo's 60x40"),
        ((one, "--model", dual, "--left", tmp_path / "no.png", "--right", two), "no.png"),
        ((one, "--method", "ebdb", "--left", one, "--right", one), "--left and --right with --method ebdb"),
    ]:
        assert run(*line) == 2
        assert told in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_python_gives_the_same_for_paths_bytes_and_arrays(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture())
    written = allfocus.deblur(path)
    assert written == tmp_path / "a.sharp.png"
    from_path = pyvips.Image.new_from_file(str(written)).numpy()
    from_array = allfocus.deblur(picture())
    from_bytes = allfocus.deblur(path.read_bytes())
    assert isinstance(from_array, np.ndarray)
    assert isinstance(from_bytes, bytes)
    np.testing.assert_array_equal(from_array, from_path)
    np.testing.assert_array_equal(pyvips.Image.new_from_buffer(from_bytes, "").numpy(), from_path)
    with_alpha = np.dstack([picture(), np.full(picture().shape[:2], 77, np.uint8)])
    again = allfocus.deblur(with_alpha)
    assert isinstance(again, np.ndarray)
    np.testing.assert_array_equal(again[..., :3], from_array)
    assert (again[..., 3] == 77).all()
