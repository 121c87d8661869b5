"""The journal of an output that is a URL: a file on this machine, with a copy beside the results."""

from __future__ import annotations

import contextlib
import hashlib
import time

from allfocus.batch.journal import NAME, Journal
from allfocus.batch.store import Store, join
from allfocus.errors import StoreError
from allfocus.folders import cache_folder

EVERY_S = 60.0


class Snapshot:
    """Renews the copy in the store.

    Args:
        folder: the output, a URL.
        store: takes the copy.
    """

    def __init__(self, folder: str, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.file = cache_folder() / "journals" / hashlib.sha256(folder.encode()).hexdigest()[:16] / NAME
        self._sent = time.monotonic()

    def pull(self) -> None:
        """Download the copy if this machine has no journal yet.

        Raises:
            StoreError: the store does not answer.
        """
        location = join(self.folder, NAME)
        if self.file.exists() or self.store.item(location) is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.store.fetch(location, self.file.parent)

    def push(self, journal: Journal, *, now: bool = False) -> None:
        """Upload a copy, at most every `EVERY_S` seconds unless `now`; a failed upload is left to the next call."""
        if not now and time.monotonic() - self._sent < EVERY_S:
            return
        self._sent = time.monotonic()
        copy = self.file.with_name(f".{NAME}.copy")
        try:
            journal.copy_to(copy)
            with contextlib.suppress(StoreError):
                self.store.publish(copy, join(self.folder, NAME), replace=True)
        finally:
            copy.unlink(missing_ok=True)
