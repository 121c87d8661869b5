"""Stores of photos and results: paths, and URLs through fsspec (s3 and gs to read and write, http to read)."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from allfocus.atomic_file import AtomicFile, make_folder
from allfocus.errors import AllfocusError, InputError, MissingExtraError, OptionError, OutputError, StoreError

Made = TypeVar("Made")

PATIENCE_S = 60.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
HASH_BLOCK = 2**20
WHOLE_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"})
"""Stores whose objects appear only once complete; elsewhere a file is uploaded under another name and renamed."""

READ_ONLY = frozenset({"http", "https"})
EXTRAS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")
_NO_USE_TO_WAIT = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError")


@dataclass(frozen=True)
class Item:
    """A file or object as a listing shows it.

    Attributes:
        location: its path or URL.
        bytes: its size.
        stamp: changes when the content may have changed: size, time and inode of a file, the tag of an object.
    """

    location: str
    bytes: int
    stamp: str


def is_url(location: str) -> bool:
    """Whether a location is reached through fsspec.

    >>> is_url("s3://bucket/photos"), is_url("C://photos"), is_url("photos/a.jpg")
    (True, False, False)
    """
    return _URL.match(location) is not None


def plain(location: str) -> str:
    """A location without `file://`; URLs without a trailing slash."""
    if location.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        return unquote(urlsplit(location).path)
    return location.rstrip("/") if is_url(location) else location


def join(folder: str, name: str) -> str:
    """`name` below `folder`, for paths and URLs."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else str(Path(folder) / name)


def content_hash(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        InputError: a file that cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while block := opened.read(HASH_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _gone(str(file), error) from error
    return digest.hexdigest()


class Store:
    """Files and objects by location; requests are repeated for a while if a store does not respond.

    Args:
        patience_s: how long a call is repeated, with growing pauses, before `StoreError` is raised.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._systems: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"patience_s": self.patience_s, "_systems": {}}  # connections stay in the process that made them

    def item(self, location: str) -> Item | None:
        """The file or object at a location, or None.

        Raises:
            StoreError: the store does not answer.
        """
        if not is_url(location):
            return _local_item(Path(location))
        try:
            found = self._ask(location, lambda: self._system(location).info(location))
        except FileNotFoundError:
            return None
        return None if found.get("type") == "directory" else _remote_item(location, found)

    def walk(self, folder: str) -> Iterator[Item]:
        """Everything below a URL, sorted by name; nothing where there is nothing.

        Raises:
            StoreError: the store does not answer.
        """
        try:
            listing = self._ask(folder, lambda: self._system(folder).find(folder, detail=True))
        except FileNotFoundError:
            return
        scheme = _scheme(folder)
        for name in sorted(listing):
            if listing[name].get("type") != "directory":
                yield _remote_item(name if is_url(name) else f"{scheme}://{name.lstrip('/')}", listing[name])

    def open(self, location: str) -> BinaryIO:
        """A seekable file; of a URL, only the ranges that are read are transferred (in blocks of 64 KiB).

        Raises:
            InputError: it is not there or may not be read. StoreError: the store does not answer.
        """
        try:
            if not is_url(location):
                return Path(location).open("rb")
            opened = self._ask(location, lambda: self._system(location).open(location, "rb", block_size=2**16))
            return opened
        except OSError as error:
            raise _gone(location, error) from error

    def fetch(self, location: str, folder: Path) -> Path:
        """A local file with the content: the file itself for a path, a copy in `folder` for a URL.

        Raises:
            InputError: it is not there or may not be read. StoreError: the store does not answer.
            OutputError: no room for the copy.
        """
        if not is_url(location):
            return Path(location)
        copy = folder / location.rsplit("/", 1)[-1].split("?", 1)[0]
        try:
            self._ask(location, lambda: self._system(location).get_file(location, str(copy)))
            expected = self.item(location)
            if expected is not None and expected.bytes >= 0 and copy.stat().st_size != expected.bytes:
                raise StoreError(
                    f"{location} came with {copy.stat().st_size} bytes", f"{expected.bytes} bytes", "run it again"
                )
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutputError(
                    f"no room for a copy of {location} in {folder}", "free space", "free some space"
                ) from error
            raise _gone(location, error) from error
        return copy

    def check_writable(self, location: str) -> None:
        """Refuse a kind of address that cannot be written to.

        Raises:
            OptionError: an http address.
        """
        if is_url(location) and _scheme(location) in READ_ONLY:
            raise OptionError(f"{location} as output", "a folder, s3:// or gs://", "another -o")

    def publish(self, file: Path, target: str, *, replace: bool) -> None:
        """Give a finished local file its name; it appears there whole or not at all. A path's file is moved.

        Args:
            file: finished; on the same file system as a path `target`, or it is copied beside it first.
            target: path or URL.
            replace: whether something else may lie there now. Not asked of a URL, where looking and writing are two
                calls: the caller has looked.

        Raises:
            OutputError: the place cannot be written, or something lies there. StoreError: the store does not answer.
        """
        if is_url(target):
            self._send(file, target)
            return
        place = Path(target)
        make_folder(place.parent)
        AtomicFile(place, overwrite=replace).take(file)

    def _send(self, file: Path, target: str) -> None:
        system, scheme = self._system(target), _scheme(target)
        name = target if scheme in WHOLE_AT_ONCE else f"{target}.{os.getpid()}.part"
        size = file.stat().st_size

        def send() -> None:
            if scheme not in WHOLE_AT_ONCE:
                system.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
            system.put_file(str(file), name)
            if name != target:
                system.mv(name, target)
            arrived = system.info(target)["size"]
            if arrived != size:
                raise OSError(f"{arrived} of {size} bytes arrived")

        try:
            self._ask(target, send)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(f"{target} could not be written ({reason})", "a writable folder", "another -o") from error

    def _system(self, location: str) -> Any:
        scheme = _scheme(location)
        if scheme not in self._systems:
            try:
                import fsspec

                self._systems[scheme] = fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)
            except ImportError as error:
                needed = EXTRAS.get(scheme, "fsspec")
                raise MissingExtraError(f"{scheme}://", "cloud", needed) from error
            except ValueError as error:
                raise OptionError(
                    f"{location}, an unknown kind of address", "a path, s3://, gs:// or http://", "a path"
                ) from error
        return self._systems[scheme]

    def _ask(self, location: str, call: Callable[[], Made]) -> Made:
        """`call`, repeated while the store does not respond; a definite refusal is raised immediately."""
        deadline, pause = time.monotonic() + self.patience_s, FIRST_PAUSE_S
        while True:
            try:
                return call()
            except AllfocusError:
                raise
            except Exception as error:
                if _is_definite(error):
                    raise error if isinstance(error, OSError) else PermissionError(errno.EACCES, str(error)) from error
                if time.monotonic() + pause > deadline:
                    raise StoreError(
                        f"{location} does not respond ({type(error).__name__}: {_one_line(error)})",
                        "a store that responds",
                        "the same command again later; finished photos are kept",
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)


def _is_definite(error: Exception) -> bool:
    """Whether a repeated request would fail in the same way."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in (408, 429)
    if type(error).__name__ in _NO_USE_TO_WAIT:
        return True
    known = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)
    return isinstance(error, known) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _scheme(location: str) -> str:
    found = _URL.match(location)
    assert found is not None  # callers have asked is_url
    return found.group(1)


def _gone(location: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{location} no longer exists", "a photo", "list the folder again")
    return InputError(f"{location} cannot be read ({error.strerror or error})", "a photo", "check its permissions")


def _local_item(path: Path) -> Item | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if path.is_dir():
        return None
    return Item(str(path), found.st_size, f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}")


def _remote_item(location: str, found: dict[str, Any]) -> Item:
    size = found.get("size")
    tag = found.get("ETag") or found.get("etag") or found.get("mtime") or found.get("LastModified") or ""
    return Item(location, -1 if size is None else int(size), f"{size}-{str(tag).strip(chr(34))}")
