"""Errors as HTTP responses."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.errors import AllfocusError, InputError, OptionError, PhotoSizeError
from allfocus.photo.decoder import Decoder
from allfocus.restore import Settings
from allfocus.web.problems import Refusal
from web.conftest import jpeg


def test_options_of_the_command_line_alone_are_not_suggested() -> None:
    decoder = Decoder(jpeg(np.zeros((16, 16, 3), np.uint8)), 100, None)
    with pytest.raises(PhotoSizeError) as large:
        decoder.photo()
    assert "--pixel-limit" in large.value.hint and Refusal.of(large.value).hint == "a smaller version"
    assert Refusal.of(decoder.damaged("it ends early")).hint == "copy it from the camera again"


def test_other_options_are_named_as_in_a_request() -> None:
    with pytest.raises(OptionError) as option:
        Settings(keep_bokeh=-1)
    assert Refusal.of(option.value).hint == "keep_bokeh 6"


@pytest.mark.parametrize(("kind", "status"), [(InputError, 422), (PhotoSizeError, 413), (AllfocusError, 500)])
def test_status(kind: type[AllfocusError], status: int) -> None:
    assert Refusal.of(kind("this", "that", "again")).to_json()["status"] == status
