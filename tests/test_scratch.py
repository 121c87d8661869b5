"""Scratch folders: a lock tells the living, and what the dead left is swept."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from allfocus import scratch
from allfocus.scratch import PREFIX, ScratchFolder, living, sweep

HOLDING = """
import sys, time
from pathlib import Path
from allfocus.scratch import ScratchFolder
held = ScratchFolder(Path(sys.argv[1]), sys.argv[2])
print(held.token, flush=True)
time.sleep(60)
"""


def killed(place: Path, prefix: str = "") -> str:
    """The token of a process that had a folder in a place, which a living process cannot sweep, and was killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(place), prefix], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    token = process.stdout.readline().strip()
    (place / (prefix + token) / "below").mkdir()
    sweep(place, prefix)
    assert (place / (prefix + token) / "below").is_dir()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return token


def test_a_folder_lives_until_it_is_closed_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "scratch"
    one, two = ScratchFolder(place), ScratchFolder(place)
    assert living(place) == {one.token, two.token}
    (one.path / "half").write_bytes(b"...")
    one.close()
    one.close()
    assert living(place) == {two.token} and not one.path.exists()
    two.close()
    assert not place.exists() and living(place) == set()


def test_a_killed_process_is_not_alive_and_its_folder_is_swept(tmp_path: Path) -> None:
    place = tmp_path / "scratch"
    token = killed(place)
    assert living(place) == set() and (place / token).is_dir()
    sweep(place)
    assert not (place / token).exists()


def test_among_temporary_files_only_folders_of_dead_processes_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ScratchFolder.temporary() as ours:
        token = killed(tmp_path, PREFIX)
        others = [tmp_path / name for name in (f"{PREFIX}mine", f"{PREFIX}{'0' * 12}", "allfocus", "0" * 12)]
        for folder in others:
            folder.mkdir()
            (folder / "photo.jpg").write_bytes(b"...")
        (tmp_path / f"{PREFIX}{'1' * 12}").symlink_to(others[0])
        half_made = tmp_path / f"{PREFIX}{'2' * 12}"
        half_made.mkdir()
        with ScratchFolder.temporary() as second:
            assert not (tmp_path / (PREFIX + token)).exists() and not half_made.exists()
            assert ours.path.is_dir() and second.path.is_dir() and second.path.stat().st_mode & 0o077 == 0
        assert all((folder / "photo.jpg").is_file() for folder in others)
    assert not ours.path.exists() and tmp_path.is_dir()


def test_a_sweep_between_a_folder_and_its_lock_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, times = scratch._hold, []

    def disturbed(lock: Path, mode: str) -> object:
        if mode == "xb" and not times:
            times.append(lock)
            sweep(tmp_path)  # another process starts just now
            assert not lock.parent.exists()
        return hold(lock, mode)

    monkeypatch.setattr(scratch, "_hold", disturbed)
    made = ScratchFolder(tmp_path)
    assert len(times) == 1 and made.path.is_dir() and living(tmp_path) == {made.token}


def test_a_sweep_that_is_killed_half_way_is_ended_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = killed(tmp_path)
    (tmp_path / token / "half").write_bytes(b"...")

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scratch.shutil, "rmtree", kill)
        sweep(tmp_path)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, mode: str) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space"):
        ScratchFolder(tmp_path)
    assert list(tmp_path.iterdir()) == []
