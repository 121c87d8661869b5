"""The SQLite file of a journal: tables, transactions across processes, reserved disk space."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from allfocus.errors import JournalError, OutputError

VERSION = 1
WAIT_S = 30.0

RESERVE_BYTES, RESERVE_EACH = 2**18, 2**10
"""Space reserved in the file at the start, so that failures can be recorded even on a full disk."""

WAL_PAGES, WAL_BYTES = 64, 2**19

_SCHEMA = """
CREATE TABLE photos (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    numbers TEXT,
    comparison TEXT,
    source TEXT NOT NULL,
    stamp TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    megapixels REAL NOT NULL,
    settings TEXT NOT NULL,
    weights TEXT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT,
    replace INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    content TEXT,
    output TEXT,
    output_stamp TEXT,
    output_bytes INTEGER,
    seconds REAL,
    facts TEXT,
    error TEXT,
    changed REAL NOT NULL
) STRICT;
CREATE INDEX photos_by_state ON photos (state, megapixels DESC);
CREATE INDEX photos_by_content ON photos (content) WHERE content IS NOT NULL;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, started REAL NOT NULL, owner TEXT NOT NULL, settings TEXT NOT NULL,
    description TEXT NOT NULL, version TEXT NOT NULL, megapixels REAL NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0
) STRICT;
"""


class Database:
    """A journal's file, open in one process; calls from several threads wait for each other.

    Args:
        path: the file; made when it is not there.

    Raises:
        OutputError: it is not a journal or not of this version. JournalError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection = self._open()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def copy_to(self, file: Path) -> None:
        """Write a whole copy of the file as it is now."""
        file.unlink(missing_ok=True)
        with self._lock, contextlib.closing(sqlite3.connect(file)) as copy:
            self._connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")

    def reserve(self, photos: int) -> None:
        """Make the file and its log as large as this many photos will need, to reserve the disk space."""
        needed = RESERVE_BYTES + photos * RESERVE_EACH
        with self.change() as database:
            page = database.execute("PRAGMA page_size").fetchone()[0]
            free = database.execute("PRAGMA freelist_count").fetchone()[0] * page
            if free >= needed:
                return
            database.execute("CREATE TABLE reserve (room BLOB)")
            for _ in range(-(-(needed - free) // RESERVE_BYTES)):
                database.execute("INSERT INTO reserve VALUES (zeroblob(?))", [RESERVE_BYTES])
            database.execute("DROP TABLE reserve")
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _open(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            database.row_factory = sqlite3.Row
            _use_wal(database)
            database.execute("PRAGMA synchronous = FULL")
            database.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            database.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            database.execute("BEGIN IMMEDIATE")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error):
                raise OutputError(
                    f"{self.path} is not a journal of allfocus", "a journal or nothing", "move it away"
                ) from error
            raise self.refusal(str(error)) from error
        if version not in (0, VERSION):
            database.close()
            raise OutputError(
                f"{self.path} was written by another version of allfocus (format {version})",
                f"format {VERSION}",
                "that version, or another -o",
            )
        return database

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction; no other process writes meanwhile."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self.refusal(str(error)) from error
            finally:
                if self._connection.in_transaction:  # after a failure; on a full disk SQLite has gone back by itself
                    self._connection.execute("ROLLBACK")

    def refusal(self, reason: str) -> JournalError:
        return JournalError(
            f"the journal {self.path} cannot be written ({reason})",
            "a folder with free space that may be written to",
            "free some space and run the same command again; what is done is kept",
        )


def _use_wal(database: sqlite3.Connection) -> None:
    """Two processes that make the same file at once: SQLite does not wait here by itself."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
