"""One method over one data set: resumable, image by image, in one process or several."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import make_folder, write_bytes
from allfocus.data.pairs import Pair, PairSet
from allfocus.errors import EngineError, OptionError, WeightsError
from allfocus.evaluate.measure import machine
from allfocus.evaluate.method import Method
from allfocus.evaluate.methods import MethodSpec
from allfocus.evaluate.protocol import FLOAT, ROUNDINGS, Protocol
from allfocus.evaluate.rows import Row, Sheet, discard
from allfocus.evaluate.score import Scored, score_pair
from allfocus.metrics.lpips import LPIPS
from allfocus.targets import check

FORMAT = 1


@dataclass(frozen=True)
class EvaluationOptions:
    """How a set is scored.

    Attributes:
        output: folder of all results; those of a set go into a folder of its name.
        crop_multiple: crop photos to multiples of this at the bottom and right, as the IFAN comparison does (8);
            1 scores whole photos.
        rounding: "float" or "8-bit".
        lpips: folder of the LPIPS files; None looks where `metrics.lpips.find` does.
        save_images: write every output as PNG of the set's bit depth.
        maps: also score the defocus map of methods that estimate one.
        every, limit: score every n-th scene, and of those only the first.
        jobs: processes; more than one suits methods that use one core each. Timings then share the machine.
        fresh: discard the scores of earlier runs.
        command: the command line to store, without paths.
    """

    output: Path = Path("results")
    crop_multiple: int = 1
    rounding: str = FLOAT
    lpips: Path | None = None
    save_images: bool = False
    maps: bool = False
    every: int = 1
    limit: int | None = None
    jobs: int = 1
    fresh: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.rounding not in ROUNDINGS:
            raise OptionError(f"rounding {self.rounding!r}", f"one of {', '.join(ROUNDINGS)}", "leave it out")
        counts = {"--crop": self.crop_multiple, "--jobs": self.jobs, "--limit": self.limit, "--every": self.every}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise OptionError(f"{name} {value}", "1 or more", f"leave {name} out")


@dataclass(frozen=True)
class EvaluationStep:
    """Progress: `done` of `total` scenes of a method, and the row that was just written (None for an earlier run's)."""

    label: str
    done: int
    total: int
    row: Row | None


def evaluate(
    pairs: PairSet, specs: list[MethodSpec], options: EvaluationOptions
) -> Iterator[EvaluationStep | dict[str, Any]]:
    """Score methods on a set; yields an `EvaluationStep` after each image and the stored summary after each method.

    Every method is built before the first image is read, so that a missing model or result is found at once. Rows of
    an earlier run with the same protocol, model and photos are kept, and a resumed run ends with the same bytes.

    Raises:
        AllfocusError: a method, a photo or the output cannot be used.
    """
    labels = [spec.label for spec in specs]
    if len(set(labels)) < len(labels):
        raise OptionError(f"two methods named {max(labels, key=labels.count)}", "different names", "LABEL=folder:PATH")
    lpips, lpips_state = load_lpips(options.lpips)
    wanted = pairs.every(options.every)
    wanted = wanted if options.limit is None else wanted.first(options.limit)
    runs = []
    for spec in specs:
        method = spec.build(wanted)
        runs.append((spec, method, _open_sheet(method, pairs, wanted, options, lpips_state)))
        if options.save_images:
            reads = [path for pair in wanted for path in (pair.source, pair.target, pair.left, pair.right) if path]
            results: dict[str, Path] = getattr(method, "files", {})
            pictures = options.output / pairs.name / method.label
            check([pictures / f"{pair.name}.png" for pair in wanted], [*reads, *results.values()])
    for spec, method, (sheet, record) in runs:
        yield from _run(spec, method, wanted, options, lpips, sheet, record)


def load_lpips(folder: Path | None) -> tuple[LPIPS | None, str]:
    """The distance and its version; or None and why not. A folder that was named and lacks the files is refused."""
    try:
        found = LPIPS(folder)
    except WeightsError as error:
        if folder is not None:
            raise
        return None, f"not computed: {error.got}"
    return found, found.version


def _open_sheet(
    method: Method, pairs: PairSet, wanted: PairSet, options: EvaluationOptions, lpips_state: str
) -> tuple[Sheet, dict[str, Any]]:
    conditions = method.conditions
    protocol = Protocol(
        depth=pairs.depth,
        crop_multiple=options.crop_multiple,
        rounding=options.rounding if conditions.kind != "folder" else "file",
        tiling=conditions.tiling,
        precision=conditions.precision,
    )
    folder = options.output / pairs.name
    if options.fresh:
        discard(folder, method.label)
    fingerprint = {
        "protocol": protocol.id,
        "lpips": lpips_state,
        "weights_sha256": conditions.weights_sha256,
        "settings": dict(conditions.settings),
        "set": f"{pairs.name} {pairs.edition}".rstrip(),
        "maps": options.maps and conditions.kind == "model",
    }
    record = {
        "format": FORMAT,
        "set": pairs.name,
        "edition": pairs.edition,
        "method": method.label,
        "protocol": protocol.record(),
        "lpips": lpips_state,
        "conditions": asdict(conditions),
        "command": options.command,
        "photos_sha256": names_digest(pairs),
        "of": len(pairs),
    }
    results: dict[str, Path] = getattr(method, "files", {})
    contents = {pair.name: _contents(pair, results.get(pair.name)) for pair in wanted}
    return Sheet(folder, method.label, fingerprint, contents), record


def _contents(pair: Pair, result: Path | None) -> str:
    """A digest of every file that the row of a scene depends on; `result` is the finished picture of a folder."""
    digest = hashlib.sha256()
    for path in (pair.source, pair.target, pair.left, pair.right, pair.coc, result):
        if path is not None:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(b";")
    return digest.hexdigest()[:16]


def names_digest(pairs: PairSet) -> str:
    """A digest of the scenes' names in order: the same photos, not necessarily the same bytes."""
    return hashlib.sha256("\n".join(pair.name for pair in pairs).encode()).hexdigest()


def _run(
    spec: MethodSpec,
    method: Method,
    pairs: PairSet,
    options: EvaluationOptions,
    lpips: LPIPS | None,
    sheet: Sheet,
    record: dict[str, Any],
) -> Iterator[EvaluationStep | dict[str, Any]]:
    sheet.start(record)
    pictures = options.output / pairs.name / method.label if options.save_images else None
    stored = sheet.done()
    left = [
        pair
        for pair in pairs
        if pair.name not in stored or (pictures is not None and not (pictures / f"{pair.name}.png").is_file())
    ]
    done = len(pairs) - len(left)
    if done:
        yield EvaluationStep(method.label, done, len(pairs), None)
    for scored in _scored(spec, method, pairs, left, options, lpips):
        if pictures is not None and scored.picture is not None:
            write_picture(scored.picture, pictures / f"{scored.row.name}.png", pairs.read_bits)
        if scored.row.name not in stored:
            sheet.append(scored.row)
        done += 1
        yield EvaluationStep(method.label, done, len(pairs), scored.row)
    conditions = {**machine(), "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None}
    yield sheet.finish({**record, "jobs": options.jobs, "machine": conditions})


def _scored(
    spec: MethodSpec, method: Method, pairs: PairSet, left: list[Pair], options: EvaluationOptions, lpips: LPIPS | None
) -> Iterator[Scored]:
    if options.jobs == 1 or len(left) < 2:
        for pair in left:
            yield score_pair(method, pairs, pair, lpips, options.crop_multiple, options.rounding, options.maps)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(
        min(options.jobs, len(left)), context, initializer=_start_worker, initargs=(spec, pairs, options)
    ) as pool:
        try:
            yield from pool.map(_work, left)  # in order, so that the files are the same as with one process
        except BrokenProcessPool as error:
            raise EngineError(f"a process of {spec.text} was killed", "enough memory", "--jobs 1") from error


_worker: tuple[Method, PairSet, LPIPS | None, EvaluationOptions] | None = None


def _start_worker(spec: MethodSpec, pairs: PairSet, options: EvaluationOptions) -> None:
    global _worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _worker = (spec.build(pairs), pairs, load_lpips(options.lpips)[0], options)


def _work(pair: Pair) -> Scored:
    assert _worker is not None  # the initializer has run
    method, pairs, lpips, options = _worker
    scored = score_pair(method, pairs, pair, lpips, options.crop_multiple, options.rounding, options.maps)
    return scored if options.save_images else Scored(scored.row, None)  # a picture is megabytes to send


def write_picture(picture: NDArray[np.float32], path: Path, bits: int = 8) -> None:
    """An image (H, W, 3) in [0, 1] as PNG of 8 or 16 bits. OutputError when it fails."""
    from allfocus.photo.picture import picture_of

    make_folder(path.parent)
    write_bytes(path, picture_of(picture, bits).pngsave_buffer())
