"""Results on disk: one row per image, appended as it is scored, and one summary per set."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allfocus.atomic_file import make_folder, write_json, write_text
from allfocus.errors import DataError, OutputError
from allfocus.evaluate.radius import COLUMNS as RADIUS_COLUMNS
from allfocus.evaluate.radius import Bin, pooled

DECIBEL = ("psnr", "psnr_fit", "psnr_aligned")
SCORES = (*DECIBEL, "ssim", "mae", "lpips", "ringing", "reblur", "shift_r", "shift_g", "shift_b")
SCORE_COLUMNS = ("name", "groups", "width", "height", *SCORES)
TIMING_COLUMNS = ("name", "seconds", "peak_mib", "peak_gpu_mib")
DIGITS = 9
MOST_DB = 60.0
"""A picture that is nearly its target counts as this in a mean: 60 dB is less than rounding to 8 bits costs, and one
photo without blur, which the input itself matches to infinity, would else decide the mean of a hundred others."""


@dataclass(frozen=True)
class Row:
    """One image under one method.

    Attributes:
        name: of the scene.
        groups: subsets it belongs to.
        width, height: of what was scored, in px.
        scores: by name (see SCORES); None where there is no target, no LPIPS file or no defocus map.
        seconds, peak_mib, peak_gpu_mib: of the restoration alone.
        bins: errors by true blur radius, where the set knows it.
    """

    name: str
    groups: tuple[str, ...]
    width: int
    height: int
    scores: Mapping[str, float | None]
    seconds: float
    peak_mib: float
    peak_gpu_mib: float | None = None
    bins: tuple[Bin, ...] = ()


class Sheet:
    """The files of one method on one set: `METHOD.csv` (scores), `METHOD.timing.csv` and `METHOD.json`.

    Sets that know the true blur radius add `METHOD.radius.csv`. Scores and timings are apart, so that a run that was
    killed and continued leaves the same scores to the byte. An image is written to the timings last: what stands there
    is whole in the others.

    Args:
        folder: of the set.
        label: the method's.
        fingerprint: what has to be equal for rows of an earlier run to be kept.
        contents: a digest of the files that a scene's row depends on; a row that was made from others, or does not
            say, is scored again.

    Raises:
        DataError: the files there come from another protocol, other weights or other photos.
    """

    def __init__(
        self, folder: Path, label: str, fingerprint: Mapping[str, Any], contents: Mapping[str, str] | None = None
    ) -> None:
        self.scores = folder / f"{label}.csv"
        self.timing = folder / f"{label}.timing.csv"
        self.radius = folder / f"{label}.radius.csv"
        self.summary = folder / f"{label}.json"
        self.fingerprint = json.loads(json.dumps(fingerprint))
        self._contents = dict(contents or {})
        self._known: dict[str, str] = {}
        make_folder(folder)
        self._check()

    def done(self) -> set[str]:
        """Names that are whole in all files; what a kill left of others is cut off."""
        scored, timed = _whole_rows(self.scores, SCORE_COLUMNS), _whole_rows(self.timing, TIMING_COLUMNS)
        names = {row["name"] for row in scored} & {row["name"] for row in timed}
        names = {name for name in names if self._known.get(name) == self._contents.get(name, self._known.get(name))}
        for path, columns in (
            (self.radius, RADIUS_COLUMNS),
            (self.scores, SCORE_COLUMNS),
            (self.timing, TIMING_COLUMNS),
        ):
            if path != self.radius or path.is_file():
                rows = _whole_rows(path, columns)
                write_text(path, _as_csv(columns, [row for row in rows if row["name"] in names]))
        return names

    def append(self, row: Row) -> None:
        """Add one image; it is on disk when this returns."""
        scores = {name: _text(row.scores.get(name)) for name in SCORES}
        head = {"name": row.name, "groups": ";".join(row.groups), "width": row.width, "height": row.height}
        timing = {
            "name": row.name,
            "seconds": f"{row.seconds:.4f}",
            "peak_mib": f"{row.peak_mib:.1f}",
            "peak_gpu_mib": "" if row.peak_gpu_mib is None else f"{row.peak_gpu_mib:.1f}",
        }
        if row.bins:
            if not self.radius.is_file():
                write_text(self.radius, _as_csv(RADIUS_COLUMNS, []))
            _append_lines(self.radius, RADIUS_COLUMNS, [{"name": row.name, **_texts(asdict(one))} for one in row.bins])
        _append_lines(self.scores, SCORE_COLUMNS, [head | scores])
        _append_lines(self.timing, TIMING_COLUMNS, [timing])

    def start(self, record: Mapping[str, Any]) -> None:
        """Write the summary of a run that has begun, so that a later one can tell whether it may continue."""
        if self.summary.is_file():
            self.done()  # rows of files that have changed go before the summary names the new ones
        self._known |= self._contents
        self._write(record, complete=False)

    def finish(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Write and return the summary: means over all rows, over each group, and of the timings."""
        rows = read_scores(self.scores)
        groups = sorted({group for row in rows for group in row["groups"]})
        timings = _whole_rows(self.timing, TIMING_COLUMNS)
        means: dict[str, Any] = {
            "images": len(rows),
            "scores": mean_scores(rows),
            "groups": {group: _group(rows, group) for group in groups},
            "timing": _timing(timings),
        }
        if self.radius.is_file():
            means["by_radius"] = pooled(_whole_rows(self.radius, RADIUS_COLUMNS))
        return self._write({**record, **means}, complete=True)

    def _write(self, record: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
        whole = {"complete": complete, "fingerprint": self.fingerprint, **record}
        if self._known:
            whole["contents"] = self._known
        write_json(self.summary, _finite(whole))
        return whole

    def _check(self) -> None:
        if not self.summary.is_file():
            leftover = [path for path in (self.scores, self.timing) if path.is_file()]
            if leftover:
                raise DataError(f"{leftover[0]} without {self.summary.name}", "rows with a summary", "move it away")
            return
        summary = read_summary(self.summary)
        self._known = dict(summary.get("contents", {}))
        stored = summary.get("fingerprint", {})
        different = [name for name in self.fingerprint if stored.get(name) != self.fingerprint[name]]
        if different:
            name = different[0]
            raise DataError(
                f"{self.summary} was made with {name} {stored.get(name)!r}, this run has {self.fingerprint[name]!r}",
                "one protocol, one model and one set per file",
                "another folder with -o, or --fresh to start this one again",
            )


def discard(folder: Path, label: str) -> None:
    """Remove what an earlier run of this method left in the folder of a set."""
    for ending in (".csv", ".timing.csv", ".radius.csv", ".json"):
        (folder / f"{label}{ending}").unlink(missing_ok=True)


def read_scores(path: Path) -> list[dict[str, Any]]:
    """The rows of a score file: groups as a tuple, scores as floats or None."""
    rows = []
    for raw in _whole_rows(path, SCORE_COLUMNS):
        row: dict[str, Any] = {"name": raw["name"], "groups": tuple(filter(None, raw["groups"].split(";")))}
        row |= {name: float(raw[name]) if raw[name] else None for name in SCORES}
        rows.append(row)
    return rows


def read_summary(path: Path) -> dict[str, Any]:
    """A stored summary, {} for another JSON file. DataError when it is no JSON."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})", "a summary by `allfocus eval`", "run it again") from error
    return record if isinstance(record, dict) else {}


def mean_scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The arithmetic mean of each score over the images that have it, PSNR up to `MOST_DB`; None where none has."""
    means: dict[str, float | None] = {}
    for name in SCORES:
        most = MOST_DB if name in DECIBEL else math.inf
        values = [min(row[name], most) for row in rows if row[name] is not None]
        means[name] = math.fsum(values) / len(values) if values else None
    return means


def _group(rows: Sequence[Mapping[str, Any]], group: str) -> dict[str, Any]:
    inside = [row for row in rows if group in row["groups"]]
    return {"images": len(inside), **mean_scores(inside)}


def _timing(rows: Sequence[Mapping[str, str]]) -> dict[str, float | None]:
    seconds = [float(row["seconds"]) for row in rows]
    gpu = [float(row["peak_gpu_mib"]) for row in rows if row["peak_gpu_mib"]]
    return {
        "seconds_mean": statistics.fmean(seconds) if seconds else None,
        "seconds_median": statistics.median(seconds) if seconds else None,
        "peak_mib": max((float(row["peak_mib"]) for row in rows), default=None),
        "peak_gpu_mib": max(gpu, default=None),
    }


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}"


def _as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _texts(values: Mapping[str, Any]) -> dict[str, object]:
    return {
        name: _text(value) if isinstance(value, float) or value is None else value for name, value in values.items()
    }


def _append_lines(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    line = io.StringIO()
    csv.DictWriter(line, columns, lineterminator="\n").writerows(rows)
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(line.getvalue())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})", "free space", "-o DIR") from error


def _whole_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # a kill can only tear the last line
    reader = csv.DictReader(io.StringIO(whole))
    if whole and tuple(reader.fieldnames or ()) != tuple(columns):
        raise DataError(f"{path} has other columns", ", ".join(columns), "move the file away; another version wrote it")
    return [row for row in reader if all(row.get(column) is not None for column in columns)]


def _finite(value: Any) -> Any:
    """JSON has no infinity: it is written as the string "inf", which `float` reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
