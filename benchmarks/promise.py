"""How often is the promise to a photographer broken? Random trees of photos under random command lines.

    python benchmarks/promise.py --cases 3000

The promise and how cases are drawn stand in `tests/promise.py`; `tests/test_promise.py` runs 15 cases with every test
run and 300 with the slow ones. Writes results/promise.json; a broken promise ends the run with the smallest case that
shows it.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from allfocus import __version__  # noqa: E402
from allfocus.atomic_file import write_json  # noqa: E402
from promise import Case, cases, check  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("-o", "--output", type=Path, default=REPOSITORY / "results" / "promise.json")
    wanted = parser.parse_args()
    photos: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    started = time.perf_counter()

    @seed(wanted.seed)
    @settings(
        max_examples=wanted.cases,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def every_case(case: Case) -> None:
        with tempfile.TemporaryDirectory() as folder:
            photos.update(check(case, Path(folder)))
        flags.update(["cases", *case.flags])
        if flags["cases"] % 100 == 0:
            print(f"{flags['cases']} cases", flush=True)

    every_case()
    write_json(
        wanted.output,
        {
            "question": "cases in which an original changed, a result was not whole, or a loss was not said",
            "cases": flags.pop("cases"),
            "broken": 0,
            "photos": dict(sorted(photos.items())),
            "cases_with": dict(sorted(flags.items())),
            "seed": wanted.seed,
            "seconds": round(time.perf_counter() - started),
            "conditions": {
                "allfocus": __version__,
                "python": platform.python_version(),
                "system": platform.system(),
                "network": "a stand-in",
            },
        },
    )
    print(f"written to {wanted.output}")


if __name__ == "__main__":
    main()
