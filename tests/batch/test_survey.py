"""Sizes of photos that nobody has opened yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.batch import survey
from allfocus.batch.store import Store
from allfocus.batch.survey import Asked, tasks
from batches import write_photo


def test_sizes_come_from_headers(tmp_path: Path) -> None:
    photos = [write_photo(tmp_path / f"{side}.png", side, side) for side in (30, 60)]
    found = list(tasks([Asked(str(photo), photo.name) for photo in photos], Store()))
    assert [task.megapixels for task in found] == [0.0009, 0.0036]
    assert [task.bytes for task in found] == [photo.stat().st_size for photo in photos]


def test_a_photo_that_is_gone_or_broken_has_a_size_by_its_bytes(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.png", 40, 50)
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:20])
    asked = [Asked(str(tmp_path / name), name) for name in ("a.png", "broken.png", "gone.png")]
    whole, broken, gone = tasks(asked, Store())
    assert whole.megapixels == 0.002
    assert broken.megapixels == pytest.approx(0.002 * 20 / whole.bytes)
    assert (gone.megapixels, gone.bytes, gone.stamp) == (0, 0, "gone")


def test_of_many_photos_a_sample_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "HEADERS", 5)
    opened: list[str] = []
    whole = survey.megapixels
    monkeypatch.setattr(survey, "megapixels", lambda place, store: opened.append(place) or whole(place, store))
    photos = [write_photo(tmp_path / f"{index}.tif", 40, 50, seed=index) for index in range(12)]
    found = list(tasks([Asked(str(photo), photo.name) for photo in photos], Store()))
    assert len(opened) == 5
    assert all(task.megapixels == pytest.approx(0.002, rel=0.05) for task in found)
