"""Records of a batch's journal: photos, claims, results, plans, summaries."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from allfocus.errors import AllfocusError


class State(StrEnum):
    """State of a photo in the journal."""

    QUEUED = "queued"
    RUNNING = "running"
    WRITTEN = "written"
    DONE = "done"
    FAILED = "failed"
    FOUND = "found"


@dataclass(frozen=True, kw_only=True)
class PhotoEntry:
    """One photo and the names of what is made of it.

    Attributes:
        source: its path or URL.
        name: of the result, below the output folder.
        megapixels: known or estimated.
        numbers: name of the defocus map, or None.
        comparison: name of the before/after picture, or None.
    """

    source: str
    name: str
    megapixels: float
    numbers: str | None = None
    comparison: str | None = None


@dataclass(frozen=True, kw_only=True)
class PhotoTask(PhotoEntry):
    """One photo that a run should restore.

    Attributes:
        bytes: size of the source.
        stamp: see `store.Item`.
    """

    bytes: int
    stamp: str


@dataclass(frozen=True, kw_only=True)
class Claim(PhotoEntry):
    """A photo that a process has claimed.

    Attributes:
        number: its row in the journal.
        replace: whether a file that lies in the result's place may be replaced (it is an earlier result, or asked for).
        attempt: 1 for the first.
    """

    number: int
    replace: bool
    attempt: int = 1


@dataclass(frozen=True)
class Result:
    """What is recorded of a restored photo.

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
    """A photo that failed earlier or on another machine; the text is that error."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text)
        self.text = text

    def __reduce__(self) -> tuple[type[PhotoFailed], tuple[str]]:  # type: ignore[override]
        return type(self), (self.text,)


@dataclass(frozen=True)
class Planned:
    """What a run will do with each of its photos.

    Attributes:
        queued: photos to do.
        done: photos that were done before, with the same content and settings.
        found: results that lie there and are not from this journal, or were changed since; they are left alone.
        failed: photos that failed before and are not tried again.
        elsewhere: photos that another process works on now.
        megapixels: of the photos to do.
        work: of the photos to do; see `forecast.work_of`.
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
    work: float
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

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))
