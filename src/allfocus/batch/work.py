"""One photo of a batch: fetched, restored into scratch, hashed; whoever keeps the journal gives it its name."""

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

from allfocus.batch.journal import Claim, Result
from allfocus.batch.store import Store, content_hash, join
from allfocus.deblurrer import Deblurrer
from allfocus.errors import OutputError
from allfocus.restore import Progress, Settings


@dataclass(frozen=True)
class Order:
    """What is to be made of every photo.

    Attributes:
        settings: strength, scale, tile and the bokeh to keep.
        model: name or path.
        engine: "auto" or one engine.
        precision: "auto" or one precision.
        map: also the defocus map.
        compare: also the before/after picture.
    """

    settings: Settings = field(default_factory=Settings)
    model: str = "ifan-fast"
    engine: str = "auto"
    precision: str = "auto"
    map: bool = False
    compare: bool = False

    def description(self) -> dict[str, Any]:
        """In plain values."""
        return asdict(self)

    def key(self) -> str:
        """Hash of everything but the weights that decides the bytes of a result.

        >>> Order().key() == Order(settings=Settings(strength=0.5)).key()
        False
        """
        told = {name: value for name, value in self.description().items() if name != "model"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

    def deblurrer(self) -> Deblurrer:
        """A model on an engine for this order."""
        return Deblurrer(self.model, self.engine, self.precision)


@dataclass(frozen=True)
class Staged:
    """A photo that is restored and not yet in its place.

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
    _make(scratch)
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
    _make(made)
    target = made / PurePosixPath(claim.name).name
    numbers = made / PurePosixPath(claim.numbers).name if claim.numbers else None
    comparison = made / PurePosixPath(claim.comparison).name if claim.comparison else None
    done = deblurrer.run(file, target, order.settings, map=numbers, compare=comparison, progress=progress)
    beside = sorted(path for path in made.iterdir() if path != target)
    _flush(target)
    result = Result(
        content=content,
        output=content_hash(target),
        width=done.width,
        height=done.height,
        bytes=target.stat().st_size,
        seconds=time.perf_counter() - started,
        notes=done.notes,
    )
    files = [(path, str(PurePosixPath(claim.name).with_name(path.name))) for path in beside]
    return Staged(result, (*files, (target, claim.name)))


def publish(staged: Staged, folder: str, claim: Claim, store: Store) -> None:
    """Give the files of a photo their names in the output folder, the result last.

    Raises:
        OutputError: a place that cannot be written, or is taken. StoreError: the store does not answer.
    """
    *beside, (result, name) = staged.files
    for path, other in beside:  # an attempt that was killed may have left these
        store.publish(path, join(folder, other), replace=claim.replace or claim.attempt > 1)
    store.publish(result, join(folder, name), replace=claim.replace)


def copy_twin(twin: Path, source: Path, scratch: Path, name: str, result: Result) -> Staged:
    """A copy of the result of another photo with the same content, with this one's permissions.

    Raises:
        OutputError: no room for the copy.
    """
    made = scratch / "made"
    _make(made)
    copy = made / PurePosixPath(name).name
    try:
        shutil.copyfile(twin, copy)
        shutil.copymode(twin if os.name == "nt" else source, copy)
    except OSError as error:
        raise OutputError(f"{name} could not be copied ({error.strerror})", "free space", "free some space") from error
    _flush(copy)
    return Staged(result, ((copy, name),))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the scratch folder {folder} cannot be made ({error.strerror})",
            "a folder with free space that may be written to",
            "another -o",
        ) from error


def _flush(file: Path) -> None:
    """The file's bytes are on the disk before the journal says that they are."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
