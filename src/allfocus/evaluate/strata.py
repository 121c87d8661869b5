"""Tables of parts of a set: by its groups, and by the true blur radius."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from allfocus.evaluate.radius import SHARP_PX
from allfocus.evaluate.tables import Cell, Column, Line, Stored, Table, in_order, variants

IN_FOCUS_NOTE = "The first column is what was in focus: a negative gain there is harm."
SHARP_NOTE = (
    f"Without the places where the photo that a scene was made from was itself blurred by more than {SHARP_PX:g} px, "
    "measured by its gradients."
)


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
    """Gain in PSNR over the input by true blur radius; None for a set without it."""
    title = f"Gain over the input on {set_name} by true blur radius, pooled over pixels"
    return _by_radius(results, set_name, "gain", f"radius-{set_name}", title, "gain, dB", (IN_FOCUS_NOTE,))


def by_radius_where_sharp(results: Stored, set_name: str) -> Table | None:
    """The same over the pixels whose sharp picture is sharp (`radius.SHARP_PX`)."""
    title = f"Gain over the input on {set_name} by true blur radius, where the sharp picture is itself sharp"
    return _by_radius(results, set_name, "gain_sharp", f"radius-sharp-{set_name}", title, "gain, dB", (SHARP_NOTE,))


def map_by_radius(results: Stored, set_name: str) -> Table | None:
    """Error of the estimated blur radius by the true one; None where nothing was estimated (`eval --maps`)."""
    title = f"Mean error of the estimated blur radius on {set_name} by the true one"
    return _by_radius(results, set_name, "map_error_px", f"map-{set_name}", title, "error, px", ())


def strata(results: Stored) -> list[Table]:
    """The tables of every set that has them."""
    made = [make(results, name) for name in in_order(results) for make in KINDS]
    return [table for table in made if table is not None]


KINDS = (by_group, by_radius, by_radius_where_sharp, map_by_radius)


def _by_radius(
    results: Stored, set_name: str, score: str, name: str, title: str, label: str, notes: tuple[str, ...]
) -> Table | None:
    """One line per method, one column per bin of the true radius; methods without the score are left out."""
    stored = {
        method: {(float(one["from_px"]), float(one["to_px"])): one.get(score) for one in record.get("by_radius", ())}
        for method, record in sorted(_methods(results, set_name).items(), key=_input_first)
    }
    known = {method: bins for method, bins in stored.items() if any(value is not None for value in bins.values())}
    edges = sorted({edge for bins in known.values() for edge in bins})
    if not edges:
        return None
    columns = tuple(Column(f"{score}_{low:g}_{high:g}", f"{_range(low, high)} px: {label}", 2) for low, high in edges)
    lines = tuple(Line(method, tuple(_cell(bins.get(edge)) for edge in edges)) for method, bins in known.items())
    return Table(name, title, columns, lines, notes)


def _methods(results: Stored, set_name: str) -> dict[str, Mapping[str, Any]]:
    stored = results[set_name]
    return {name: stored[name] for name in stored if name not in variants(stored)}


def _input_first(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, str]:
    return item[0] != "input", item[0]


def _cell(value: Any) -> Cell:
    return Cell(None if value is None else float(value), (), False, 2, ours_to_run=False)


def _range(low: float, high: float) -> str:
    return f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
