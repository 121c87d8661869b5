"""The shipped ranges have passed the gate that benchmarks/int8.py holds."""

from __future__ import annotations

import json
from pathlib import Path

from allfocus.weights.store import DEFAULT, find


def test_int8_of_the_shipped_weights_has_passed(repository: Path) -> None:
    found = json.loads((repository / "benchmarks" / "int8.json").read_text())
    model = find(DEFAULT)
    if model.ranges() is not None:  # without them nobody gets int8
        assert found["sha256"] == model.card.sha256, "run benchmarks/int8.py for the new weights"
        assert found["passed"]
        assert all(found[name]["agreement_db"]["mean"] >= 50 for name in ("real-val", "lytro-val"))
