from __future__ import annotations

import weakref

import numpy as np
import pytest
import pyvips

from allfocus.photo import feed as module
from allfocus.photo.feed import Feed


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("width", "height", "bands"), [(1, 1, 1), (7, 13, 2), (50, 31, 3), (9, 40, 4)])
@pytest.mark.parametrize("strip_bytes", [1, 500, 2**20])
def test_libvips_sees_the_picture(
    monkeypatch: pytest.MonkeyPatch, dtype: str, width: int, height: int, bands: int, strip_bytes: int
) -> None:
    monkeypatch.setattr(module, "STRIP_BYTES", strip_bytes)
    picture = np.random.default_rng(0).random((height, width, bands))
    picture = picture.astype(dtype) if dtype == "float32" else (picture * 250).astype(dtype)
    asked: list[int] = []

    def rows(y: int, count: int) -> np.ndarray:
        asked.append(y)
        return picture[y : y + count]

    feed = Feed(width, height, bands, np.dtype(dtype), rows)
    assert np.array_equal(feed.image().numpy().reshape(picture.shape), picture)
    assert asked == sorted(set(asked))


def test_what_the_rows_raise_is_kept() -> None:
    def rows(y: int, count: int) -> np.ndarray:
        raise RuntimeError("no rows")

    feed = Feed(10, 10, 3, np.dtype("uint8"), rows)
    with pytest.raises(pyvips.Error):
        feed.image().numpy()
    assert str(feed.error) == "no rows"


def test_a_closed_feed_no_longer_holds_what_made_its_rows() -> None:
    def rows(y: int, count: int) -> np.ndarray:
        return np.zeros((count, 10, 3), np.uint8)

    feed, held = Feed(10, 10, 3, np.dtype("uint8"), rows), weakref.ref(rows)
    image = feed.image()
    feed.close()
    del rows
    assert held() is None
    with pytest.raises(pyvips.Error):
        image.numpy()
    assert isinstance(feed.error, ValueError)
