from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.cli.main import main
from allfocus.data.realdof import load

pytest.importorskip("cv2")


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["capture", *words])
    return int(caught.value.code or 0)


def test_demo_and_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, pairs = tmp_path / "session", tmp_path / "pairs"
    assert run("demo", "-o", str(session), "--good", "1", "--no-faults", "--size", "160x128") == 0
    assert run("make", str(session / "wide"), str(session / "narrow"), "-o", str(pairs), "--layout", "realdof") == 0
    told = capsys.readouterr().out
    assert "1 of 1 pairs pass the gate" in told
    assert (pairs / "report.html").is_file()
    assert [pair.name for pair in load(pairs)] == ["WIDE0001"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("demo", "-o", "x", "--size", "9x9"), "at least 128 px"),
        (("make", "none", "none", "-o", "out"), "no folder none"),
        (("stack", "none", "-o", "x.png"), "no folder none"),
        (("calibrate", "none", "none", "-o", "r.json"), "no folder none"),
        (("compare", "none"), "cannot be read"),
    ],
)
def test_refusals_are_one_line(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    assert told in capsys.readouterr().err


def test_a_data_set_does_not_lie_among_the_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo", "-o", str(tmp_path), "--good", "1", "--no-faults", "--size", "128x128") == 0
    wide, narrow = str(tmp_path / "wide"), str(tmp_path / "narrow")
    assert run("make", wide, narrow, "-o", str(tmp_path / "wide" / "pairs")) == 2
    assert "is searched for photos" in capsys.readouterr().err


def test_without_a_subcommand_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    shown = capsys.readouterr()
    assert all(name in shown.out + shown.err for name in ("make", "demo", "stack", "calibrate", "compare"))
