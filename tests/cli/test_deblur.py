"""`allfocus deblur` as a user meets it: results, refusals with exit code 2, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
import torch

import allfocus
from allfocus.batch.journal import NAME as JOURNAL
from allfocus.checkpoints.release import release
from allfocus.cli.main import main
from allfocus.errors import AllfocusError
from allfocus.nets.registry import Architecture
from blurred import blurred_texture
from map_files import read_tiff


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
    (text, "text.jpg is not a readable photo"),
    (truncated, "truncated.jpg is damaged or cut short"),
    (empty, "empty.png is empty (0 bytes)"),
    (not_a_number, "nan.tif holds NaN or infinite samples"),
    (bomb, "bomb.png states a size of 50000x50000 pixels (2.5e+03 megapixels); expected at most 500 megapixels"),
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


@pytest.mark.parametrize(("radius_px", "noted"), [(4, False), (16, True)])
def test_says_when_the_blur_is_more_than_can_be_undone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], radius_px: int, noted: bool
) -> None:
    path = saved(tmp_path / "a.png", blurred_texture(radius_px, 512))
    assert run(path, "--strength", "0") == 0
    assert ("fine detail does not come back" in capfd.readouterr().out) == noted


def test_strength_zero_is_the_photo_bit_for_bit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture())
    assert run(path, "--strength", "0") == 0
    sharp = pyvips.Image.new_from_file(str(tmp_path / "a.sharp.png")).numpy()
    np.testing.assert_array_equal(sharp, picture())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scale", "3"], "scale '3'; expected auto, 1, 2 or 4"),
        (["--strength", "2"], "strength 2.0; expected a number from 0 to 1.4"),
        (["--engine", "magic"], "magic"),
        (["--model", "nothing"], "no model is called 'nothing'"),
        (["--tile", "32"], "a tile of 32 px"),
        (["--tile", "10"], "a tile of 10 px"),
        (["--quality", "0"], "quality"),
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


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != JOURNAL]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("target", ["a.png", "soft.png", "hard.png", "."])
@pytest.mark.parametrize("method", ["ifan", "ebdb"])
def test_overwrite_never_replaces_the_photo(tmp_path: Path, target: str, method: str) -> None:
    path = saved(tmp_path / "a.png", picture())
    (tmp_path / "soft.png").symlink_to(path)
    (tmp_path / "hard.png").hardlink_to(path)
    before = everything(tmp_path)
    assert run(path, "-o", tmp_path / target, "--overwrite", "--method", method) == 2
    assert everything(tmp_path) == before


def test_overwrite_never_replaces_the_photos_of_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in" / "a.png", picture())
    saved(tmp_path / "in" / "b.png", picture())
    before = everything(tmp_path)
    assert run(tmp_path / "in", "-o", tmp_path / "in", "--overwrite") == 2
    assert everything(tmp_path) == before
    assert "originals are never replaced" in capfd.readouterr().err


def test_python_never_replaces_the_photo_nor_writes_two_results_into_one_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", picture())
    (tmp_path / "link.png").symlink_to(path)
    before = everything(tmp_path)
    for arguments in (
        {"output": path},
        {"output": tmp_path / "link.png"},
        {"map": tmp_path / "p.png"},
        {"compare": path},
        {"output": tmp_path / "x.tiff", "map": tmp_path / "x.tiff"},
        {"output": tmp_path / "x.jpg", "compare": tmp_path / "x.jpg"},
    ):
        with pytest.raises(AllfocusError):
            allfocus.deblur(path, overwrite=True, **arguments)
        assert everything(tmp_path) == before, arguments


def test_a_map_never_meets_a_photo(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.png", picture())
    original = path.read_bytes()
    allfocus.deblur(path, map=tmp_path / "p.tiff", overwrite=True)
    written = allfocus.deblur(path, tmp_path / "x.png", map=tmp_path / "x.tiff")
    assert path.read_bytes() == original
    assert pyvips.Image.new_from_file(str(written)).width == 60
    assert sorted(everything(tmp_path)) == [
        "p.map.png", "p.png", "p.sharp.png", "p.tiff", "x.map.png", "x.png", "x.tiff",
    ]  # fmt: skip


def test_compare_replaces_nothing_without_overwrite(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture())
    (tmp_path / "a.compare.jpg").write_bytes(b"mine")
    assert run(path, "--compare") == 2
    assert everything(tmp_path)["a.compare.jpg"] == b"mine"
    assert "a.sharp.png" not in everything(tmp_path)
    assert run(path, "--compare", "--overwrite") == 0
    assert everything(tmp_path)["a.compare.jpg"].startswith(b"\xff\xd8")


def test_namesakes_have_side_files_of_their_own(tmp_path: Path) -> None:
    saved(tmp_path / "one.png", picture())
    saved(tmp_path / "one.jpg", picture())
    assert run(tmp_path, "-o", tmp_path / "out", "--map", "--compare") == 0
    sides = {f"one.{ending}{side}" for ending in ("png", "jpg") for side in (".compare.jpg", ".map.png", ".map.tiff")}
    assert set(everything(tmp_path / "out")) == sides | {"one.png", "one.jpg", ".allfocus-results"}


def test_a_second_run_skips_what_is_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    saved(folder / "a.png", picture())
    saved(folder / "b.png", picture())
    assert run(folder, "-o", folder / "out") == 0
    before = everything(tmp_path)
    capfd.readouterr()
    assert run(folder, "-o", folder / "out") == 0
    said = capfd.readouterr()
    assert "0 of 2 photos done, 2 skipped" in said.err
    assert "passed over 2 results of allfocus" in said.err
    assert everything(tmp_path) == before
    saved(folder / "c.png", picture())
    assert run(folder, "-o", folder / "out", "--json") == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(Path(row["source"]).name, row["status"]) for row in rows] == [
        ("a.png", "skipped"),
        ("b.png", "skipped"),
        ("c.png", "done"),
    ]


def test_one_photo_of_any_kind_never_ends_a_batch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    saved(folder / "good.png", picture())
    saved(folder / "odd.png", picture()).rename(os.fsdecode(os.fsencode(folder) + b"/odd\xff.png"))
    saved(folder / "long.png", picture()).rename(folder / f"{'l' * 247}.png")
    run_photo = allfocus.Deblurrer.run

    def buggy(self: Any, source: Any, *rest: Any, **named: Any) -> Any:
        if source.name == "bug.png":
            raise KeyError("a mistake")
        return run_photo(self, source, *rest, **named)

    monkeypatch.setattr(allfocus.Deblurrer, "run", buggy)
    saved(folder / "bug.png", picture())
    assert run(folder, "--json") == 2
    rows = {Path(row["source"]).name[:3]: row for row in map(json.loads, capfd.readouterr().out.splitlines())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "bug": "failed", "goo": "done", "lll": "failed", "odd": "done",
    }  # fmt: skip
    assert "KeyError" in rows["bug"]["error"] and "report" in rows["bug"]["error"]
    assert "File name too long" in rows["lll"]["error"]
    assert run(folder / "bug.png", "--debug") == 2
    told = capfd.readouterr().err
    assert "Traceback" in told and "a mistake" in told


def test_json_has_a_line_for_each_photo_in_every_outcome(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = saved(tmp_path / "a.png", picture()), tmp_path / "gone.png"
    for arguments, statuses in (
        ([bad], ["failed"]),
        ([good, bad], ["failed", "done"]),
        ([good], ["failed"]),  # its result is there
        ([good, bad], ["failed", "skipped"]),
        ([good, "--model", "none"], ["failed"]),
        ([good, "--scale", "3", "-o", tmp_path / "b.png"], ["failed"]),
    ):
        run(*arguments, "--json")
        rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        assert [row["status"] for row in rows] == statuses, arguments
        assert all(row["source"] for row in rows)


def allfocus_command(*arguments: object, **named: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "allfocus", *map(str, arguments)],
        check=False,
        capture_output="stdout" not in named,
        **named,
    )


def test_standard_streams(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", picture())
    through = allfocus_command("deblur", "-", input=path.read_bytes())
    assert through.returncode == 0, through.stderr
    expected = allfocus.deblur(path.read_bytes())
    assert through.stdout == expected
    assert allfocus_command("deblur", path, "-o", "-").stdout == expected
    saved_to = allfocus_command("deblur", "-", "-o", tmp_path / "b.png", "--map", input=path.read_bytes())
    assert saved_to.returncode == 0
    assert sorted(everything(tmp_path)) == ["a.png", "b.map.png", "b.map.tiff", "b.png"]
    assert allfocus_command("deblur", path, path, "-o", "-").returncode == 2
    assert allfocus_command("deblur", "-", "--map", input=b"").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_or_ascii_standard_output_stops_no_photo(tmp_path: Path) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for name in ("ä.png", "b.png"):
        saved(tmp_path / name, picture())
    with Path("/dev/full").open("wb") as full:
        line = ("deblur", tmp_path, "-o", tmp_path / "1")
        done = allfocus_command(*line, stdout=full, stderr=subprocess.PIPE, env=buffered)
    assert done.returncode == 2, done.stderr
    assert b"standard output could not be written" in done.stderr and b"2 of 2 photos done" in done.stderr
    assert len(list((tmp_path / "1").glob("*.png"))) == 2
    named = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = allfocus_command("deblur", tmp_path / "b.png", tmp_path / "ä.png", "-o", tmp_path / "2", env=named)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "2").glob("*.png"))) == 2


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_what_is_whole_and_leaves_nothing_half(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(6):
        saved(folder / f"{index}.png", picture(600, 600))
    command = [sys.executable, "-m", "allfocus", "deblur", str(folder), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first photo is done
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number, told
    assert b"of 6 photos done" in told and b"the same command resumes" in told
    assert f"stopped by {signal.Signals(number).name}".encode() in told
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert not [name for name in names if ".part" in name]
    for name in names:
        if name.endswith(".png"):
            assert pyvips.Image.new_from_file(str(tmp_path / "out" / name), fail_on="error").avg() > 0


def test_quality_and_the_photos_own_permissions(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", picture(200, 200))
    path.chmod(0o600)
    assert run(path, "-o", tmp_path / "best.jpg", "--quality", "98", "--map", "--compare") == 0
    assert run(path, "-o", tmp_path / "worst.jpg", "--quality", "20") == 0
    assert (tmp_path / "best.jpg").stat().st_size > 2 * (tmp_path / "worst.jpg").stat().st_size
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    least, most = (allfocus.deblur(path.read_bytes(), quality=quality) for quality in (20, 98))
    assert isinstance(least, bytes) and isinstance(most, bytes) and 2 * len(least) < len(most)


def test_a_damaged_photo_is_restored_where_that_is_allowed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = truncated(tmp_path)
    assert run(path) == 2
    assert "--allow-damaged" in capfd.readouterr().err
    assert run(path, "--allow-damaged") == 0
    assert "note: " in capfd.readouterr().out
    assert isinstance(allfocus.deblur(path.read_bytes(), allow_damaged=True), bytes)


def test_a_photo_above_the_limit_names_the_option_that_lifts_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "a.png", picture(100, 100))
    assert run(path, "--pixel-limit", "0.005") == 2
    assert "--pixel-limit" in capfd.readouterr().err
    assert run(path, "--pixel-limit", "0.02") == 0


def test_what_a_format_cannot_hold_is_known_before_the_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allfocus.deblurrer, "restore", lambda *_: pytest.fail("it was restored"))
    path = saved(tmp_path / "wide.png", picture(1, 17_000))
    assert run(path, "-o", tmp_path / "wide.webp") == 2
    assert "does not fit into WebP" in capfd.readouterr().err


def test_a_name_that_a_journal_cannot_hold_is_one_line_among_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    saved(folder / "good.png", picture())
    saved(folder / "odd.png", picture()).rename(os.fsdecode(os.fsencode(folder) + b"/odd\xff.png"))
    assert run(folder, "-o", tmp_path / "out", "--json") == 2
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert sorted((Path(row["source"]).name[:3], row["status"]) for row in rows) == [("goo", "done"), ("odd", "failed")]
