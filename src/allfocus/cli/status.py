"""`allfocus status`: how far a batch is, from the journal of its output folder."""

from __future__ import annotations

from typing import Annotated

import typer


def status_command(
    folder: Annotated[str, typer.Argument(metavar="OUT", help="The output folder of a batch, or its URL.")],
    failures: Annotated[bool, typer.Option(help="List the photos that failed, and why.")] = True,
    json: Annotated[bool, typer.Option(help="Print one JSON object.")] = False,
) -> None:
    """Show the progress of a batch: photos done, waiting and failed, and why they failed."""
    from allfocus.batch.entries import State
    from allfocus.batch.journal import Journal
    from allfocus.batch.snapshot import Snapshot
    from allfocus.batch.store import Store, is_url, plain
    from allfocus.cli.report import with_name

    folder, store = plain(folder), Store()
    snapshot = Snapshot(folder, store) if is_url(folder) else None
    if snapshot is not None:
        snapshot.pull()
    with Journal(folder, file=None if snapshot is None else snapshot.file, store=store, create=False) as journal:
        summary, rate = journal.summary(), journal.rate()
    if json:
        print(summary.as_json())
        return
    words = {
        State.DONE: "done", State.QUEUED: "waiting", State.RUNNING: "being restored", State.WRITTEN: "being written",
        State.FAILED: "failed", State.FOUND: "left alone, not from this journal",
    }  # fmt: skip
    for state, word in words.items():
        if summary.photos.get(state):
            number = summary.photos[state]
            noun = "photo, " if number == 1 else "photos,"
            print(f"{number:6d} {noun} {summary.megapixels[state]:8.1f} megapixels {word}")
    working = summary.processes
    print(f"{working or 'no'} {'process is' if working == 1 else 'processes are'} working on it")
    if rate is not None:
        print(f"{rate:.2f} megapixels per second in the last run")
    for failure in summary.failures if failures else ():
        print(f"  {with_name(failure.source, failure.error)}")
