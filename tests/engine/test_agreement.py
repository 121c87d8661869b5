"""What engines promise each other, on real photos and with the weights that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from allfocus.engine.choose import ENGINES, choose
from allfocus.errors import EngineError
from allfocus.metrics.psnr import psnr
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.weights.card import AGREEMENT_DB
from allfocus.weights.store import Model, find

SIDE_PX = 192


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[np.ndarray]:
    """Middles of three real photos: (1, 3, 192, 192)."""
    found = []
    for path in sorted((shared_data / "real-val" / "source").iterdir())[::4]:
        reader = decode(path).unit()
        box = Box((reader.width - SIDE_PX) // 2, (reader.height - SIDE_PX) // 2, SIDE_PX, SIDE_PX)
        found.append(np.ascontiguousarray(reader.read(box).transpose(2, 0, 1)[None]))
    return found


@pytest.fixture(scope="module", params=["ifan-fast", "ifan"])
def model(request: pytest.FixtureRequest) -> Model:
    return find(request.param)


@pytest.fixture(scope="module")
def wanted(model: Model, photos: list[np.ndarray]) -> list[np.ndarray]:
    engine = choose(model, "torch", "float32")
    return [np.clip(photo + engine.run(photo).residual, 0, 1) for photo in photos]


@pytest.mark.parametrize("precision", AGREEMENT_DB)
@pytest.mark.parametrize("engine", ENGINES)
def test_engines_agree_as_the_card_says_on_real_photos(
    model: Model, photos: list[np.ndarray], wanted: list[np.ndarray], engine: str, precision: str
) -> None:
    try:
        running = choose(model, engine, precision)
    except EngineError as error:
        pytest.skip(str(error))
    for photo, right in zip(photos, wanted, strict=True):
        found = np.clip(photo + running.run(photo).residual, 0, 1)
        agreement = psnr(found[0].transpose(1, 2, 0), right[0].transpose(1, 2, 0))
        assert min(agreement, 200.0) >= model.card.agreement_db[precision]
