"""The paper's tables and others like them: ours beside published, with the difference, from stored results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allfocus.evaluate.cost import cost_as_published
from allfocus.evaluate.published import Published, pick
from allfocus.evaluate.rows import read_summary

NOT_RUN = "not run"
COMPARISON = (
    ("Input", "input"),
    ("JNB", "jnb"),
    ("EBDB", "ebdb"),
    ("DMENet", "dmenet"),
    ("DPDNet_S", "dpdnet-s"),
    ("DPDNet_D", "dpdnet-d"),
    ("IFAN", "ifan"),
)
ABLATION = (
    ("none", "ablation-none"),
    ("D", "ablation-d"),
    ("F", "ablation-f"),
    ("F+D", "ablation-fd"),
    ("F+R", "ablation-fr"),
    ("F+D+R", "ablation-fdr"),
)
TIED = "ablation-fdr-tied"
ABLATION_PREFIX, SEED = "ablation-", "@seed"
SETS = ("real-val", "syndp-test", "lytro-val")
"""The order of the sets in tables; others follow by name."""
RECONSTRUCTED = (
    "DPDNet_S, DPDNet_D: parameters and MACs of a reconstruction that meets the paper's counts; "
    "DPDNet's public code is smaller (31.03 M)."
)
PAPER_SETS = {"dpdd-test": "DPDD test set", "realdof": "RealDOF test set"}


@dataclass(frozen=True)
class Column:
    """A column: its metric, its heading, the digits after the point, and what a stored mean is multiplied by."""

    metric: str
    heading: str
    decimals: int
    factor: float = 1.0


SCORES = (
    Column("psnr", "PSNR, dB (higher is better)", 2),
    Column("ssim", "SSIM (higher)", 3),
    Column("mae_x10", "MAE x 0.1 (lower)", 3, 10.0),
    Column("lpips", "LPIPS (lower)", 3),
)
FIT = Column("psnr_fit", "PSNR-fit, dB (higher)", 2)
ALIGNED = Column("psnr_aligned", "PSNR-aligned, dB (higher)", 2)
RINGING = Column("ringing", "Ringing x 0.01 (lower)", 3, 100.0)
REBLUR = Column("reblur", "Re-blurred against input, dB", 2)
SHIFTS = ("shift_r", "shift_g", "shift_b")
SHIFT = Column("shift", "Colour shift x 0.01", 2, 100.0)
COSTS = (Column("params_m", "Parameters, M", 2, 1e-6), Column("macs_b", "MACs, B", 1, 1e-9))
READ_ONLY = ("input", "folder")
"""Kinds of methods that compute nothing, so that their time means nothing."""
SECONDS = Column("seconds", "Time, s", 3)


@dataclass(frozen=True)
class Cell:
    """One place of a table.

    Attributes:
        ours: what we measured, in the column's unit; None when nobody has run it.
        published: what was printed; several where sources differ, none where nothing was.
        comparable: ours and published are of the same photos, so that their difference means something.
        decimals: digits after the point.
        ours_to_run: the method exists here, so that "not run" is worth saying.
    """

    ours: float | None
    published: tuple[Published, ...]
    comparable: bool
    decimals: int
    ours_to_run: bool = True

    @property
    def ours_text(self) -> str:
        """Ours, or "not run"."""
        return NOT_RUN if self.ours is None else f"{self.ours:.{self.decimals}f}"

    @property
    def published_text(self) -> str:
        """The digits that were printed, alternatives with "or"; "" where nothing was."""
        return " or ".join(one.value for one in self.published)

    @property
    def difference_text(self) -> str:
        """Ours minus published with its sign, when both are known, comparable and unambiguous; else ""."""
        if self.ours is None or len(self.published) != 1 or not self.comparable:
            return ""
        printed = self.published[0]
        difference = round(round(self.ours, self.decimals) - printed.number, printed.decimals) + 0.0  # no "-0.00"
        return f"{difference:+.{printed.decimals}f}"


@dataclass(frozen=True)
class Line:
    """A row of a table: its name, and a cell for each column."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table, not yet in any format.

    Attributes:
        name: short, for file formats that want one ("comparison-dpdd").
        title: what it shows.
        columns, lines: its content.
        notes: protocols, sources, and what a reader should know, one sentence each.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = field(default=())


Stored = Mapping[str, Mapping[str, Mapping[str, Any]]]


def read_results(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Stored summaries by set and method: every `SET/METHOD.json` of a finished run below `folder`.

    Raises:
        DataError: a file that cannot be read.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*/*.json")):
        record = read_summary(path)
        if record.get("complete") and {"set", "method", "scores", "protocol"} <= record.keys():
            found.setdefault(record["set"], {})[record["method"]] = record
    return found


def own_tables(results: Stored) -> list[Table]:
    """Everything that was run on sets without published numbers, one table per set."""
    return [own(results, name) for name in in_order(results) if name not in PAPER_SETS]


def paper_tables(results: Stored, numbers: Sequence[Published]) -> list[Table]:
    """The paper's ablation and its two comparisons, then newer methods."""
    with_variants = [name for name in in_order(results) if variants(results[name])]
    tables = [ablation(results, numbers, name) for name in with_variants or ["dpdd-test"]]
    tables += [comparison(results, numbers, name) for name in PAPER_SETS]
    return [*tables, *(newer(results, numbers, name) for name in ("dpdd-test", "realdof", "lfdof-test"))]


def in_order(results: Stored) -> list[str]:
    """The sets that have results: real photos first, then the others by name."""
    return sorted(results, key=lambda name: (SETS.index(name) if name in SETS else len(SETS), name))


def comparison(results: Stored, numbers: Sequence[Published], set_name: str) -> Table:
    """The paper's comparison on one of its sets, with our other methods on that set below."""
    stored = results.get(set_name, {})
    columns = (*SCORES, *COSTS, SECONDS) if set_name == "dpdd-test" else SCORES
    rows = [row for row in COMPARISON if pick(numbers, "comparison", set_name, row[0], "psnr")]
    lines = [
        Line(label, _cells(columns, stored.get(method, method), numbers, ("comparison", set_name, label), True))
        for label, method in rows
    ]
    known = {method for _, method in rows} | variants(stored)
    lines += [Line(name, _cells(columns, stored[name])) for name in sorted(stored) if name not in known]
    title = f"Comparison on the {PAPER_SETS[set_name]}"
    notes = (*((RECONSTRUCTED,) if COSTS[0] in columns else ()), *_notes(lines, stored))
    return Table(f"comparison-{set_name}", title, columns, tuple(lines), notes)


def ablation(results: Stored, numbers: Sequence[Published], set_name: str = "dpdd-test") -> Table:
    """The paper's ablation with ours on one set, means over seeds; the tied F+D+R below, which nobody published."""
    stored, same_set = results.get(set_name, {}), set_name == "dpdd-test"
    scores = SCORES if same_set else (SCORES[0], FIT, *SCORES[1:])
    lines, counts = [], {}
    for label, method in (*ABLATION, ("F+D+R, tied filters", TIED)):
        seeds = [stored[name] for name in sorted(stored) if name.partition(SEED)[0] == method]
        if method == TIED and not seeds:
            continue
        where = None if method == TIED else ("ablation", "dpdd-test", label)
        record = _mean_of_seeds(seeds) or method
        costs = _cells(COSTS, record, numbers, where, same_set)
        lines.append(Line(label, (*_cells(scores, record, numbers, where, same_set), *costs)))
        if seeds:
            counts[label] = len(seeds)
    notes = _notes(lines, {name: stored[name] for name in sorted(variants(stored))})
    if counts:
        said = ", ".join(f"{label} {count}" for label, count in counts.items())
        notes = (f"Seeds: {said}.", *notes)
    if not same_set:
        said = (
            f"Ours are of {set_name} and of small networks trained briefly, published of DPDD: "
            "look at the order of the rows, not at differences."
        )
        notes = (said, *notes)
    title = "Ablation (F: filters and adaptive convolution, D: disparity, R: reblurring)"
    title = title if same_set else f"{title}, ours on {set_name}"
    name = "ablation" if same_set else f"ablation-{set_name}"
    return Table(name, title, (*scores, *COSTS), tuple(lines), notes)


def variants(stored: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The names of ablation variants among the results of a set; they stand in their own table only."""
    return {name for name in stored if name.startswith(ABLATION_PREFIX)}


def _mean_of_seeds(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """One record with the means of the scores of several; None of none."""
    if not records:
        return None
    scores = {}
    for name in records[0]["scores"]:
        values = [record["scores"].get(name) for record in records]
        known = [float(value) for value in values if value is not None]
        scores[name] = sum(known) / len(known) if len(known) == len(values) else None
    return {**records[0], "scores": scores}


def newer(results: Stored, numbers: Sequence[Published], set_name: str) -> Table:
    """Published numbers of newer methods on one set, and ours of every method run there."""
    columns = tuple(column for column in SCORES if column.metric != "mae_x10")
    stored = results.get(set_name, {})
    ours = [Line(f"{name} (ours)", _cells(columns, stored[name])) for name in sorted(stored.keys() - variants(stored))]
    labels = list(dict.fromkeys(one.method for one in numbers if one.table == "newer" and one.set == set_name))
    theirs = [Line(label, _cells(columns, None, numbers, ("newer", set_name, label), False)) for label in labels]
    lines = [*ours, *theirs]
    return Table(f"newer-{set_name}", f"Newer methods on {set_name}", columns, tuple(lines), _notes(lines, stored))


def own(results: Stored, set_name: str) -> Table:
    """Everything that was run on a set without published numbers."""
    everything = results[set_name]
    aligned = (ALIGNED,) if any(ALIGNED.metric in record["scores"] for record in everything.values()) else ()
    columns = (SCORES[0], FIT, *aligned, *SCORES[1:], RINGING, REBLUR, SHIFT, *COSTS, SECONDS)
    stored = {name: record for name, record in everything.items() if name not in variants(everything)}
    order = sorted(stored, key=lambda name: (name != "input", name))
    lines = [Line(name, _cells(columns, stored[name])) for name in order]
    return Table(f"own-{set_name}", f"Results on {set_name}", columns, tuple(lines), _notes(lines, stored))


def _cells(
    columns: Sequence[Column],
    record: Mapping[str, Any] | str | None,
    numbers: Sequence[Published] = (),
    where: tuple[str, str, str] | None = None,
    comparable: bool = False,
) -> tuple[Cell, ...]:
    """A cell per column; `record` is a summary, or the name of a method that was not run, whose cost is counted."""
    return tuple(
        Cell(
            ours=_measured(record, column),
            published=tuple(pick(numbers, *where, column.metric)) if where else (),
            comparable=comparable,
            decimals=column.decimals,
            ours_to_run=where is None or where[0] != "newer",
        )
        for column in columns
    )


def _measured(record: Mapping[str, Any] | str | None, column: Column) -> float | None:
    if record is None:
        return None
    if isinstance(record, str):
        record = {"scores": {}, "conditions": {"cost": asdict(cost_as_published(record))}}
    cost, kind = (record.get("conditions", {}).get(key) for key in ("cost", "kind"))
    cost = cost or {}
    shifts = [record["scores"][name] for name in SHIFTS if record["scores"].get(name) is not None]
    value = {
        "shift": max(shifts, key=abs, default=None),
        "params_m": cost.get("parameters"),
        "macs_b": cost.get("macs"),
        "seconds": None if kind in READ_ONLY else record.get("timing", {}).get("seconds_median"),
    }.get(column.metric, record["scores"].get(column.metric.removesuffix("_x10")))
    return None if value is None else float(value) * column.factor


def _notes(lines: Sequence[Line], stored: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    notes = []
    for protocol in sorted({record["protocol"]["id"] for record in stored.values()}):
        names = [name for name, record in stored.items() if record["protocol"]["id"] == protocol]
        notes.append(f"Protocol {protocol}: {', '.join(names)}.")
    for name, record in stored.items():
        if record.get("images") != record.get("of"):
            notes.append(f"{name}: only {record.get('images')} of {record.get('of')} images.")
    for name, record in stored.items():
        load, cores = (record.get("machine", {}).get(key) for key in ("load_average", "cores"))
        if load is not None and cores is not None and load > cores + 1:
            notes.append(f"{name}: timed while other work shared the cores (load {load:.1f} on {cores}).")
    printed = [(line.name, one) for line in lines for cell in line.cells for one in cell.published]
    for source in dict.fromkeys(one.source for _, one in printed):
        notes.append(f"Published: {source}.")
    for note in dict.fromkeys(one.note for _, one in printed if one.note):
        names = dict.fromkeys(name for name, one in printed if one.note == note)
        notes.append(f"{', '.join(names)}: {note}.")
    return tuple(notes)
