"""The journal of an output folder: which photos were restored there, with what, and what came of each.

One SQLite file in WAL mode. A result is recorded by its hash before it gets its name (state "written") and confirmed
afterwards (state "done"), so that after a kill at any moment it can be told whether the file that lies there is ours.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from allfocus.batch.owner import SCRATCH, Owner, living, sweep
from allfocus.batch.store import Store, content_hash, is_url, join
from allfocus.errors import AllfocusError, JournalError, OptionError, OutputError

NAME = "allfocus-journal.sqlite"
VERSION = 1
WAIT_S = 30.0

RESERVE_BYTES, RESERVE_EACH = 2**18, 2**10
"""Room in the file for what is still to be written, taken at the start: on a full disk failures can be noted, too."""

WAL_PAGES, WAL_BYTES = 64, 2**19


class State(StrEnum):
    """Where a photo stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WRITTEN = "written"
    DONE = "done"
    FAILED = "failed"
    FOUND = "found"


@dataclass(frozen=True)
class PhotoTask:
    """One photo that a run is asked to restore.

    Attributes:
        source: its path or URL.
        name: of the result, below the output folder.
        bytes: size of the source.
        stamp: see `store.Item`.
        megapixels: known or estimated.
        numbers: name of the defocus map, or None.
        comparison: name of the before/after picture, or None.
    """

    source: str
    name: str
    bytes: int
    stamp: str
    megapixels: float
    numbers: str | None = None
    comparison: str | None = None


@dataclass(frozen=True)
class Claim:
    """A photo that a process has taken upon itself.

    Attributes:
        number: its row in the journal.
        source: its path or URL.
        name: of the result, below the output folder.
        megapixels: known or estimated.
        replace: whether a file that lies in the result's place may be replaced (it is an earlier result, or asked for).
        attempt: 1 for the first.
        numbers: name of the defocus map, or None.
        comparison: name of the before/after picture, or None.
    """

    number: int
    source: str
    name: str
    megapixels: float
    replace: bool
    attempt: int = 1
    numbers: str | None = None
    comparison: str | None = None


@dataclass(frozen=True)
class Result:
    """What a process says of a photo that it has restored.

    Attributes:
        content: SHA-256 of the source.
        output: SHA-256 of the result.
        bytes: size of the result.
        facts: `Deblurred.facts`: width, height, seconds and others.
    """

    content: str
    output: str
    bytes: int
    facts: dict[str, Any]

    @property
    def megapixels(self) -> float:
        """Of the photo."""
        return self.facts["width"] * self.facts["height"] / 1e6


@dataclass(frozen=True)
class Failure:
    """A photo that failed: where it is and why."""

    source: str
    error: str


class PhotoFailed(AllfocusError):
    """A photo that failed earlier or on another machine; the text is what was said there."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text)
        self.text = text

    def __reduce__(self) -> tuple[type[PhotoFailed], tuple[str]]:  # type: ignore[override]
        return type(self), (self.text,)


@dataclass(frozen=True)
class Planned:
    """What a plan made of the photos of a run.

    Attributes:
        queued: photos to do.
        done: photos that were done before, with the same content and settings.
        found: results that lie there and are not from this journal, or were changed since; they are left alone.
        failed: photos that failed before and are not tried again.
        elsewhere: photos that another process works on now.
        megapixels: of the photos to do.
        largest: of them, in megapixels.
        bytes: of the photos to do.
        verdicts: name -> one of the words above, for every photo.
    """

    queued: int
    done: int
    found: int
    failed: int
    elsewhere: int
    megapixels: float
    largest: float
    bytes: int
    verdicts: dict[str, str]


@dataclass(frozen=True)
class Summary:
    """A journal at one moment.

    Attributes:
        photos: count by state.
        megapixels: sum by state.
        seconds: work in the photos that are done.
        processes: how many work on it now.
        failures: photos that failed, with their reasons.
        settings: of the last run.
    """

    photos: dict[str, int]
    megapixels: dict[str, float]
    seconds: float
    processes: int
    failures: tuple[Failure, ...]
    settings: dict[str, Any] = field(default_factory=dict)


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


class Journal:
    """The journal of one output folder, open in one process; calls from several threads wait for each other.

    Args:
        folder: the output, a path or a URL.
        file: the journal's file; `NAME` in the folder when None, which a URL must not leave open.
        store: looks at results.
        create: whether a journal may be made where none is.

    Raises:
        OutputError: the folder or the file cannot be made or read, the file is not a journal or not of this version.
    """

    def __init__(
        self, folder: str, *, file: Path | None = None, store: Store | None = None, create: bool = True
    ) -> None:
        self.folder = folder
        self.store = store or Store()
        self.file = file or Path(folder) / NAME
        self.owner: Owner | None = None
        self._lock = threading.RLock()
        if not create and not self.file.is_file():
            raise OutputError(
                f"no journal in {folder}", f"the output folder of a batch, with {NAME} in it", "another folder"
            )
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if self.file.parent.is_file():
                raise OutputError(f"{self.file.parent} is a file", "a folder for the results", "another -o") from error
            raise OutputError(
                f"the folder {self.file.parent} cannot be made ({error.strerror})",
                "a place that may be written to",
                "another -o",
            ) from error
        self._database = self._open()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what this process holds and close the file."""
        with self._lock:
            if self.owner is not None:
                try:
                    with self._change() as database:
                        _release(database, [self.owner.token])
                finally:
                    self.owner.close()
                    self.owner = None
            self._database.close()

    @property
    def scratch(self) -> Path:
        """The folder that the scratch of all processes stands in."""
        return self.file.parent / SCRATCH

    def start(self, settings: str, description: dict[str, Any], version: str) -> Owner:
        """Begin to work here: what processes that are gone held is free again, and their scratch goes.

        Args:
            settings: hash of what decides the results.
            description: the same in words, for `status`.
            version: of allfocus.

        Raises:
            OptionError: another process works here with other settings.
            OutputError: the journal cannot be written.
        """
        with self._change() as database:
            alive = living(self.scratch)
            sweep(self.scratch)
            for (other,) in database.execute(
                "SELECT DISTINCT settings FROM runs WHERE owner IN (SELECT value FROM json_each(?))",
                [json.dumps(sorted(alive))],
            ).fetchall():
                if other != settings:
                    raise OptionError(
                        f"another allfocus works on {self.folder} with other settings",
                        "the same settings, so that the two share the work",
                        "another -o, or wait for it",
                    )
            held = [row[0] for row in database.execute("SELECT DISTINCT owner FROM photos WHERE owner IS NOT NULL")]
            self._recover(database, [token for token in held if token not in alive])
            try:
                self.owner = Owner(self.scratch)
            except OSError as error:
                raise self._refusal(error.strerror or str(error)) from error
            database.execute(
                "INSERT INTO runs (started, owner, settings, description, version) VALUES (?, ?, ?, ?, ?)",
                [time.time(), self.owner.token, settings, json.dumps(description), version],
            )
        return self.owner

    def plan(
        self,
        tasks: Sequence[PhotoTask],
        settings: str,
        weights: str,
        *,
        retry_failed: bool = False,
        overwrite: bool = False,
        dry: bool = False,
        lying: dict[str, str] | None = None,
    ) -> Planned:
        """Compare what a run is asked for with what has been done; only these photos are claimed by this process.

        Args:
            tasks: the photos.
            settings: hash of what decides the results besides the photo and the weights.
            weights: hash of the weights.
            retry_failed: try photos again that failed.
            overwrite: do everything again, and replace whatever lies in the results' places.
            dry: change nothing.
            lying: name -> stamp of what lies in the output folder, where one listing is cheaper than looking for each.
        """
        known, alive = self._rows([task.name for task in tasks]), living(self.scratch)
        verdicts = [
            (task, *self._verdict(task, known.get(task.name), alive, settings, weights, overwrite, lying))
            for task in tasks
        ]
        counts: dict[str, int] = dict.fromkeys(("queued", "done", "found", "failed", "elsewhere"), 0)
        chosen: list[tuple[PhotoTask, str, bool]] = []
        for task, verdict, replace in verdicts:
            if verdict == "failed" and retry_failed:
                verdict, replace = "queued", bool(known[task.name]["replace"])
            counts[verdict] += 1
            chosen.append((task, verdict, replace))
        if not dry:
            self._enter(chosen, settings, weights)
            self._reserve(counts["queued"])
        to_do = [task for task, verdict, _ in chosen if verdict == "queued"]
        return Planned(
            **counts,
            megapixels=sum(task.megapixels for task in to_do),
            largest=max((task.megapixels for task in to_do), default=0.0),
            bytes=sum(task.bytes for task in to_do),
            verdicts={task.name: verdict for task, verdict, _ in chosen},
        )

    def claim(self) -> Claim | None:
        """Take the largest photo that waits, or None when none does.

        Photos that were taken twice before and not finished come last: one that ends the process does not keep the
        others from being done.
        """
        assert self.owner is not None  # start() comes first
        with self._change() as database:
            row = database.execute(
                """SELECT number, source, name, megapixels, replace, attempts, numbers, comparison FROM photos
                   WHERE state = 'queued' AND number IN (SELECT number FROM wanted)
                   ORDER BY MAX(attempts - 1, 0), megapixels DESC, number LIMIT 1"""
            ).fetchone()
            if row is None:
                return None
            database.execute(
                """UPDATE photos SET state = 'running', owner = ?, attempts = attempts + 1, error = NULL, changed = ?
                   WHERE number = ?""",
                [self.owner.token, time.time(), row[0]],
            )
        return Claim(row[0], row[1], row[2], row[3], bool(row[4]), row[5] + 1, row[6], row[7])

    def written(self, claim: Claim, result: Result) -> None:
        """The result is whole in scratch and gets its name next."""
        with self._change() as database:
            database.execute(
                """UPDATE photos SET state = 'written', content = ?, output = ?, output_bytes = ?, seconds = ?,
                   facts = ?, megapixels = ?, changed = ? WHERE number = ?""",
                [result.content, result.output, result.bytes, result.facts["seconds"], json.dumps(result.facts),
                 result.megapixels, time.time(), claim.number],
            )  # fmt: skip

    def done(self, claim: Claim) -> None:
        """The result lies under its name."""
        item = self.store.item(join(self.folder, claim.name))
        with self._change() as database:
            database.execute(
                """UPDATE photos SET state = 'done', owner = NULL, replace = 1, output_stamp = ?, changed = ?
                   WHERE number = ?""",
                [item.stamp if item else "", time.time(), claim.number],
            )

    def failed(self, claim: Claim, error: str, content: str | None = None) -> None:
        """The photo cannot be restored; `error` says why."""
        with self._change() as database:
            database.execute(
                """UPDATE photos SET state = 'failed', owner = NULL, error = ?, content = ?, changed = ?
                   WHERE number = ?""",
                [error, content, time.time(), claim.number],
            )

    def release(self, claim: Claim) -> None:
        """Give a photo back that was not finished."""
        with self._change() as database:
            database.execute(
                "UPDATE photos SET state = 'queued', owner = NULL, changed = ? WHERE number = ?",
                [time.time(), claim.number],
            )

    def twin(self, content: str, settings: str, weights: str, name: str) -> tuple[str, Result] | None:
        """The result of a photo with the same content and settings and the same ending, where it lies unchanged.

        Returns:
            Its location and what is known of it.
        """
        ending = Path(name).suffix
        rows = self._select(
            "state = 'done' AND content = ? AND settings = ? AND weights = ? AND name != ?",
            [content, settings, weights, name],
        )
        for row in rows:
            if Path(row["name"]).suffix == ending and self._is_ours(row):
                facts = {**json.loads(row["facts"]), "seconds": 0.0}
                known = Result(content, row["output"], row["output_bytes"], facts)
                return join(self.folder, row["name"]), known
        return None

    def waiting_elsewhere(self) -> int:
        """How many photos of this run another living process holds; what dead ones held waits again afterwards."""
        assert self.owner is not None
        with self._change() as database:
            owners = {
                row[0]
                for row in database.execute(
                    "SELECT owner FROM photos WHERE owner IS NOT NULL AND owner != ? AND number IN wanted",
                    [self.owner.token],
                )
            }
            if owners:
                alive = living(self.scratch)
                self._recover(database, [token for token in owners if token not in alive])
            query = "SELECT COUNT(*) FROM photos WHERE owner IS NOT NULL AND owner != ? AND number IN wanted"
            return int(database.execute(query, [self.owner.token]).fetchone()[0])

    def wanted_states(self) -> dict[str, int]:
        """Count by state of the photos of this run."""
        with self._lock:
            rows = self._database.execute(
                "SELECT state, COUNT(*) FROM photos WHERE number IN wanted GROUP BY state"
            ).fetchall()
        return dict(rows)

    def note_rate(self, megapixels: float, seconds: float) -> None:
        """How much this run has done so far, for later forecasts."""
        assert self.owner is not None
        with self._change() as database:
            database.execute(
                "UPDATE runs SET megapixels = ?, seconds = ? WHERE owner = ?", [megapixels, seconds, self.owner.token]
            )

    def rate(self) -> float | None:
        """Megapixels a second of the last run that did something, or None."""
        with self._lock:
            row = self._database.execute(
                "SELECT megapixels, seconds FROM runs WHERE megapixels > 0 AND seconds > 0 ORDER BY number DESC LIMIT 1"
            ).fetchone()
        return row[0] / row[1] if row else None

    def growth(self) -> float | None:
        """How many times larger results are than their sources, over all that is done."""
        with self._lock:
            row = self._database.execute(
                "SELECT SUM(output_bytes), SUM(bytes) FROM photos WHERE state = 'done' AND bytes > 0"
            ).fetchone()
        return row[0] / row[1] if row[1] else None

    def failures(self, names: Iterable[str]) -> dict[str, PhotoFailed]:
        """Why the photos with results of these names failed."""
        wanted = set(names)
        rows = self._select("state = 'failed'", []) if wanted else []
        return {row["name"]: PhotoFailed(row["error"]) for row in rows if row["name"] in wanted}

    def copy_to(self, file: Path) -> None:
        """Write a whole copy of the journal as it is now."""
        file.unlink(missing_ok=True)
        with self._lock, contextlib.closing(sqlite3.connect(file)) as copy:
            self._database.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")

    def summary(self) -> Summary:
        """Everything that `allfocus status` shows."""
        with self._lock:
            rows = self._database.execute(
                "SELECT state, COUNT(*), SUM(megapixels), SUM(COALESCE(seconds, 0)) FROM photos GROUP BY state"
            ).fetchall()
            failures = tuple(
                Failure(*row)
                for row in self._database.execute(
                    "SELECT source, error FROM photos WHERE state = 'failed' ORDER BY name"
                ).fetchall()
            )
            last = self._database.execute("SELECT description FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        return Summary(
            photos={row[0]: row[1] for row in rows},
            megapixels={row[0]: row[2] for row in rows},
            seconds=sum(row[3] for row in rows if row[0] == State.DONE),
            processes=len(living(self.scratch)),
            failures=failures,
            settings=json.loads(last[0]) if last else {},
        )

    def _verdict(
        self,
        task: PhotoTask,
        row: sqlite3.Row | None,
        alive: set[str],
        settings: str,
        weights: str,
        overwrite: bool,
        lying: dict[str, str] | None,
    ) -> tuple[str, bool]:
        """What is to become of one photo, and whether what lies in its place may be replaced."""
        stamp = self._stamp(task.name, lying)
        if row is None or (row["state"] == State.FOUND and (overwrite or stamp is None)):
            if stamp is None:
                return "queued", False
            return ("queued", True) if overwrite else ("found", False)
        if row["state"] in (State.RUNNING, State.WRITTEN):
            return ("elsewhere" if row["owner"] in alive else "queued"), bool(row["replace"])
        if overwrite:
            return "queued", True
        if row["state"] == State.FOUND:
            return "found", False
        same = row["settings"] == settings and row["weights"] == weights and self._same_content(task, row)
        if row["state"] == State.FAILED:
            return ("failed", False) if same else ("queued", bool(row["replace"]))
        if row["state"] == State.QUEUED:
            return "queued", bool(row["replace"])
        if stamp is None:
            return "queued", False
        if not self._is_ours(row, stamp):
            return "found", False
        return ("done", True) if same else ("queued", True)

    def _same_content(self, task: PhotoTask, row: sqlite3.Row) -> bool:
        """By the stamp; where that differs, by the hash, for a copied or touched file is the same photo."""
        if row["stamp"] == task.stamp and row["source"] == task.source:
            return True
        if row["content"] is None or is_url(task.source) or row["bytes"] != task.bytes:
            return False
        return content_hash(Path(task.source)) == row["content"]

    def _is_ours(self, row: sqlite3.Row, stamp: str | None = None) -> bool:
        """Whether the file in a result's place is the one that was written: by its stamp, else by its hash."""
        location = join(self.folder, row["name"])
        if stamp is None:
            item = self.store.item(location)
            stamp = item.stamp if item else None
        if stamp is None or stamp == row["output_stamp"]:
            return stamp is not None
        return not is_url(location) and content_hash(Path(location)) == row["output"]

    def _stamp(self, name: str, lying: dict[str, str] | None) -> str | None:
        if lying is not None:
            return lying.get(name)
        item = self.store.item(join(self.folder, name))
        return item.stamp if item else None

    def _enter(self, chosen: Iterable[tuple[PhotoTask, str, bool]], settings: str, weights: str) -> None:
        now = time.time()
        with self._change() as database:
            database.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (number INTEGER PRIMARY KEY)")
            database.execute("DELETE FROM wanted")
            for task, verdict, replace in chosen:
                if verdict in ("queued", "found"):
                    # another process may have taken it since we looked: then it stays as it is
                    database.execute(
                        """INSERT INTO photos (name, numbers, comparison, source, stamp, bytes, megapixels, settings,
                           weights, state, replace, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                           ON CONFLICT (name) DO UPDATE SET source = excluded.source, stamp = excluded.stamp,
                           numbers = excluded.numbers, comparison = excluded.comparison,
                           bytes = excluded.bytes, megapixels = excluded.megapixels, settings = excluded.settings,
                           weights = excluded.weights, state = excluded.state, replace = excluded.replace,
                           changed = excluded.changed, error = NULL WHERE owner IS NULL""",
                        [task.name, task.numbers, task.comparison, task.source, task.stamp, task.bytes, task.megapixels,
                         settings, weights, verdict, int(replace), now],
                    )  # fmt: skip
                elif verdict == "done":
                    database.execute(
                        "UPDATE photos SET stamp = ?, source = ? WHERE name = ? AND owner IS NULL",
                        [task.stamp, task.source, task.name],
                    )
                database.execute("INSERT OR IGNORE INTO wanted SELECT number FROM photos WHERE name = ?", [task.name])

    def _reserve(self, photos: int) -> None:
        """Make the file and its log as large as this many photos will need; both keep the room for themselves."""
        needed = RESERVE_BYTES + photos * RESERVE_EACH
        with self._change() as database:
            page = database.execute("PRAGMA page_size").fetchone()[0]
            free = database.execute("PRAGMA freelist_count").fetchone()[0] * page
            if free >= needed:
                return
            database.execute("CREATE TABLE reserve (room BLOB)")
            for _ in range(-(-(needed - free) // RESERVE_BYTES)):
                database.execute("INSERT INTO reserve VALUES (zeroblob(?))", [RESERVE_BYTES])
            database.execute("DROP TABLE reserve")
        with self._lock:
            self._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _recover(self, database: sqlite3.Connection, dead: Sequence[str]) -> None:
        """Free what dead processes held; a result that had got its name before the end is done."""
        for token in dead:
            rows = database.execute("SELECT * FROM photos WHERE owner = ? AND state = 'written'", [token]).fetchall()
            for row in rows:
                location = join(self.folder, row["name"])
                item = self.store.item(location)
                if item is None:
                    continue
                there = item.bytes == row["output_bytes"]
                if there and not is_url(location):
                    there = content_hash(Path(location)) == row["output"]
                if there:
                    database.execute(
                        """UPDATE photos SET state = 'done', owner = NULL, replace = 1, output_stamp = ?, changed = ?
                           WHERE number = ?""",
                        [item.stamp, time.time(), row["number"]],
                    )
        _release(database, dead)

    def _rows(self, names: Sequence[str]) -> dict[str, sqlite3.Row]:
        rows = self._select("name IN (SELECT value FROM json_each(?))", [json.dumps(names)])
        return {row["name"]: row for row in rows}

    def _select(self, condition: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(f"SELECT * FROM photos WHERE {condition}", values).fetchall()

    def _open(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self.file, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
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
                    f"{self.file} is not a journal of allfocus", "a journal or nothing", "move it away"
                ) from error
            raise self._refusal(str(error)) from error
        if version not in (0, VERSION):
            database.close()
            raise OutputError(
                f"{self.file} was written by another version of allfocus (format {version})",
                f"format {VERSION}",
                "that version, or another -o",
            )
        return database

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction; no other process writes meanwhile."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._refusal(str(error)) from error
            finally:
                if self._database.in_transaction:  # after a failure; on a full disk SQLite has gone back by itself
                    self._database.execute("ROLLBACK")

    def _refusal(self, reason: str) -> JournalError:
        return JournalError(
            f"the journal {self.file} cannot be written ({reason})",
            "a folder with free space that may be written to",
            "free some space and run the same command again; what is done is kept",
        )


def as_json(summary: Summary) -> str:
    """One line of JSON."""
    return json.dumps(asdict(summary))


def _release(database: sqlite3.Connection, owners: Sequence[str]) -> None:
    for token in owners:
        database.execute(
            "UPDATE photos SET state = 'queued', owner = NULL, changed = ? WHERE owner = ?", [time.time(), token]
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
