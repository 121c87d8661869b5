"""The list of results in a folder."""

from __future__ import annotations

from pathlib import Path

from allfocus.ledger import NAME, Ledger


def test_names_come_back_whatever_they_are(tmp_path: Path) -> None:
    names = ["a.jpg", "with\nline.jpg", "\udcff.jpg", "ä.jpg"]
    Ledger(tmp_path).add(*names)
    Ledger(tmp_path).add("a.jpg", "b.jpg")
    assert Ledger(tmp_path).names() == {*names, "b.jpg"}
    assert len((tmp_path / NAME).read_text().splitlines()) == 5


def test_a_torn_line_or_no_list_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").names() == frozenset()
    Ledger(tmp_path / "none").add("a.jpg")
    (tmp_path / NAME).write_bytes(b'"a.jpg"\n17\n\xff\xfe\n"torn')
    assert Ledger(tmp_path).names() == {"a.jpg"}
