"""Tables of parts of a set: by its groups, and by the true blur radius."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from allfocus.evaluate.radius import SHARP_PX
from allfocus.evaluate.tables import Cell, Column, Line, Stored, Table, in_order, variants

IN_FOCUS_NOTE = "The first column is what was in focus: a negative gain there is harm."
SHARP_NOTE = (
    f"Without the places where the photo that a scene was made from was itself blurred by more than {SHARP_PX:g} px, "
    "measured by its gradients."
)


class Kind(NamedTuple):
    """A table by true blur radius: what of each bin, and how it is called."""

    score: str
    name: str
    title: str
    label: str
    notes: tuple[str, ...] = ()


GAIN = "Gain over the input on {} by true blur radius"
BY_RADIUS = (
    Kind("gain", "radius", f"{GAIN}, pooled over pixels", "gain, dB", (IN_FOCUS_NOTE,)),
    Kind("gain_sharp", "radius-sharp", f"{GAIN}, where the sharp picture is itself sharp", "gain, dB", (SHARP_NOTE,)),
    Kind("map_error_px", "map", "Mean error of the estimated blur radius on {} by the true one", "error, px"),
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


def strata(results: Stored) -> list[Table]:
    """The tables of every set that has groups, true blur radii, or errors of estimated ones (`eval --maps`)."""
    made = []
    for name in in_order(results):
        made.append(by_group(results, name))
        made += [_by_radius(results, name, kind) for kind in BY_RADIUS]
    return [table for table in made if table is not None]


def _by_radius(results: Stored, set_name: str, kind: Kind) -> Table | None:
    """One line per method, one column per bin of the true radius; methods without the score are left out."""
    score = kind.score
    stored = {
        method: {(float(one["from_px"]), float(one["to_px"])): one.get(score) for one in record.get("by_radius", ())}
        for method, record in sorted(_methods(results, set_name).items(), key=_input_first)
    }
    known = {method: bins for method, bins in stored.items() if any(value is not None for value in bins.values())}
    edges = sorted({edge for bins in known.values() for edge in bins})
    if not edges:
        return None
    columns = tuple(
        Column(f"{score}_{low:g}_{high:g}", f"{_range(low, high)} px: {kind.label}", 2) for low, high in edges
    )
    lines = tuple(Line(method, tuple(_cell(bins.get(edge)) for edge in edges)) for method, bins in known.items())
    return Table(f"{kind.name}-{set_name}", kind.title.format(set_name), columns, lines, kind.notes)


def _methods(results: Stored, set_name: str) -> dict[str, Mapping[str, Any]]:
    stored = results[set_name]
    return {name: stored[name] for name in stored if name not in variants(stored)}


def _input_first(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, str]:
    return item[0] != "input", item[0]


def _cell(value: Any) -> Cell:
    return Cell(None if value is None else float(value), (), False, 2, ours_to_run=False)


def _range(low: float, high: float) -> str:
    return f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
