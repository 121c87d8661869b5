"""What fast, balanced and best stand for."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.errors import OptionError
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.restore import Settings, finish, restore
from allfocus.speeds import BALANCED, SPEEDS, speed_of
from allfocus.weights.store import find
from blurred import blurred_texture
from engines import LocalEngine, card


def test_balanced_is_what_there_was() -> None:
    assert speed_of(BALANCED).settings(Settings(strength=0.5)) == Settings(strength=0.5)


@pytest.mark.parametrize("name", SPEEDS)
def test_every_choice_has_its_model(name: str) -> None:
    assert find(speed_of(name).model).card.views == 1


def test_another_word_is_refused() -> None:
    with pytest.raises(OptionError, match="speed 'slow'; expected one of fast, balanced, best"):
        speed_of("slow")
    with pytest.raises(OptionError, match="a finest scale of 4"):
        Settings(finest=4)


def test_fast_looks_at_a_quarter_of_a_large_photo_and_keeps_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allfocus.scales.LARGE_PX", 200_000)
    photo = np.kron(blurred_texture(4, 256), np.ones((2, 2, 1), np.uint8))
    seen = {}
    for name in SPEEDS:
        engine = LocalEngine()
        settings = speed_of(name).settings(Settings(scale=1))
        done = finish(restore(decode(photo), engine, card(), settings))
        seen[name] = sum(engine.areas)
        sharp = done.canvas.read(Box(0, 0, 512, 512)).astype(int)
        assert sharp.shape == photo.shape
        assert 1 < np.abs(sharp - photo).mean() < 40
    assert seen["fast"] < 0.5 * seen["balanced"]
    assert seen["best"] == 2 * seen["balanced"]
