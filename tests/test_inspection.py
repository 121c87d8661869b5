"""Windows, numbers and the figure of `allfocus inspect`, with a small network whose filters are open."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from allfocus.checkpoints.release import release
from allfocus.errors import OptionError, OutputError
from allfocus.inspection import Inspection, inspect, write_figure
from allfocus.nets.registry import Architecture
from allfocus.photo.codecs import decode
from allfocus.weights.store import Model

SMALL = Architecture(iterations=2, width=4, unshuffle=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.manual_seed(0)
    net = SMALL.build()
    with torch.no_grad():
        net.filter_head.project.bias.normal_(0.3, 0.2)
    return release(net, SMALL, "open", tmp_path_factory.mktemp("model"), context_px=32)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "x", "y", "scale"), [((1, 1), 0, 0, 1), ((7, 13), 12, 6, 2), ((300, 500), 260, 140, 4)]
)
def test_any_place_of_any_photo(
    model: Model, tmp_path: Path, size: tuple[int, int], x: int, y: int, scale: int
) -> None:
    pixels = noise(*size)
    found = inspect(decode(pixels), model, x, y, scale)
    column, row = found.inside
    if scale == 1:
        np.testing.assert_allclose(found.seen[row, column], pixels[y, x], atol=1e-6)
    assert found.seen.shape[0] % 16 == found.seen.shape[1] % 16 == 0
    numbers = json.loads(json.dumps(found.numbers()))
    assert numbers["at"] == [x, y]
    assert numbers["kernel"]["cells"] == len(numbers["kernel"]["mean"]) == 5
    assert numbers["kernel"]["reach_px"]["50"] <= numbers["kernel"]["reach_px"]["99"] <= 2 * 16 * 2**0.5
    assert numbers["receptive_field"]["reach_px"]["50"] > 0 or size == (1, 1)
    write_figure(found, tmp_path / "a.png")
    sheet = pyvips.Image.new_from_file(str(tmp_path / "a.png"))
    assert (sheet.width, sheet.height, sheet.bands) == (2 * 360 + 12, 2 * 390 + 12, 3)
    with pytest.raises(OutputError, match="already exists"):
        write_figure(found, tmp_path / "a.png")


def test_the_window_holds_all_that_the_kernels_reach(model: Model) -> None:
    pixels = noise(400, 400)
    in_the_middle = inspect(decode(pixels), model, 200, 200)
    assert in_the_middle.seen.shape[:2] == (16 * (2 * 6 + 1), 16 * (2 * 6 + 1))
    whole = inspect(decode(pixels[96:304, 96:304].copy()), model, 104, 104)
    np.testing.assert_allclose(in_the_middle.kernels, whole.kernels, atol=1e-6)


def test_filters_that_pass_nothing_on_are_told(tmp_path: Path) -> None:
    nothing = np.zeros((3, 5, 5), np.float32)
    found = Inspection(
        0, 0, 1, 8, noise(16, 16), (3, 4), nothing, np.zeros((16, 16), np.float32), nothing[:, 0, 0], None
    )
    numbers = found.numbers()
    assert numbers["kernel"]["reach_px"] is None
    assert numbers["receptive_field"]["reach_px"] is None
    assert numbers["kernel"]["largest_tap"] == 0
    write_figure(found, tmp_path / "a.png")


@pytest.mark.parametrize(("place", "scale", "told"), [((40, 0), 1, "the place 40,0"), ((0, 0), 3, "scale 3")])
def test_places_outside_and_other_scales_are_refused(
    model: Model, place: tuple[int, int], scale: int, told: str
) -> None:
    with pytest.raises(OptionError, match=told):
        inspect(decode(noise(30, 40)), model, *place, scale)
