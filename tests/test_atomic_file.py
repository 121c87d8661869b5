from __future__ import annotations

import os
from pathlib import Path

import pytest

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
    with pytest.raises(OutputError, match="exists already"), AtomicFile(target):
        pass
    assert target.read_bytes() == b"old"
    with AtomicFile(target, overwrite=True) as beside:
        beside.temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    with pytest.raises(OutputError, match="exists already"), AtomicFile(target) as beside:
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
