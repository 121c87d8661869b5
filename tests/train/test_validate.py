"""Validation: whole photos through the averaged weights, sets named by their prefix, wrong layouts refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
from lightning.fabric import Fabric

from allfocus.errors import DataError
from allfocus.metrics.psnr import psnr
from allfocus.train.config import TrainConfig
from allfocus.train.state import TrainState
from allfocus.train.validate import Validation, all_scores

Open = Callable[[TrainConfig], Fabric]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs of 40x56 px, the source one level off."""
    rng = np.random.default_rng(0)
    for index in range(2):
        photo = rng.integers(1, 255, (40, 56, 3)).astype(np.uint8)
        for place, picture in (("source", photo + 1), ("target", photo)):
            (tmp_path / "pairs" / place).mkdir(parents=True, exist_ok=True)
            pyvips.Image.new_from_array(picture).pngsave(str(tmp_path / "pairs" / place / f"{index}.png"))
    return tmp_path / "pairs"


def test_scores_are_means_over_whole_photos(pairs: Path, config: TrainConfig, fabric: Open) -> None:
    state = TrainState.start(config, fabric(config))
    state.averaged.decoder.out[0].weight.zero_()  # a network that changes nothing
    one = Validation.open(str(pairs))
    scores = one(state)
    assert set(scores) == {"psnr", "psnr_fit", "ssim"}
    assert scores["psnr"] == pytest.approx(20 * np.log10(255), abs=1e-3)
    scene = next(one.scenes())
    assert scores["psnr"] == pytest.approx(psnr(scene.source, scene.target), abs=1e-3)
    both = [one, Validation(one.pairs.first(1), prefix="again.")]
    assert set(all_scores(both, state)) == {*scores, *(f"again.{name}" for name in scores)}


def test_a_folder_without_pairs_is_refused_with_the_layout_that_was_expected(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(DataError, match=r"(?s)source/\* .*target/\*") as refusal:
        Validation.open(str(tmp_path))
    assert "the layout of a folder of pairs" in str(refusal.value)
