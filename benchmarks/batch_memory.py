"""Does the memory of a batch stay flat over hundreds of small photos?

    python benchmarks/batch_memory.py
    python benchmarks/batch_memory.py --one-size

Writes the part `memory` of results/batch.json, of photos of 35 sizes, or `memory_of_one_size`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pyvips

from allfocus.allocator import keep_freed_memory
from allfocus.batch.journal import Journal
from allfocus.batch.local import LocalRun
from allfocus.batch.store import Store
from allfocus.batch.streams import streams
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.work import Order
from batch_photos import ENDINGS
from batch_record import arguments, record


def memory(photos: int, *, one_size: bool) -> dict[str, Any]:
    """Resident memory after every tenth of `photos` small photos, in one process."""
    order, resident = Order(), []
    keep_freed_memory(large=False)
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "in", Path(scratch) / "out"
        source.mkdir()
        for index in range(photos):
            kind = 0 if one_size else index
            width, height = 160 + kind % 7 * 16, 120 + kind % 5 * 16
            image = pyvips.Image.perlin(width, height, uchar=True, seed=index).bandjoin(
                [pyvips.Image.perlin(width, height, uchar=True, seed=index + band) for band in (1, 2)]
            )
            image.copy(interpretation="srgb").write_to_file(str(source / f"{index:03d}{ENDINGS[index % 4]}"))
        asked = [Asked(str(path), path.name) for path in sorted(source.iterdir())]
        with Journal(str(out)) as journal:
            journal.start(order.key(), {}, "benchmark")
            planned = journal.plan(list(tasks(asked, Store())), order.key(), "weights")
            count = [0]

            def tell(event: object) -> None:
                count[0] += 1
                if count[0] % (photos // 10) == 0:
                    resident.append(resident_mb())

            engines = streams(order, planned.queued)
            LocalRun(journal, engines, order, "weights").run(planned.work, tell, planned.queued)
    return {
        "photos": photos,
        "engines": len(engines),
        "resident_mb": resident,
        "growth_mb_from_a_fifth_on": round(resident[-1] - resident[1], 1),
        "growth_share_from_a_fifth_on": round(resident[-1] / resident[1] - 1, 4),
    }


def resident_mb() -> float:
    """Memory of this process now."""
    text = Path("/proc/self/statm").read_text().split()[1]
    return round(int(text) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--one-size", action="store_true")
    chosen = parser.parse_args()
    part = "memory_of_one_size" if chosen.one_size else "memory"
    record(part, lambda: memory(chosen.photos, one_size=chosen.one_size), chosen.output)


if __name__ == "__main__":
    main()
