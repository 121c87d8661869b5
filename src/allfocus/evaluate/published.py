"""Numbers from papers, as they were printed, each with its source: published.csv, beside this file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allfocus.errors import DataError

NAME = "published.csv"
COLUMNS = ("table", "set", "method", "metric", "value", "source", "note")


@dataclass(frozen=True)
class Published:
    """One printed number.

    Attributes:
        table: "comparison", "ablation" or "newer".
        set: the data set ("dpdd-test"), "-" for what belongs to the network alone.
        method: as the paper calls it.
        metric: "psnr", "ssim", "mae_x10" (times ten, as printed), "lpips", "params_m", "macs_b", "macs_conv_b",
            "seconds".
        value: the digits that were printed.
        source: who printed it.
        note: what a reader should know.
    """

    table: str
    set: str
    method: str
    metric: str
    value: str
    source: str
    note: str = ""

    @property
    def number(self) -> float:
        """The value."""
        return float(self.value)

    @property
    def decimals(self) -> int:
        """How many digits after the point were printed."""
        return len(self.value.partition(".")[2])


def read(path: Path) -> list[Published]:
    """Every number of the file. DataError: no such file, other columns, or a value that is no number."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise DataError(
                    f"{path} has columns {reader.fieldnames}", ", ".join(COLUMNS), "the project's published.csv"
                )
            numbers = [Published(**row) for row in reader]
    except OSError as error:
        got = f"{path} cannot be read ({error.strerror})"
        raise DataError(got, "published numbers", "check its permissions") from error
    for one in numbers:
        try:
            float(one.value)
        except ValueError as error:
            raise DataError(f"{path} holds {one.value!r} for {one.method}", "a number", "correct this line") from error
    return numbers


def published(results: Path) -> list[Published]:
    """The numbers that come with allfocus, or those of a published.csv among the results. DataError: as `read`."""
    own = results / NAME
    return read(own if own.exists() else Path(__file__).with_name(NAME))


def pick(numbers: Sequence[Published], table: str, set_name: str, method: str, metric: str) -> list[Published]:
    """What was printed for a cell; several where sources differ."""
    wanted = (table, set_name, method, metric)
    return [one for one in numbers if (one.table, one.set, one.method, one.metric) == wanted]
