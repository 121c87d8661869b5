"""Parts of results/batch.json, each with its conditions."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from allfocus.engine.processor import Processor

RESULTS = Path(__file__).resolve().parents[1] / "results" / "batch.json"


def record(part: str, measure: Callable[[], dict[str, Any]]) -> None:
    """Measure, and replace this part of the file; the others stay."""
    load, here = os.getloadavg()[0], Processor.here()
    found = measure()
    found["conditions"] = {
        "processor": here.name, "features": list(here.features), "threads": len(os.sched_getaffinity(0)),
        "load_before": round(load, 2), "day": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.write_text(json.dumps({**known, part: found}, indent=2) + "\n")
    print(json.dumps(found, indent=2))
