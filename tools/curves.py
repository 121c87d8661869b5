"""Losses and validation scores of a run, or of stages that followed each other, as CSV and as a picture.

    python tools/curves.py runs/first runs/last -o results/ifan-fast
    python tools/curves.py results/ifan-fast.stage1 results/ifan-fast.stage2 -o results/ifan-fast

A stage is the folder of a run, whose files are first copied to NAME.stageN.losses.csv and NAME.stageN.validation.csv,
or the beginning of such names. The picture is NAME.curves.png.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from allfocus.atomic_file import AtomicFile

KINDS = ("losses", "validation")
Table = dict[str, list[float]]


def main() -> None:
    """Copy, join and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="beginning of the names of the results")
    options = parser.parse_args()
    stages = [_kept(stage, number, options.output) for number, stage in enumerate(options.stages, start=1)]
    losses, ends = joined([read(Path(f"{stage}.losses.csv")) for stage in stages])
    offsets = [0.0, *ends[:-1]]
    validation, _ = joined([read(Path(f"{stage}.validation.csv")) for stage in stages], offsets)
    draw(losses, validation, ends[:-1], Path(f"{options.output}.curves.png"))


def read(path: Path) -> Table:
    """Columns by name; no column where there is no such file."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def joined(tables: list[Table], offsets: list[float] | None = None) -> tuple[Table, list[float]]:
    """Tables one after another, their steps counted on, and the step at which each ends.

    Columns that a stage lacks are left empty (NaN) there.
    """
    names = list(dict.fromkeys(name for table in tables for name in table))
    whole: Table = {name: [] for name in names}
    ends: list[float] = []
    for number, table in enumerate(tables):
        start = (ends[-1] if ends else 0.0) if offsets is None else offsets[number]
        steps = [start + step for step in table.get("step", [])]
        for name in names:
            whole[name] += steps if name == "step" else table.get(name, [float("nan")] * len(steps))
        ends.append(steps[-1] if steps else start)
    return whole, ends


def draw(losses: Table, validation: Table, borders: list[float], path: Path) -> None:
    """One panel for the losses (logarithmic), one for every score; dashed lines between stages.

    The losses are cut at twice their 99th percentile: one sample on which the filters overflow is many decades higher.
    """
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    from matplotlib import pyplot

    scores = [name for name in validation if name != "step"]
    columns = 3
    rows = 1 + -(-len(scores) // columns)
    figure = pyplot.figure(figsize=(10, 2.4 * rows + 1), layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    above = figure.add_subplot(grid[0, :])
    for name, values in losses.items():
        if name != "step":
            above.semilogy(losses["step"], values, label=name, linewidth=0.9)
    values = np.concatenate([column for name, column in losses.items() if name != "step"])
    low, high = np.nanquantile(values, [0.01, 0.99])
    above.set_ylim(low / 2, high * 2)
    above.set_ylabel("loss")
    above.legend(fontsize=7, ncols=4)
    panels = [above]
    for number, name in enumerate(scores):
        panel = figure.add_subplot(grid[1 + number // columns, number % columns])
        panel.plot(validation["step"], validation[name], marker=".")
        panel.set_title(name, fontsize=9)
        panels.append(panel)
    for panel in panels:
        panel.tick_params(labelsize=7)
        panel.set_xlabel("step", fontsize=7)
        for border in borders:
            panel.axvline(border, color="grey", linestyle="--", linewidth=0.7)
    with AtomicFile(path, overwrite=True) as file:
        figure.savefig(file.temporary, dpi=110)
    pyplot.close(figure)
    print(path)


def _kept(stage: Path, number: int, output: Path) -> Path:
    """The beginning of a stage's file names; copied from the run's folder if it is one."""
    if not stage.is_dir():
        return stage
    output.parent.mkdir(parents=True, exist_ok=True)
    target = Path(f"{output}.stage{number}")
    for kind in KINDS:
        if (stage / f"{kind}.csv").is_file():
            shutil.copyfile(stage / f"{kind}.csv", f"{target}.{kind}.csv")
    return target


if __name__ == "__main__":
    main()
