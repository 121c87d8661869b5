"""Tables of parts of a set: by its groups, and by the true blur radius."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from allfocus.evaluate.tables import Cell, Column, Line, Stored, Table, variants

IN_FOCUS_NOTE = "The first column is what was in focus: a negative gain there is harm."


def by_group(results: Stored, set_name: str) -> Table | None:
    """PSNR of every method in every group of the set; None for a set without groups."""
    stored = _methods(results, set_name)
    groups = sorted({group for record in stored.values() for group in record.get("groups", {})})
    if not groups:
        return None
    columns = tuple(Column(group, f"{group}: PSNR, dB", 2) for group in groups)
    lines = [
        Line(name, tuple(_cell(record.get("groups", {}).get(group, {}).get("psnr")) for group in groups))
        for name, record in sorted(stored.items(), key=_input_first)
    ]
    return Table(f"groups-{set_name}", f"Groups of {set_name}", columns, tuple(lines))


def by_radius(results: Stored, set_name: str) -> Table | None:
    """Gain in PSNR over the input by true blur radius; None for a set that does not know it."""
    stored = {name: record for name, record in _methods(results, set_name).items() if record.get("by_radius")}
    edges = sorted({(float(one["from_px"]), float(one["to_px"])) for r in stored.values() for one in r["by_radius"]})
    if not edges:
        return None
    columns = tuple(Column(f"gain_{low:g}_{high:g}", f"{_range(low, high)} px: gain, dB", 2) for low, high in edges)
    lines = []
    for name, record in sorted(stored.items(), key=_input_first):
        gains = {(float(one["from_px"]), float(one["to_px"])): one["gain"] for one in record["by_radius"]}
        lines.append(Line(name, tuple(_cell(gains.get(edge)) for edge in edges)))
    title = f"Gain over the input on {set_name} by true blur radius, pooled over pixels"
    return Table(f"radius-{set_name}", title, columns, tuple(lines), (IN_FOCUS_NOTE,))


def strata(results: Stored) -> list[Table]:
    """Both tables of every set that has them."""
    made = [make(results, name) for name in sorted(results) for make in (by_group, by_radius)]
    return [table for table in made if table is not None]


def _methods(results: Stored, set_name: str) -> dict[str, Mapping[str, Any]]:
    stored = results[set_name]
    return {name: stored[name] for name in stored if name not in variants(stored)}


def _input_first(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, str]:
    return item[0] != "input", item[0]


def _cell(value: Any) -> Cell:
    return Cell(None if value is None else float(value), (), False, 2, ours_to_run=False)


def _range(low: float, high: float) -> str:
    return f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
