"""New weights are measured by commands that exist, each once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import remeasure as tool


def lines() -> list[str]:
    return [*(line for chain in tool.CHAINS for line in chain), *tool.PAGES, *tool.TIMED]


@pytest.mark.parametrize("line", lines())
def test_every_command_exists(line: str, repository: Path) -> None:
    script = line.split()[0]
    assert script == "-m" or (repository / script).is_file()


def test_every_benchmark_of_the_default_weights_is_measured(repository: Path) -> None:
    measured = " ".join(lines())
    for result in (repository / "results").glob("*.ifan-fast.json"):
        script = result.name.split(".")[0]
        script = "real_photos" if script == "sharp_photos" else script  # which writes both
        assert f"benchmarks/{script}.py" in measured, f"{result.name} is not measured again"


def test_a_command_runs_once_and_the_rest_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted, ready = tmp_path / "counted", tmp_path / "ready"
    once = f"-c \"open('{counted}', 'a').write('x')\""
    waits = f"-c \"print('so it is', flush=True); open('{ready}')\""
    monkeypatch.setattr(tool, "CHAINS", ((once, waits),))
    monkeypatch.setattr(tool, "PAGES", (f"-c \"open('{counted}', 'a').write('page')\"",))
    monkeypatch.setattr(sys, "argv", ["remeasure.py", "--data", str(tmp_path), "--scratch", str(tmp_path / "s")])
    with pytest.raises(SystemExit, match=r"(?s)so it is.*No such file.*exit status 1"):
        tool.main()
    assert counted.read_text() == "x"
    ready.touch()
    tool.main()
    assert counted.read_text() == "xpage"
    assert "benchmarks/speed.py" in capsys.readouterr().out
