"""The promise to a photographer, over random trees of photos and random command lines; see `promise.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from promise import Case, File, cases, check, state

CASES, SLOW_CASES = 15, 300
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def in_a_folder(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(case, Path(folder))


@given(cases())
@settings(max_examples=CASES, suppress_health_check=UNHURRIED)
def test_no_original_changes_and_every_result_is_whole(case: Case) -> None:
    in_a_folder(case)


@pytest.mark.slow
@given(cases())
@settings(max_examples=SLOW_CASES, suppress_health_check=UNHURRIED)
def test_no_original_changes_and_every_result_is_whole_300_times(case: Case) -> None:
    in_a_folder(case)


def test_the_check_sees_a_broken_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail proves nothing: here every refusal to write over a photo is taken away."""
    from allfocus import deblurrer, inputs
    from allfocus.cli import report

    photo = File("", "a", "png", "RGB", frozenset({"exif"}), False, "none", 0o644, "")
    case = Case((photo,), ("a.png",), "a.png", ("--overwrite",))
    (tmp_path / "kept").mkdir()
    assert check(case, tmp_path / "kept") == {"done": 0, "skipped": 0, "failed": 1}
    monkeypatch.setattr(inputs, "clashes", lambda wanted: {})
    monkeypatch.setattr(deblurrer, "check", lambda writes, reads: None)
    monkeypatch.setattr(report.Claims, "take", lambda self, writes: None)
    (tmp_path / "broken").mkdir()
    with pytest.raises(AssertionError, match=r"a\.png changed"):
        check(case, tmp_path / "broken")


def test_the_state_of_a_tree_tells_every_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before = state(tmp_path)
    path.chmod(0o600)
    assert state(tmp_path) != before
