"""A session: each pair of photos of two folders is processed once, judged, and written to a data set."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any

from allfocus import targets
from allfocus.atomic_file import make_folder, write_json
from allfocus.capture.dataset import LAYOUTS, MANIFEST, ROLES, SPLITS, Split, lay_out, place_of
from allfocus.capture.frame import digest
from allfocus.capture.gate import GateLimits, Measures
from allfocus.capture.pair import Made, PairOptions, make
from allfocus.capture.pairing import Exposures
from allfocus.capture.picture import write_png, write_preview
from allfocus.capture.report import PAGE, TABLE, read_decisions, write_report
from allfocus.errors import DataError, OptionError

FORMAT = 2
PAIRS = "pairs"


@dataclass(frozen=True)
class Session:
    """How a session is made.

    Attributes:
        output: folder of the data set.
        layout: "dpdd" (train, val and test) or "realdof" (test only).
        bits: 8 or 16 bits a sample in the written pictures.
        jobs: processes.
    """

    output: Path
    options: PairOptions = field(default_factory=PairOptions)
    layout: str = "dpdd"
    split: Split = field(default_factory=Split)
    bits: int = 8
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise OptionError(f"--layout {self.layout}", f"one of {', '.join(LAYOUTS)}", "leave it out")
        if self.bits not in (8, 16):
            raise OptionError(f"--bits {self.bits}", "8 or 16", "leave it out")
        if self.jobs < 1:
            raise OptionError(f"--jobs {self.jobs}", "1 or more", "leave it out")


@dataclass(frozen=True)
class SessionStep:
    """Progress: the record of a pair, and whether an earlier run had made it."""

    done: int
    total: int
    record: dict[str, Any]
    kept: bool


def run(shots: Sequence[Exposures], session: Session) -> Iterator[SessionStep]:
    """Make every pair that is not there yet, then write the report and the data set; yields after each pair.

    An interrupted run resumes: a pair is kept as long as its photos and the settings are unchanged.
    What a person wrote into the column `decision` of `report.csv` overrules the gate.

    Raises:
        DataError: two shots of one name. OutputError: the folder cannot be written, or what would be written there is
            one of the photos.
    """
    names = [shot.name for shot in shots]
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise DataError(f"two shots named {twice}", "one name per scene", "--pattern, or rename one of them")
    targets.check_unread(
        (session.output / place for place in _written(names, session.layout)),
        {path for shot in shots for path in (*shot.sources, *shot.targets)},
    )
    folder = session.output / PAIRS
    make_folder(folder)
    decisions = read_decisions(session.output)
    records: dict[str, dict[str, Any]] = {}
    left = []
    for shot in shots:
        kept = _kept(shot, session)
        if kept is None:
            left.append(shot)
            continue
        records[shot.name] = kept
        yield SessionStep(len(records), len(shots), kept, True)
    for record in _made(left, session):
        records[record["name"]] = record
        yield SessionStep(len(records), len(shots), record, False)
    ordered = [records[name] for name in names]
    accepted = lay_out(ordered, decisions, session.output, session.layout, session.split)
    write_report(ordered, decisions, accepted, session.output, session.options.limits)


def _written(names: Sequence[str], layout: str) -> Iterator[Path]:
    """Every file that a run may write, inside its folder."""
    yield from (Path(TABLE), Path(PAGE), Path(MANIFEST))
    for name in names:
        yield from _pair_files(name)
        yield Path(PAIRS) / f"{name}.json"
        for part in SPLITS if layout == "dpdd" else SPLITS[:1]:
            yield from (place_of(layout, part, role, name) for role in ROLES)


def _made(shots: Sequence[Exposures], session: Session) -> Iterator[dict[str, Any]]:
    if session.jobs == 1 or len(shots) < 2:
        for shot in shots:
            yield _make_one(shot, session)
        return
    with ProcessPoolExecutor(min(session.jobs, len(shots)), get_context("spawn"), _end_with_parent) as pool:
        yield from pool.map(_make_one, shots, [session] * len(shots))


def _end_with_parent() -> None:
    """In a worker: end when the run is killed, else workers would wait for work for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _make_one(shot: Exposures, session: Session) -> dict[str, Any]:
    """Make a pair and write its pictures, then its record: what has a record is whole."""
    made = make(shot, session.options)
    record = _record(made, shot, session)
    folder = session.output / PAIRS
    (folder / f"{made.name}.json").unlink(missing_ok=True)  # an older one would belong to other pictures
    if made.pictures is not None:
        for role, picture in zip(ROLES, made.pictures, strict=True):
            write_png(picture, folder / f"{made.name}.{role}.png", session.bits)
            write_preview(picture, folder / f"{made.name}.{role}.jpg")
    write_json(folder / f"{made.name}.json", record)
    return record


def _record(made: Made, shot: Exposures, session: Session) -> dict[str, Any]:
    alignment = made.alignment
    return {
        "fingerprint": _fingerprint(shot, session),
        "name": made.name,
        "source": made.source.name if made.source else None,
        "target": made.target.name if made.target else None,
        "reasons": list(made.reasons),
        "detail": made.detail,
        "pictures": made.pictures is not None,
        "box": made.box,
        "warp": None if alignment is None else alignment.warp.tolist(),
        "mirrored": None if alignment is None else alignment.mirrored,
        "features": None if alignment is None else alignment.features,
        "scale": None if alignment is None else alignment.scale,
        "degrees": None if alignment is None else alignment.degrees,
        "colours": asdict(made.colours),
        "measures": asdict(made.measures),
    }


def _fingerprint(shot: Exposures, session: Session) -> dict[str, Any]:
    options = session.options
    return json.loads(
        json.dumps(
            {
                "format": FORMAT,
                "files": {path.name: digest(path) for path in (*shot.sources, *shot.targets)},
                "mirrored": options.mirrored,
                "flow_px": options.flow_px,
                "rig": None if options.rig is None else asdict(options.rig),
                "bits": session.bits,
            }
        )
    )


def _kept(shot: Exposures, session: Session) -> dict[str, Any] | None:
    """What an earlier run made of the shot, judged by today's limits; None where it has to be made."""
    folder = session.output / PAIRS
    try:
        record = json.loads((folder / f"{shot.name}.json").read_text(encoding="utf-8"))
        same = record["fingerprint"] == _fingerprint(shot, session)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same or (
        record["pictures"] and not all((session.output / path).is_file() for path in _pair_files(shot.name))
    ):
        return None
    if record["pictures"]:
        record["reasons"] = judged(record, session.options.limits)
    return record


def judged(record: dict[str, Any], limits: GateLimits) -> list[str]:
    """The reasons against a pair that was measured, by these limits."""
    return Measures(**record["measures"]).reasons(limits)


def _pair_files(name: str) -> list[Path]:
    return [Path(PAIRS) / f"{name}.{role}.{ending}" for role in ROLES for ending in ("png", "jpg")]
