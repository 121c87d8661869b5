from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from allfocus import atomic_file
from allfocus.atomic_file import AtomicFile
from allfocus.errors import OutputError


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    with AtomicFile(target) as beside:
        beside.temporary.write_bytes(b"whole")
        assert not target.exists()
        assert beside.temporary.parent == tmp_path
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
def test_nothing_stays_when_the_block_fails(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), AtomicFile(tmp_path / "out.png") as beside:
        beside.temporary.write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_operating_system_error_in_the_block_becomes_a_refusal(tmp_path: Path) -> None:
    message = r"out.png could not be written \(No space left on device\)"
    with pytest.raises(OutputError, match=message), AtomicFile(tmp_path / "out.png"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with pytest.raises(OutputError, match="already exists"), AtomicFile(target):
        pass
    assert target.read_bytes() == b"old"
    with AtomicFile(target, overwrite=True) as beside:
        beside.temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    with pytest.raises(OutputError, match="already exists"), AtomicFile(target) as beside:
        beside.temporary.write_bytes(b"mine")
        target.write_bytes(b"theirs")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"theirs"]


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        with AtomicFile(tmp_path / "out.png"):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o644


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.png", tmp_path / "link.png"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with AtomicFile(link, overwrite=True) as beside:
        beside.temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_places_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="is a folder"):
        AtomicFile(tmp_path).check()
    with pytest.raises(OutputError, match="does not exist; expected a folder that exists; try: mkdir -p"):
        AtomicFile(tmp_path / "missing" / "out.png").check()
    with pytest.raises(OutputError, match="does not exist"):
        AtomicFile(tmp_path / "file" / "out.png").check()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"):
        AtomicFile(tmp_path / "out.png").check()


def test_what_killed_processes_left_is_swept_and_what_others_are_making_stays(tmp_path: Path) -> None:
    left, making = tmp_path / ".allfocus-0123.part.png", tmp_path / ".allfocus-4567.part.png"
    left.write_bytes(b"half")
    making.write_bytes(b"half")
    held = os.open(making, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with AtomicFile(tmp_path / "out.png") as file:
            file.temporary.write_bytes(b"whole")
            assert sorted(path.name for path in tmp_path.iterdir()) == sorted([making.name, file.temporary.name])
            atomic_file._sweep.cache_clear()
            atomic_file._sweep(tmp_path)  # as another process would
            assert file.temporary.exists()
    finally:
        os.close(held)
    assert (tmp_path / "out.png").read_bytes() == b"whole"
    assert making.exists()


def test_a_name_that_is_too_long_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long"):
        AtomicFile(tmp_path / ("x" * 300)).check()


def test_a_link_to_nowhere_is_something_that_exists(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    AtomicFile(tmp_path / "link").check()  # the file itself is not there
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OutputError):
        AtomicFile(tmp_path / "loop").check()
