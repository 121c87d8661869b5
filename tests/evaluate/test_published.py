"""Every number of the tables in the IFAN paper is in published.csv, and nothing else is said to be from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from allfocus.errors import DataError
from allfocus.evaluate.published import COLUMNS, Published, published, read

METRICS = ("psnr", "ssim", "mae_x10", "lpips", "params_m", "macs_b", "seconds")
CHECK = "✓"
SHARED_COSTS = {"none": "D", "D": "D", "F": "F+D", "F+D": "F+D", "F+R": "F+D", "F+D+R": "F+D"}


@pytest.fixture(scope="module")
def numbers(repository: Path) -> list[Published]:
    return published(repository / "results")


@pytest.fixture(scope="module")
def paper(repository: Path) -> list[str]:
    path = repository.parent / "shared" / "spec" / "poster.txt"
    if not path.is_file():
        pytest.skip("no ../shared/spec/poster.txt beside this checkout")
    return path.read_text(encoding="utf-8").splitlines()


def printed(lines: list[str], table: str, set_name: str) -> dict[tuple[str, str, str, str], str]:
    """(table, set, method, metric) -> digits, for the lines of one comparison table."""
    cells = {}
    for line in lines:
        label, *values = line.split("\t")
        method = re.sub(r"\s*\[\d+\]", "", label).strip().replace("Ours", "IFAN").replace(" ", "")
        for metric, value in zip(METRICS, values, strict=False):
            if value not in ("", "-"):
                cells[table, set_name, method, metric] = value
    return cells


def comparisons(paper: list[str]) -> dict[tuple[str, str, str, str], str]:
    starts = [index for index, line in enumerate(paper) if line.startswith("Input\t")]
    assert len(starts) == 2
    blocks = [
        paper[start : next(i for i in range(start, len(paper)) if paper[i].startswith("Ours\t")) + 1]
        for start in starts
    ]
    return printed(blocks[0], "comparison", "dpdd-test") | printed(blocks[1], "comparison", "realdof")


def ablation(paper: list[str]) -> dict[tuple[str, str, str, str], str]:
    start = next(index for index, line in enumerate(paper) if line.startswith("IFAN\t")) + 2
    cells, costs = {}, {}
    for line in paper[start : start + 6]:
        marks, values = line.split("\t")[:3], line.split("\t")[3:]
        label = "+".join(letter for letter, mark in zip("FDR", marks, strict=True) if mark.strip() == CHECK) or "none"
        for metric, value in zip(METRICS[:4], values, strict=False):
            cells["ablation", "dpdd-test", label, metric] = value
        costs[label] = values[4:6]
    assert set(costs) == set(SHARED_COSTS)
    for label, printed_at in SHARED_COSTS.items():
        for metric, value in zip(METRICS[4:6], costs[printed_at], strict=True):
            cells["ablation", "dpdd-test", label, metric] = value
    return cells


def test_every_cell_of_the_tables(paper: list[str], numbers: list[Published]) -> None:
    expected = comparisons(paper) | ablation(paper)
    assert len(expected) == (7 * 4 + 4 * 2 + 6) + 6 * 4 + 6 * 6  # scores, costs and times; RealDOF; ablation
    ours = {
        (one.table, one.set, one.method, one.metric): one.value for one in numbers if one.source.startswith("IFAN (Lee")
    }
    assert ours == expected


def test_every_number_has_a_source_and_one_place(numbers: list[Published]) -> None:
    assert all(one.source and one.number > 0 for one in numbers)
    places = [(one.table, one.set, one.method, one.metric, one.source) for one in numbers]
    assert len(set(places)) == len(places)


def test_newer_methods_of_the_survey_are_there(numbers: list[Published]) -> None:
    found = {(one.set, one.method, one.metric): one.value for one in numbers if one.table == "newer"}
    assert found["realdof", "P2IKT", "lpips"] == "0.235"
    assert found["lfdof-test", "LaKDNet-S", "psnr"] == "31.87"
    assert found["dpdd-test-indoor", "IFAN", "psnr"] == "28.11"
    assert found["-", "NRKNet", "macs_conv_b"] == "867.7"


RANGES = {
    "psnr": (15, 45), "ssim": (0.3, 1), "mae_x10": (0.05, 2), "lpips": (0.02, 0.8), "params_m": (0.1, 150),
    "macs_b": (1, 5000), "macs_conv_b": (1, 5000), "seconds": (1e-3, 2000),
}  # fmt: skip


def test_every_number_lies_where_its_metric_can(numbers: list[Published]) -> None:
    """A digit lost or a column shifted shows."""
    for one in numbers:
        low, high = RANGES[one.metric]
        assert low <= one.number <= high, one


def test_better_pictures_are_better_by_every_metric_of_the_paper(numbers: list[Published]) -> None:
    """IFAN's own row is the best of its table in each score, as the paper says; the input is the worst or near it."""
    for set_name in ("dpdd-test", "realdof"):
        rows = {
            (one.method, one.metric): one.number for one in numbers if (one.table, one.set) == ("comparison", set_name)
        }
        for metric, sign in (("psnr", 1), ("ssim", 1), ("mae_x10", -1), ("lpips", -1)):
            scores = {method: sign * value for (method, name), value in rows.items() if name == metric}
            assert not scores or max(scores, key=lambda method: scores[method]) == "IFAN", (set_name, metric, scores)


def test_indoor_and_outdoor_make_the_whole(numbers: list[Published]) -> None:
    """37 indoor and 39 outdoor photos of the 76: the means of the parts are the paper's mean."""
    value = {one.set: one.number for one in numbers if one.method == "IFAN" and one.metric == "psnr"}
    assert round((37 * value["dpdd-test-indoor"] + 39 * value["dpdd-test-outdoor"]) / 76, 2) == 25.36
    assert value["dpdd-test"] == 25.37


@pytest.mark.parametrize(
    ("text", "words"),
    [("a,b\n", "has columns"), (",".join(COLUMNS) + "\nt,s,m,psnr,about 26,x,\n", "'about 26' for m")],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "published.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        published(tmp_path)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "published.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "missing.csv")
