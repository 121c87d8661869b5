from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from allfocus.evaluate.published import Published, published
from allfocus.evaluate.render import FORMATS, cell_text
from allfocus.evaluate.strata import strata
from allfocus.evaluate.tables import Cell, Table, ablation, comparison, own_tables, paper_tables, read_results


@pytest.fixture(scope="module")
def numbers(repository: Path) -> list[Published]:
    return published(repository / "results")


def stored(method: str, set_name: str, psnr: float, **more: Any) -> dict[str, Any]:
    scores = {
        "psnr": psnr,
        "psnr_fit": psnr + 1,
        "ssim": 0.7,
        "mae": 0.0394,
        "lpips": None,
        "ringing": 0.001,
        "shift_g": -0.02,
    }
    return {
        "complete": True,
        "set": set_name,
        "method": method,
        "images": 76,
        "of": 76,
        "scores": scores,
        "protocol": {"id": "8bit.whole-photo.float"},
        "conditions": {"cost": {"parameters": 10_476_996, "macs": 362_895_000_000}},
        "timing": {"seconds_median": 5.8},
        **more,
    }


def everything(results: Any, numbers: list[Published]) -> list[Table]:
    return [*own_tables(results), *strata(results), *paper_tables(results, numbers)]


def cell(table: Table, line: str, metric: str) -> Cell:
    column = [one.metric for one in table.columns].index(metric)
    return next(one for one in table.lines if one.name == line).cells[column]


def test_ours_beside_published_and_the_difference(numbers: list[Published]) -> None:
    results = {"dpdd-test": {"ifan": stored("ifan", "dpdd-test", 25.412)}}
    table = comparison(results, numbers, "dpdd-test")
    assert cell_text(cell(table, "IFAN", "psnr")) == "25.41 / 25.37 (+0.04)"
    assert cell_text(cell(table, "IFAN", "mae_x10")) == "0.394 / 0.394 (+0.000)"
    assert cell_text(cell(table, "IFAN", "params_m")) == "10.48 / 10.48 (+0.00)"
    assert cell_text(cell(table, "IFAN", "macs_b")) == "362.9 / 362.9 (+0.0)"
    assert cell_text(cell(table, "IFAN", "lpips")) == "not run / 0.217"
    assert cell_text(cell(table, "JNB", "psnr")) == "not run / 23.69"
    assert cell_text(cell(table, "Input", "params_m")) == "-"


def test_what_needs_no_photos_is_told_of_methods_that_were_not_run(numbers: list[Published]) -> None:
    table = comparison({}, numbers, "dpdd-test")
    assert cell_text(cell(table, "DPDNet_S", "params_m")) == "35.25 / 35.25 (+0.00)"
    assert cell_text(cell(table, "DPDNet_D", "macs_b")) == "991.4 / 991.4 (+0.0)"
    assert cell_text(cell(table, "JNB", "params_m")) == "-"
    assert cell_text(cell(ablation({}, numbers), "none", "params_m")) == "10.58 / 10.58 (+0.00)"


def test_sets_that_were_run_come_first(numbers: list[Published]) -> None:
    sets = ("another", "lytro-val", "real-val", "syndp-test")
    results = {name: {"input": stored("input", name, 25.0)} for name in sets}
    names = [table.name for table in everything(results, numbers)]
    assert names[:4] == ["own-real-val", "own-syndp-test", "own-lytro-val", "own-another"]
    assert names.index("comparison-dpdd-test") > names.index("own-another")


def test_our_other_methods_stand_below(numbers: list[Published]) -> None:
    results = {"realdof": {"ifan-fast": stored("ifan-fast", "realdof", 23.5)}}
    table = comparison(results, numbers, "realdof")
    assert table.lines[-1].name == "ifan-fast"
    assert cell_text(cell(table, "ifan-fast", "psnr")) == "23.50"
    assert "DPDNet_D" not in [line.name for line in table.lines]


def test_an_ablation_on_another_set_makes_no_differences(numbers: list[Published]) -> None:
    results = {"syndp": {"ablation-f": stored("ablation-f", "syndp", 30.0)}}
    table = next(one for one in paper_tables(results, numbers) if one.name == "ablation-syndp")
    assert cell_text(cell(table, "F", "psnr")) == "30.00 / 25.07"
    assert "look at the order" in table.notes[0]
    on_dpdd = {"dpdd-test": {"ablation-f": stored("ablation-f", "dpdd-test", 25.0)}}
    assert cell_text(cell(ablation(on_dpdd, numbers), "F", "psnr")) == "25.00 / 25.07 (-0.07)"
    assert cell_text(cell(ablation({}, numbers), "F+D+R", "psnr")) == "not run / 25.37"
    assert [one.name for one in paper_tables({}, numbers)].count("ablation") == 1


def test_an_ablation_of_several_seeds_is_their_mean_and_stands_alone(numbers: list[Published]) -> None:
    names = ("input", "ablation-fdr@seed0", "ablation-fdr@seed1", "ablation-fdr-tied@seed0")
    results = {
        "real-val": {name: stored(name, "real-val", value) for name, value in zip(names, (25, 26, 27, 28), strict=True)}
    }
    tables = {one.name: one for one in everything(results, numbers)}
    table = tables["ablation-real-val"]
    assert cell_text(cell(table, "F+D+R", "psnr")) == "26.50 / 25.37"
    assert cell_text(cell(table, "F+D+R, tied filters", "psnr")) == "28.00"
    assert "Seeds: F+D+R 2, F+D+R, tied filters 1." in table.notes
    assert [line.name for line in tables["own-real-val"].lines] == ["input"]


def test_sources_that_differ_are_both_shown(numbers: list[Published]) -> None:
    table = next(one for one in paper_tables({}, numbers) if one.name == "newer-realdof")
    assert cell_text(cell(table, "Restormer", "psnr")) == "24.28 or 25.09"


def test_part_of_a_set_is_said(numbers: list[Published]) -> None:
    results = {"dpdd-test": {"ifan": stored("ifan", "dpdd-test", 25.0, images=3)}}
    assert "ifan: only 3 of 76 images." in comparison(results, numbers, "dpdd-test").notes


def test_times_on_a_busy_machine_are_said(numbers: list[Published]) -> None:
    busy = stored("jnb", "dpdd-test", 24.0, machine={"cores": 2, "load_average": 9.0})
    idle = stored("ebdb", "dpdd-test", 24.0, machine={"cores": 2, "load_average": 2.1})
    notes = comparison({"dpdd-test": {"jnb": busy, "ebdb": idle}}, numbers, "dpdd-test").notes
    assert [note for note in notes if "shared" in note] == [
        "jnb: timed while other work shared the cores (load 9.0 on 2)."
    ]


def test_finished_runs_are_found_and_other_json_is_not(tmp_path: Path, numbers: list[Published]) -> None:
    folder = tmp_path / "real-val"
    folder.mkdir()
    (folder / "input.json").write_text(json.dumps(stored("input", "real-val", 25.9)))
    (folder / "half.json").write_text(json.dumps(stored("half", "real-val", 1.0, complete=False)))
    (folder / "bench.json").write_text("[1, 2]")
    results = read_results(tmp_path)
    assert list(results["real-val"]) == ["input"]
    table = next(one for one in everything(results, numbers) if one.name == "own-real-val")
    assert cell_text(cell(table, "input", "psnr_fit")) == "26.90"
    assert cell_text(cell(table, "input", "shift")) == "-2.00"


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.count += tag == "td"
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_all_formats_hold_the_same_cells(numbers: list[Published]) -> None:
    results = {"real-val": {"a_b|c": stored("a_b|c", "real-val", 26.0)}}
    tables = everything(results, numbers)
    count = sum(len(table.columns) * len(table.lines) for table in tables)
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](tables))))
    assert len(rows) == count
    assert {row["source"] for row in rows if row["published"] == "0.217"} == {"IFAN (Lee et al., CVPR 2021)"}
    page = Cells()
    page.feed(FORMATS["html"](tables))
    assert page.open == [] and page.count == count + sum(len(table.lines) for table in tables)
    text = FORMATS["md"](tables)
    assert "| a_b\\|c |" in text
    for table in tables:
        block = text.partition(f"## {table.title}\n")[2].partition("\n- ")[0]
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len(lines) >= 2 + len(table.lines)
    typeset = FORMATS["tex"](tables)
    assert r"DPDNet\_S" in typeset and typeset.count(r"\begin{table}") == typeset.count(r"\end{table}") == len(tables)
    for line in typeset.splitlines():
        assert not line.endswith(r"\\") or line.count(" & ") >= 1


def test_the_stored_tables_are_what_the_results_say(repository: Path, numbers: list[Published]) -> None:
    results = read_results(repository / "results")
    tables = everything(results, numbers)
    for ending, render in FORMATS.items():
        stored_text = (repository / "results" / f"tables.{ending}").read_text(encoding="utf-8")
        assert stored_text == render(tables), f"results/tables.{ending} is out of date: allfocus tables"
