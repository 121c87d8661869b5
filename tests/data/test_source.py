"""Batches by step: the same however they are prepared and shared, from every source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from allfocus.data.augment import AugmentConfig
from allfocus.data.batch import Batch
from allfocus.data.photographed import PhotographedPairs
from allfocus.data.registry import load
from allfocus.data.source import Batches, Source
from allfocus.data.stream import SimulatedStream
from allfocus.errors import DataError
from allfocus.simulate.simulator import SimulatorConfig
from allfocus.train.config import TrainConfig


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyvips.Image.new_from_array(picture).pngsave(str(path))


@pytest.fixture
def dpdd(tmp_path: Path) -> Path:
    """Two scenes of 48x80 px in DPDD's layout, 16 bits; a view differs from its photo by 16 levels."""
    rng = np.random.default_rng(0)
    for index in range(2):
        photo = rng.integers(16, 65500, (48, 80, 3)).astype(np.uint16)
        places = {"c/source": photo, "c/target": photo, "l/source": photo - 16, "r/source": photo + 16}
        for place, picture in places.items():
            write(tmp_path / f"train_{place}" / f"{index}.png", picture)
    return tmp_path


def feed(source: Source, fields: tuple[str, ...], rank: int = 0, processes: int = 1) -> Batches:
    side_at = TrainConfig(patch_px=32).patch_at  # worker processes import it, which they cannot from a test
    return Batches(source, fields, 4, side_at, AugmentConfig(), 7, rank, processes)


def test_pairs_in_dpdds_layout_keep_16_bits_and_views(dpdd: Path) -> None:
    source = PhotographedPairs(load("dpdd", dpdd, "train"))
    assert source.fields == {"left", "right"}
    assert source.side_px == 48
    batch = feed(source, ("left", "right"))[0]
    assert batch.left is not None
    assert batch.coc is None
    difference = ((batch.left - batch.centre) * 65535).round()
    assert set(difference.flatten().tolist()) <= {-16.0, 16.0}
    with pytest.raises(DataError, match=r"without coc; expected samples that have it; try: a set with dual-pixel"):
        feed(source, ("coc",))


def test_a_wrong_layout_is_refused_with_the_right_one(tmp_path: Path) -> None:
    write(tmp_path / "train" / "source" / "a.png", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(DataError, match="train_c/target/"):
        load("dpdd", tmp_path, "train")


def test_processes_share_a_batch_and_a_continued_run_sees_the_same(dpdd: Path) -> None:
    source = PhotographedPairs(load("dpdd", dpdd, "train"))
    whole = feed(source, ())[5].centre
    parts = [feed(source, (), rank, 2)[5].centre for rank in (0, 1)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)
    later = next(feed(source, ()).from_step(5, 6))
    assert torch.equal(later.centre, whole)
    with pytest.raises(DataError, match="a batch of 4 for 3 processes"):
        feed(source, (), 0, 3)


def test_the_simulator_streams_what_a_seed_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 255, (20, 20, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    write(tmp_path / "photos" / "a.png", blocks)
    config = SimulatorConfig.from_dict({"crop_px": 32})
    batches: list[Batch] = []
    for _ in range(2):
        stream = SimulatedStream(tmp_path / "photos", config=config)
        batches.append(feed(stream, ("coc", "left", "right"))[1])
    first, again = batches
    assert torch.equal(first.centre, again.centre)
    assert first.coc is not None
    assert first.coc.shape == (4, 1, 32, 32)
    assert first.left is not None
    assert not torch.equal(first.left, first.centre)


@pytest.mark.slow
def test_worker_processes_prepare_the_same_batches(dpdd: Path) -> None:
    source = PhotographedPairs(load("dpdd", dpdd, "train"))
    here = [batch.centre for batch in feed(source, ()).from_step(0, 3)]
    there = [batch.centre for batch in feed(source, ()).from_step(0, 3, workers=2)]
    for ours, theirs in zip(here, there, strict=True):
        assert torch.equal(ours, theirs)
