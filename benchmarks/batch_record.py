"""Parts of results/batch.json, each with its conditions, and the option that names another file."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from allfocus.atomic_file import write_json
from allfocus.engine.processor import Processor

RESULTS = Path(__file__).resolve().parents[1] / "results" / "batch.json"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A command line with `--output`, for a benchmark to add its own options to."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    return parser


def busy_s(*, stolen: bool = True) -> float:
    """Seconds that all cores of the machine have worked; with what other guests of its host took, if `stolen`."""
    fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle, waiting, taken = fields[3], fields[4], fields[7]
    return (sum(fields) - idle - waiting - (0 if stolen else taken)) / os.sysconf("SC_CLK_TCK")


def record(part: str, measure: Callable[[], dict[str, Any]], output: Path) -> None:
    """Measure, and replace this part of the file; the others stay."""
    load, here = os.getloadavg()[0], Processor.here()
    found = measure()
    found["conditions"] = {
        "processor": here.name, "features": list(here.features), "threads": len(os.sched_getaffinity(0)),
        "load_before": round(load, 2), "day": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    known = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
    write_json(output, {**known, part: found})
    print(json.dumps(found, indent=2))
