"""One photo of a batch: fetched, restored into scratch, hashed; the owner of the journal gives it its name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from allfocus.atomic_file import make_folder
from allfocus.batch.entries import Claim, Result
from allfocus.batch.store import Store, content_hash, is_url, join
from allfocus.deblurrer import Deblurrer
from allfocus.errors import AllfocusError, InputError, OutputError, UnexpectedError
from allfocus.ledger import Ledger
from allfocus.photo.codecs import MAX_PIXELS
from allfocus.restore import Progress, Settings


@dataclass(frozen=True)
class Order:
    """What to make of every photo.

    Attributes:
        settings: strength, scale, tile and the bokeh to keep.
        model: name or path.
        engine: "auto" or one engine.
        precision: "auto" or one precision.
        map: also the defocus map.
        compare: also the before/after picture.
        quality: of JPEG, WebP and AVIF; see `Deblurrer.run`.
        allow_damaged: restore what can be read of a damaged file.
        pixel_limit: larger photos are refused.
    """

    settings: Settings = field(default_factory=Settings)
    model: str = "ifan-fast"
    engine: str = "auto"
    precision: str = "auto"
    map: bool = False
    compare: bool = False
    quality: int | None = None
    allow_damaged: bool = False
    pixel_limit: int = MAX_PIXELS

    def description(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    def key(self) -> str:
        """Hash of all settings that affect the bytes of a result; the weights are hashed apart.

        >>> Order().key() == Order(settings=Settings(strength=0.5)).key()
        False
        """
        deciding = {name: value for name, value in self.description().items() if name not in ("model", "pixel_limit")}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:32]

    def deblurrer(self, threads: int | None = None) -> Deblurrer:
        """A model on an engine for this order, loaded; `threads` and errors as in `engine.choose.choose`."""
        return Deblurrer(self.model, self.engine, self.precision, threads).loaded()


@dataclass(frozen=True)
class Staged:
    """A restored photo whose files are still in scratch.

    Attributes:
        result: for the journal.
        files: local file -> its name below the output folder; the result itself is the last.
    """

    result: Result
    files: tuple[tuple[Path, str], ...]


def fetch(source: str, scratch: Path, store: Store) -> tuple[Path, str]:
    """A local file with the photo (in `scratch` if it had to be copied), and the hash of its content.

    Raises:
        InputError: it cannot be read. StoreError: its store does not answer. OutputError: no room for the copy.
    """
    make_folder(scratch)
    file = store.fetch(source, scratch)
    return file, content_hash(file)


def restore_into(
    scratch: Path,
    file: Path,
    content: str,
    claim: Claim,
    deblurrer: Deblurrer,
    order: Order,
    progress: Callable[[Progress], None] | None = None,
) -> Staged:
    """Restore a local photo into `scratch`.

    Args:
        scratch: a folder for this photo alone, on the file system of the output where that is a path.
        file: the photo.
        content: its hash.
        claim: names what is to be made.
        deblurrer: made by `order.deblurrer()`.
        order: what to make.
        progress: called after every tile; what it raises ends the work.

    Raises:
        AllfocusError: the photo cannot be read, restored or written.
    """
    started = time.perf_counter()
    made = scratch / "made"
    make_folder(made)
    target = made / PurePosixPath(claim.name).name
    done = deblurrer.run(
        file,
        target,
        order.settings,
        map=made / PurePosixPath(claim.numbers).name if claim.numbers else None,
        compare=made / PurePosixPath(claim.comparison).name if claim.comparison else None,
        quality=order.quality,
        allow_damaged=order.allow_damaged,
        pixel_limit=order.pixel_limit,
        progress=progress,
    )
    beside = sorted(path for path in made.iterdir() if path != target)
    _flush(target)
    facts = {**done.facts(), "seconds": round(time.perf_counter() - started, 3)}
    result = Result(content, content_hash(target), target.stat().st_size, facts)
    files = [(path, str(PurePosixPath(claim.name).with_name(path.name))) for path in beside]
    return Staged(result, (*files, (target, claim.name)))


def publish(staged: Staged, folder: str, claim: Claim, store: Store) -> None:
    """Give the files of a photo their names in the output folder, the result last; list them as results first.

    Raises:
        OutputError: a place that cannot be written, or is taken. StoreError: the store does not answer.
    """
    *beside, (result, name) = staged.files
    if not is_url(folder):
        place = Path(folder) / Path(name).parent
        make_folder(place)
        Ledger(place).add(*(PurePosixPath(written).name for _, written in staged.files))
    for path, other in beside:  # an attempt that was killed may have left these
        store.publish(path, join(folder, other), replace=claim.replace or claim.attempt > 1)
    store.publish(result, join(folder, name), replace=claim.replace)


def copy_twin(twin: Path, source: Path, scratch: Path, name: str, result: Result) -> Staged:
    """A copy of the result of another photo with the same content, with this one's permissions.

    Raises:
        OutputError: no room for the copy.
    """
    made = scratch / "made"
    make_folder(made)
    copy = made / PurePosixPath(name).name
    try:
        shutil.copyfile(twin, copy)
        shutil.copymode(twin if os.name == "nt" else source, copy)
    except OSError as error:
        raise OutputError(f"{name} could not be copied ({error.strerror})", "free space", "free some space") from error
    _flush(copy)
    return Staged(result, ((copy, name),))


def failure_of(source: str, error: Exception) -> AllfocusError:
    """The failure of a photo as one sentence; an unexpected one asks for a report."""
    if isinstance(error, AllfocusError):
        return error
    if isinstance(error, MemoryError):
        return InputError(f"{source} needs more memory than is free", "a smaller photo", "--tile 512")
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return InputError(f"{source} could not be restored ({reason})", "a readable and writable disk", "again")
    return UnexpectedError(error)


def _flush(file: Path) -> None:
    """Write the file's bytes to the disk before the journal records them."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
