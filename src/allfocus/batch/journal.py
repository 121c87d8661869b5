"""The journal of an output folder: which photos were restored there, with which settings, and their results.

One SQLite file in WAL mode. A result is recorded by its hash before it gets its name (state "written") and confirmed
afterwards (state "done"), so that after a kill at any moment it can be told whether the file that lies there is ours.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from allfocus.batch.database import Database
from allfocus.batch.entries import Claim, Failure, PhotoFailed, PhotoTask, Planned, Result, State, Summary
from allfocus.batch.forecast import work_of
from allfocus.batch.store import Store, content_hash, is_url, join
from allfocus.errors import OptionError, OutputError
from allfocus.scratch import ScratchFolder, living, sweep

NAME = "allfocus-journal.sqlite"
SCRATCH = ".allfocus-scratch"
"""Beside the journal: what the scratch folders of all processes stand in."""


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
        self.owner: ScratchFolder | None = None
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
                f"the folder {self.file.parent} cannot be created ({error.strerror})",
                "a writable folder",
                "another -o",
            ) from error
        self._database = Database(self.file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what this process holds and close the file."""
        if self.owner is not None:
            try:
                with self._database.change() as database:
                    _release(database, [self.owner.token])
            finally:
                self.owner.close()
                self.owner = None
        self._database.close()

    @property
    def scratch(self) -> Path:
        """The folder that the scratch of all processes stands in."""
        return self.file.parent / SCRATCH

    def start(self, settings: str, description: dict[str, Any], version: str) -> ScratchFolder:
        """Start to work here: claims of dead processes are released, and their scratch files removed.

        Args:
            settings: hash of what decides the results.
            description: the same in words, for `status`.
            version: of allfocus.

        Raises:
            OptionError: another process works here with other settings.
            OutputError: the journal cannot be written.
        """
        with self._database.change() as database:
            alive = living(self.scratch)
            sweep(self.scratch)
            for (other,) in database.execute(
                "SELECT DISTINCT settings FROM runs WHERE owner IN (SELECT value FROM json_each(?))",
                [json.dumps(sorted(alive))],
            ).fetchall():
                if other != settings:
                    raise OptionError(
                        f"another allfocus is working on {self.folder} with other settings",
                        "the same settings, to share the work",
                        "another -o, or wait until it ends",
                    )
            held = [row[0] for row in database.execute("SELECT DISTINCT owner FROM photos WHERE owner IS NOT NULL")]
            self._recover(database, [token for token in held if token not in alive])
            try:
                self.owner = ScratchFolder(self.scratch)
            except OSError as error:
                raise self._database.refusal(error.strerror or str(error)) from error
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
        """Compare the photos of a run with what has been done; this process claims only photos of this plan.

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
            self._database.reserve(counts["queued"])
        to_do = [task for task, verdict, _ in chosen if verdict == "queued"]
        return Planned(
            **counts,
            megapixels=sum(task.megapixels for task in to_do),
            work=sum(work_of(task.megapixels, task.name) for task in to_do),
            largest=max((task.megapixels for task in to_do), default=0.0),
            bytes=sum(task.bytes for task in to_do),
            verdicts={task.name: verdict for task, verdict, _ in chosen},
        )

    def claim(self, *, smallest: bool = False) -> Claim | None:
        """Claim the largest queued photo, or the smallest; None if there is none.

        Photos that were claimed twice before and not finished come last, so that one that crashes the process does not
        hold up the others.
        """
        assert self.owner is not None  # start() comes first
        with self._database.change() as database:
            row = database.execute(
                f"""SELECT number, source, name, megapixels, numbers, comparison, replace, attempts + 1 AS attempt
                    FROM photos WHERE state = 'queued' AND number IN (SELECT number FROM wanted)
                    ORDER BY MAX(attempts - 1, 0), megapixels {"ASC" if smallest else "DESC"}, number LIMIT 1"""
            ).fetchone()
            if row is None:
                return None
            database.execute(
                """UPDATE photos SET state = 'running', owner = ?, attempts = attempts + 1, error = NULL, changed = ?
                   WHERE number = ?""",
                [self.owner.token, time.time(), row[0]],
            )
        return Claim(**{**dict(row), "replace": bool(row["replace"])})

    def written(self, claim: Claim, result: Result) -> None:
        """The result is whole in scratch and gets its name next."""
        with self._database.change() as database:
            database.execute(
                """UPDATE photos SET state = 'written', content = ?, output = ?, output_bytes = ?, seconds = ?,
                   facts = ?, megapixels = ?, changed = ? WHERE number = ?""",
                [result.content, result.output, result.bytes, result.facts["seconds"], json.dumps(result.facts),
                 result.megapixels, time.time(), claim.number],
            )  # fmt: skip

    def done(self, claim: Claim) -> None:
        """Record that the result has its final name."""
        item = self.store.item(join(self.folder, claim.name))
        with self._database.change() as database:
            database.execute(
                """UPDATE photos SET state = 'done', owner = NULL, replace = 1, output_stamp = ?, changed = ?
                   WHERE number = ?""",
                [item.stamp if item else "", time.time(), claim.number],
            )

    def failed(self, claim: Claim, error: str, content: str | None = None) -> None:
        """The photo cannot be restored; `error` says why."""
        with self._database.change() as database:
            database.execute(
                """UPDATE photos SET state = 'failed', owner = NULL, error = ?, content = ?, changed = ?
                   WHERE number = ?""",
                [error, content, time.time(), claim.number],
            )

    def release(self, claim: Claim) -> None:
        """Give a photo back that was not finished."""
        with self._database.change() as database:
            database.execute(
                "UPDATE photos SET state = 'queued', owner = NULL, changed = ? WHERE number = ?",
                [time.time(), claim.number],
            )

    def twin(self, content: str, settings: str, weights: str, name: str) -> tuple[str, Result] | None:
        """The result of a photo with the same content and settings and the same ending, if it is unchanged.

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
        with self._database.change() as database:
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
        query = "SELECT state, COUNT(*) FROM photos WHERE number IN wanted GROUP BY state"
        return {row[0]: row[1] for row in self._database.rows(query)}

    def threads(self, settings: str) -> int | None:
        """With how many threads each engine computed when these settings were first used here; None where nobody did.

        An engine's last digits depend on it, so who goes on with a run has to use as many.
        """
        noted = self._database.rows(
            """SELECT json_extract(description, '$.threads') FROM runs
               WHERE settings = ? AND json_extract(description, '$.threads') IS NOT NULL ORDER BY number LIMIT 1""",
            [settings],
        )
        return int(noted[0][0]) if noted else None

    def note_threads(self, threads: int) -> None:
        """With how many threads each engine of this run computes."""
        assert self.owner is not None
        with self._database.change() as database:
            database.execute(
                "UPDATE runs SET description = json_set(description, '$.threads', ?) WHERE owner = ?",
                [threads, self.owner.token],
            )

    def note_rate(self, megapixels: float, seconds: float) -> None:
        """How much this run has done so far, for later forecasts."""
        assert self.owner is not None
        with self._database.change() as database:
            database.execute(
                "UPDATE runs SET megapixels = ?, seconds = ? WHERE owner = ?", [megapixels, seconds, self.owner.token]
            )

    def rate(self) -> float | None:
        """Megapixels a second of the last run that did something, or None."""
        done = self._database.rows(
            "SELECT megapixels, seconds FROM runs WHERE megapixels > 0 AND seconds > 0 ORDER BY number DESC LIMIT 1"
        )
        return done[0][0] / done[0][1] if done else None

    def growth(self) -> float | None:
        """How many times larger results are than their sources, over all that is done."""
        query = "SELECT SUM(output_bytes), SUM(bytes) FROM photos WHERE state = 'done' AND bytes > 0"
        ((written, read),) = self._database.rows(query)
        return written / read if read else None

    def failures(self, names: Iterable[str]) -> dict[str, PhotoFailed]:
        """Why the photos with results of these names failed."""
        wanted = set(names)
        rows = self._select("state = 'failed'", []) if wanted else []
        return {row["name"]: PhotoFailed(row["error"]) for row in rows if row["name"] in wanted}

    def copy_to(self, file: Path) -> None:
        """Write a whole copy of the journal as it is now."""
        self._database.copy_to(file)

    def summary(self) -> Summary:
        """Everything that `allfocus status` shows."""
        rows = self._database.rows(
            "SELECT state, COUNT(*), SUM(megapixels), SUM(COALESCE(seconds, 0)) FROM photos GROUP BY state"
        )
        failed = self._database.rows("SELECT source, error FROM photos WHERE state = 'failed' ORDER BY name")
        last = self._database.rows("SELECT description FROM runs ORDER BY number DESC LIMIT 1")
        return Summary(
            photos={row[0]: row[1] for row in rows},
            megapixels={row[0]: row[2] for row in rows},
            seconds=sum(row[3] for row in rows if row[0] == State.DONE),
            processes=len(living(self.scratch)),
            failures=tuple(Failure(*row) for row in failed),
            settings=json.loads(last[0][0]) if last else {},
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
        with self._database.change() as database:
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
        return self._database.rows(f"SELECT * FROM photos WHERE {condition}", values)


def _release(database: sqlite3.Connection, owners: Sequence[str]) -> None:
    for token in owners:
        database.execute(
            "UPDATE photos SET state = 'queued', owner = NULL, changed = ? WHERE owner = ?", [time.time(), token]
        )
