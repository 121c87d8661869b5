"""Atomic files: they appear complete or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from allfocus.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FULL_BYTES = 2**20


def write_bytes(path: Path, data: bytes) -> None:
    """Write or replace a file, whole or not at all; errors as `AtomicFile`."""
    with AtomicFile(path, overwrite=True) as file:
        file.temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """`write_text` of an object as JSON, indented by 2."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def make_folder(folder: Path) -> None:
    """Make a folder, and those around it, if it is not there. OutputError when that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be created ({error.strerror})", "a writable folder", "another -o"
        ) from error


class AtomicFile:
    """A temporary file in the target's folder: it becomes the target if the block succeeds, and is removed if not.

    Args:
        target: the file to be.
        overwrite: whether a file that is there may be replaced; its permissions stay.
        permissions: permission bits of a new file; as the process creates files if None.

    Raises:
        OutputError: the folder is missing or closed to us, the target exists and `overwrite` is False, or the disk is
            full.
    """

    def __init__(self, target: str | Path, *, overwrite: bool = False, permissions: int | None = None):
        self.target = Path(target)
        self.permissions = permissions
        self.overwrite = overwrite
        self._place = Path(os.path.realpath(self.target)) if os.path.islink(self.target) else self.target  # noqa: PTH114
        self.temporary = self._place.with_name(f".allfocus-{secrets.token_hex(6)}.part{self.target.suffix}")

    def __enter__(self) -> AtomicFile:
        self.check()
        _sweep(self._place.parent)
        try:
            mode = 0o666 if self.permissions is None else self.permissions | stat.S_IWUSR
            self._held = os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            _lock(self._held)
        except OSError as error:
            raise self.refusal(error.strerror or str(error)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self.check()
                if self._place.exists():
                    shutil.copymode(self._place, self.temporary)
                elif self.permissions is not None:
                    self.temporary.chmod(self.permissions | stat.S_IWUSR)
                self.temporary.replace(self._place)
        except OSError as failure:
            raise self.refusal(failure.strerror or str(failure)) from failure
        finally:
            os.close(self._held)
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise self.refusal(error.strerror or str(error)) from error

    def take(self, file: Path) -> None:
        """Give the target's name to a finished file: it is moved, or copied from another disk and removed there."""
        self.check()
        try:
            file.replace(self._place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise self.refusal(error.strerror or str(error)) from error
            with self:
                shutil.copyfile(file, self.temporary)
                shutil.copymode(file, self.temporary)
            file.unlink()

    def refusal(self, reason: str) -> OutputError:
        """The error to raise when writing failed for `reason`."""
        if reason.startswith(str(self.temporary)) and shutil.disk_usage(self._place.parent).free < FULL_BYTES:
            reason = os.strerror(errno.ENOSPC)  # libtiff does not say what went wrong
        reason = reason.replace(f"{self.temporary}: ", "")
        return OutputError(
            f"{self.target} could not be written ({reason})",
            "a writable folder with free space",
            "another -o, or free some space",
        )

    def check(self) -> None:
        """Refuse a target that cannot become a file, as far as that is known before anything is written."""
        try:
            self._check()
        except OSError as error:
            raise self.refusal(error.strerror or str(error)) from error

    def _check(self) -> None:
        folder = self._place.parent
        if self.target.is_dir():
            raise OutputError(f"{self.target} is a folder", "the name of a file", f"{self.target}/NAME")
        if not folder.is_dir():
            raise OutputError(f"the folder {folder} does not exist", "a folder that exists", f"mkdir -p {folder}")
        if not os.access(folder, os.W_OK):
            raise self.refusal("no permission to write in its folder")
        if os.path.lexists(self._place) and not self.overwrite:
            raise OutputError(f"{self.target} already exists", "a name that is free", "another name, or --overwrite")


@lru_cache(maxsize=256)
def _sweep(folder: Path) -> None:
    """Remove temporary files that killed processes left in a folder: those that nobody holds a lock on."""
    if fcntl is None:
        return
    with suppress(OSError):
        for path in folder.glob(".allfocus-*.part*"):
            with suppress(OSError):
                left = os.open(path, os.O_RDWR)
                try:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(left)


def _lock(file: int) -> None:
    """Say that a file is in the making, until it is closed; where the file system has no locks it is never swept."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
