"""Measures again what depends on the weights of the default model, and writes the pages from it.

    python tools/remeasure.py --data ../shared/data --scratch DIR [--lanes 2] [--dry-run]

For new weights that lie in src/allfocus/weights, before they are committed. What has already run for these weights is
left out (--scratch notes it), so the same command goes on where it was stopped. --scratch also takes SynDP and the
large scenes, which are rendered once. Commands run beside each other, so these are figures of quality; timings need an
idle machine, and their commands are printed at the end.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from allfocus.atomic_file import make_folder, write_text
from allfocus.weights.store import find

ROOT = Path(__file__).resolve().parents[1]
MODEL = "ifan-fast"
HELD_OUT = "src/allfocus/weights/held_out.txt"

CHAINS = (
    (
        "benchmarks/large_photos.py --photos DATA/sharp --only HELD_OUT --scratch SCRATCH/scenes",
        "benchmarks/full_size.py --scenes SCRATCH/scenes --pairs DATA/real-val DATA/lytro-val",
        "benchmarks/in_focus.py --scenes SCRATCH/scenes --photos DATA/sharp --only HELD_OUT",
        "benchmarks/tiles.py --photos DATA/photos",
    ),
    (
        "-m allfocus eval ifan-fast --data syndp --root SCRATCH/syndp --lpips DATA/lpips -o results --fresh",
        "benchmarks/map_accuracy.py --syndp SCRATCH/syndp",
        "benchmarks/strength.py DATA/real-val DATA/lytro-val SCRATCH/syndp/test_c --sharp DATA/sharp --only HELD_OUT "
        "--lpips DATA/lpips",
        "benchmarks/scales.py --syndp SCRATCH/syndp --pairs DATA/real-val",
    ),
    (
        "benchmarks/real_photos.py --pairs DATA/real-val --lpips DATA/lpips --sharp DATA/sharp --only HELD_OUT",
        "-m allfocus eval ifan-fast --data pairs --root DATA/lytro-val --lpips DATA/lpips -o results --fresh",
        "benchmarks/carry_over.py DATA/real-val DATA/lytro-val --most 6",
    ),
    (
        "benchmarks/int8.py --data DATA --lpips DATA/lpips --sharp DATA/sharp --only HELD_OUT",
        "benchmarks/gain_by_radius.py --photos DATA/sharp --only HELD_OUT",
    ),
    ("benchmarks/engine_agreement.py --photos DATA/photos",),  # needs a processor that multiplies in bfloat16
)
"""What to measure; in a chain, later ones read what earlier ones made."""

PAGES = (
    "tools/card.py ifan-fast",
    "docs/pictures.py",
    "-m allfocus tables",
    "tools/evaluation_page.py",
    "tools/training_page.py",
    "tools/speed_page.py",
    "tools/readme.py",
)

TIMED = (
    "benchmarks/speed.py",
    "benchmarks/speed_choices.py",
    "benchmarks/one_megapixel.py",
    "benchmarks/batch_throughput.py",
    "benchmarks/batch_ray.py",
    "benchmarks/batch_ray.py --part ray_nodes",
    "benchmarks/service.py",
)
"""What another architecture changes, too."""


class Remeasured:
    """Runs commands that have not run for these weights.

    Args:
        data: folder of photos, `../shared/data`.
        scratch: for what is rendered, and for the notes.
        show: print commands, run nothing.
    """

    def __init__(self, data: Path, scratch: Path, *, show: bool) -> None:
        self.data, self.scratch, self.show = data.resolve(), scratch.resolve(), show
        self._notes = self.scratch / find(MODEL).card.sha256[:16]

    def chain(self, lines: tuple[str, ...]) -> str | None:
        """One command after the other, up to one that fails; what that said."""
        return next(filter(None, map(self.run, lines)), None)

    def run(self, line: str) -> str | None:
        """One command, unless it has been run; what it said if it failed."""
        filled = (
            line.replace("DATA", str(self.data)).replace("SCRATCH", str(self.scratch)).replace("HELD_OUT", HELD_OUT)
        )
        done = self._notes / "".join(letter if letter.isalnum() else "-" for letter in line)[:120]
        if done.is_file():
            return None
        print(f"python {filled}", flush=True)
        if self.show:
            return None
        began = time.monotonic()
        make_folder(self._notes)
        with tempfile.TemporaryFile("w+") as told:
            command = [sys.executable, *shlex.split(filled)]
            code = subprocess.run(command, cwd=ROOT, stdout=told, stderr=subprocess.STDOUT, check=False).returncode
            told.seek(0)
            text = told.read()
        if code:
            return f"{text[-3000:]}\nexit status {code}: python {filled}"
        write_text(done, text)
        print(f"{time.monotonic() - began:.0f} s: python {line}", flush=True)
        return None


def main() -> None:
    """Measure, then write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    work = Remeasured(options.data, options.scratch, show=options.dry_run)
    cores = iter(sorted(os.sched_getaffinity(0)) * options.lanes)
    at_once = 1 if options.dry_run else options.lanes
    with ThreadPoolExecutor(at_once, initializer=lambda: _confine(next(cores))) as lanes:
        failed = list(filter(None, lanes.map(work.chain, CHAINS)))
    if failed or (failed := list(filter(None, [work.chain(PAGES)]))):
        raise SystemExit("\n\n".join(failed))
    print("\nOn an idle machine, where speed has changed:", *(f"python {line}" for line in TIMED), sep="\n")


def _confine(core: int) -> None:
    """Let this thread and what it starts have one core: engines of two threads beside each other wait all the time."""
    os.sched_setaffinity(0, {core})


if __name__ == "__main__":
    main()
