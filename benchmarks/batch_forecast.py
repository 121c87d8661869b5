"""How near is the end that a batch forecasts to the real one?

    python benchmarks/batch_forecast.py --data ../shared/data

Writes the part `forecast` of results/batch.json: the expected duration over the real one, at each tenth of the work.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from allfocus.allocator import keep_freed_memory
from allfocus.batch.local import LocalRun
from allfocus.batch.streams import streams
from allfocus.batch.work import Order
from batch_photos import DATA, make_photos, mosaics
from batch_record import arguments, record
from batch_throughput import SETS, run_once

NAMES = ("mixed", "large", "sixty photos")
LOOK_S, TENTHS, NEAR = 0.05, 10, 0.2
SIXTY = 75.0, 60
"""Megapixels that bound the largest photo, and the number of photos, of `make_photos`: 0.2 to 24 megapixels."""


def forecasts(data: Path, sets: Sequence[str], rounds: int, share: float) -> dict[str, Any]:
    """For two sets of mosaics and 60 photos of mixed formats, with the engines that a batch has by default.

    In the first round an engine meets its first tiles; in later ones it has its memory.
    """
    keep_freed_memory(large=False)
    engines = streams(Order(), 60)
    found: dict[str, Any] = {"engines": len(engines), "rounds": rounds, "sets": {}}
    for name in sets:
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch) / "in"
            if name in SETS:
                source = mosaics(data, place, *SETS[name], share=share)
            else:
                source = make_photos(data, place, SIXTY[0] * share**2, round(SIXTY[1] * share))
            runs = [of_one_batch(source, Path(scratch) / "out", engines) for _ in range(rounds)]
        after = [ratio for run in runs for ratio in run["ratios"]]
        found["sets"][name] = {
            "photos": runs[0]["photos"],
            "seconds": [round(run["seconds"], 2) for run in runs],
            "at_each_tenth_of_the_work": [run["tenths"] for run in runs],
            "after_a_tenth": {
                "least": round(min(after), 3),
                "median": round(statistics.median(after), 3),
                "most": round(max(after), 3),
                "within_a_fifth": round(sum(abs(ratio - 1) <= NEAR for ratio in after) / len(after), 3),
            },
        }
        print(name, found["sets"][name], file=sys.stderr, flush=True)
    return found


def of_one_batch(source: Path, out: Path, engines: list[Any]) -> dict[str, Any]:
    """Forecasts over the real duration, at every look from a tenth of the work on, and the first one of each tenth."""
    seen: list[tuple[float, float]] = []  # share of the work, seconds that were expected in all

    def look(work: LocalRun) -> None:
        while (share := work.share()) < 1.0:
            remaining = work.remaining_s()
            if remaining is not None and share >= 1 / TENTHS:
                seen.append((share, time.monotonic() - work.started + remaining))
            time.sleep(LOOK_S)

    photos = sum(1 for path in source.rglob("*") if path.is_file())
    seconds = run_once(source, out, engines, look)[0]["seconds"]
    firsts = [next((end for share, end in seen if share >= tenth / TENTHS), None) for tenth in range(1, TENTHS)]
    tenths = [None if end is None else round(end / seconds, 3) for end in firsts]
    return {"photos": photos, "seconds": seconds, "ratios": [end / seconds for _, end in seen], "tenths": tenths}


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the photos' sides, for a trial")
    chosen = parser.parse_args()
    found = partial(forecasts, chosen.data, chosen.sets, chosen.rounds, chosen.share)
    record("forecast", found, chosen.output)


if __name__ == "__main__":
    main()
