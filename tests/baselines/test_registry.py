"""Every registered method keeps the contract of `baselines.base`; what is refused before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from allfocus.baselines.base import BaselineOptions
from allfocus.baselines.deconvolution import MapBaseline
from allfocus.baselines.registry import METHODS, entry, find_weights, load
from allfocus.checkpoints.baseline import save
from allfocus.errors import InputError, OptionError, WeightsError
from allfocus.nets.dmenet import DMENet
from allfocus.nets.dpdnet import DPDNet, sizes
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.restore import Settings, Views, finish, restore


@pytest.fixture
def photo(small_ramp) -> NDArray[np.float32]:
    return np.ascontiguousarray(small_ramp.rgb[:65, :83])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's model folder, empty."""
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def weights(folder: Path) -> Path:
    """The user's model folder with tiny untrained weights for every learnt method that is known here."""
    torch.manual_seed(0)
    for name, known in METHODS.items():
        if known.place.endswith(":DPDNetBaseline"):
            save(DPDNet(sizes("public", known.views, width=2)), folder / f"{name}.safetensors")
        elif known.place.endswith(":DMENetMap"):
            save(DMENet(scale=0.03), folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_contract(name: str, photo: NDArray[np.float32], weights: Path) -> None:
    known, baseline = entry(name), load(name)
    assert known.summary
    assert (baseline.name, baseline.views) == (name, known.views)
    assert (baseline.network is not None) == (known.published is not None)
    before, seen = photo.copy(), list[float]()
    options = BaselineOptions(views=(photo, photo) if known.views == 2 else None)
    made = baseline.run(photo, options, lambda done, _stage: seen.append(done))
    assert np.array_equal(photo, before)
    assert made.sharp.shape == photo.shape and made.sharp.dtype == np.float32
    assert made.sharp.min() >= 0 and made.sharp.max() <= 1
    assert seen == sorted(seen) and (not seen or seen[-1] == 1.0)
    assert np.array_equal(baseline.run(photo, options).sharp, made.sharp)
    assert (made.radius_px is not None) == known.maps == isinstance(baseline, MapBaseline)
    if made.radius_px is not None and isinstance(baseline, MapBaseline):
        assert np.array_equal(made.radius_px, baseline.defocus_map(photo))
        assert made.radius_px.shape == photo.shape[:2]
        assert made.radius_px.min() >= 0 and made.radius_px.max() <= 2 * baseline.peak_sigma_px
    else:
        with pytest.raises(OptionError, match="estimates no defocus map"):
            baseline.defocus_map(photo)
    for wrong in (photo[..., 0], photo * 2, np.zeros((4, 4, 3), dtype=np.uint8), np.full((4, 4, 3), np.nan)):
        with pytest.raises(InputError, match=r"floats \(H, W, 3\) in \[0, 1\]"):
            baseline.run(wrong)
    if known.views == 2:
        with pytest.raises(OptionError, match=f"no dual-pixel views for {name}"):
            baseline.run(photo)
        with pytest.raises(InputError, match="a left view of"):
            baseline.run(photo, BaselineOptions(views=(photo[1:], photo)))


def test_the_protocol_of_the_paper_rounds_to_eight_bits(photo: NDArray[np.float32]) -> None:
    sharp = load("ebdb").run(photo + np.float32(0.001) * (photo < 0.5), BaselineOptions(eight_bit=True)).sharp
    np.testing.assert_allclose(sharp * 255, np.rint(sharp * 255), atol=1e-4)


@pytest.mark.parametrize("name", ["dmenet", "dpdnet-s", "dpdnet-d"])
def test_without_weights_it_says_so_before_any_work(name: str, folder: Path) -> None:
    with pytest.raises(WeightsError, match=f"there are no weights for {name}.*it does not come with allfocus"):
        find_weights(name)
    with pytest.raises(WeightsError):
        load(name)


def test_a_weights_file_may_be_named(photo: NDArray[np.float32], weights: Path) -> None:
    named = load("dpdnet-s", weights / "dpdnet-s.safetensors")
    assert np.array_equal(named.run(photo).sharp, load("dpdnet-s").run(photo).sharp)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(OptionError, match="no baseline is called 'nafnet'"):
        load("nafnet")


@pytest.mark.parametrize("structure", ["public", "large"])
@pytest.mark.parametrize("count", [1, 2])
def test_dpdnet_in_tiles_is_the_network_on_the_whole_photo(structure: str, count: int) -> None:
    from allfocus.baselines.dpdnet import DPDNetEngine

    torch.manual_seed(1)
    pictures = [np.random.default_rng(seed).random((404, 433, 3)).astype(np.float32) for seed in range(3)]
    net = DPDNet(sizes(structure, count, width=2)).eval()
    padded = [torch.from_numpy(np.pad(p, ((0, 12), (0, 15), (0, 0)), mode="edge")).permute(2, 0, 1) for p in pictures]
    photo, left, right = (picture[None] for picture in padded)
    with torch.inference_mode():
        wanted = net(photo, torch.cat([left, right], 1) if count == 2 else None)[0].permute(1, 2, 0).numpy()
    engine = DPDNetEngine(net, "drawn")
    decoded, *views = map(decode, pictures)
    steps = restore(
        decoded, engine, engine.card, Settings(tile=448, gated=False), Views(*views) if count == 2 else None
    )
    found = finish(steps).canvas.read(Box(0, 0, 433, 404))
    np.testing.assert_allclose(found, wanted[:404, :433], atol=1e-4)
