"""Methods by name: what comes out, and what is refused before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from allfocus.baselines.registry import METHODS, Options, defocus_map, require, restore, run, scored
from allfocus.checkpoints.baseline import save
from allfocus.errors import InputError, OptionError, WeightsError
from allfocus.nets.dmenet import DMENet
from allfocus.nets.dpdnet import DPDNet, sizes
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.restore import Settings, Views, finish
from allfocus.restore import restore as pipeline


@pytest.fixture
def photo(small_ramp) -> NDArray[np.float32]:
    return np.ascontiguousarray(small_ramp.rgb[:65, :83])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's model folder, empty."""
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["ebdb", "jnb"])
def test_classical_methods_need_nothing_else(name: str, photo: NDArray[np.float32]) -> None:
    seen: list[tuple[float, str]] = []
    made = run(name, photo, lambda done, stage: seen.append((done, stage)))
    assert made.sharp.shape == photo.shape
    assert made.sharp.dtype == np.float32
    assert 0 <= made.sharp.min() <= made.sharp.max() <= 1
    assert made.radius_px is not None
    assert np.array_equal(made.radius_px, defocus_map(name, photo))
    assert made.radius_px.max() <= 2 * METHODS[name].peak_sigma_px  # type: ignore[operator]
    shares = [done for done, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert "deconvolution" in {stage for _, stage in seen}


def test_the_protocol_of_the_poster_rounds_to_eight_bits(photo: NDArray[np.float32]) -> None:
    sharp = restore("ebdb", photo + np.float32(0.001) * (photo < 0.5), options=Options(eight_bit=True))
    np.testing.assert_allclose(sharp * 255, np.rint(sharp * 255), atol=1e-4)


def test_what_eval_calls_gives_a_radius(photo: NDArray[np.float32]) -> None:
    sharp, radius_px = scored("ebdb")(photo, None, None)
    assert sharp.shape == photo.shape
    assert radius_px is not None
    np.testing.assert_allclose(radius_px, defocus_map("ebdb", photo), atol=1e-5)


@pytest.mark.parametrize("name", ["dmenet", "dpdnet-s", "dpdnet-d"])
def test_without_weights_it_says_so_before_any_work(name: str, folder: Path) -> None:
    with pytest.raises(WeightsError, match=f"there are no weights for {name}.*allfocus does not carry it"):
        require(name)
    with pytest.raises(WeightsError):
        scored(name)
    with pytest.raises(WeightsError):
        restore(name, np.zeros((8, 8, 3)))


def test_learnt_methods_run_with_weights(photo: NDArray[np.float32], folder: Path) -> None:
    torch.manual_seed(0)
    save(DPDNet(sizes("public", 1, width=2)), folder / "dpdnet-s.safetensors")
    save(DPDNet(sizes("public", 2, width=2)), folder / "dpdnet-d.safetensors")
    save(DMENet(scale=0.03), folder / "dmenet.safetensors")
    assert run("dpdnet-s", photo).sharp.shape == photo.shape
    dual = run("dpdnet-d", photo, options=Options(views=(photo, photo))).sharp
    assert dual.shape == photo.shape
    assert np.array_equal(scored("dpdnet-d")(photo, photo, photo)[0], dual)
    made = run("dmenet", photo)
    assert made.radius_px is not None
    assert made.radius_px.shape == photo.shape[:2]
    named = run("dpdnet-s", photo, options=Options(weights=folder / "dpdnet-s.safetensors"))
    assert np.array_equal(named.sharp, run("dpdnet-s", photo).sharp)


@pytest.mark.parametrize("structure", ["public", "poster"])
@pytest.mark.parametrize("count", [1, 2])
def test_dpdnet_in_tiles_is_the_network_on_the_whole_photo(structure: str, count: int) -> None:
    from allfocus.baselines.networks import DPDNetEngine

    torch.manual_seed(1)
    pictures = [np.random.default_rng(seed).random((404, 433, 3)).astype(np.float32) for seed in range(3)]
    net = DPDNet(sizes(structure, count, width=2)).eval()
    padded = [torch.from_numpy(np.pad(p, ((0, 12), (0, 15), (0, 0)), mode="edge")).permute(2, 0, 1) for p in pictures]
    photo, left, right = (picture[None] for picture in padded)
    with torch.inference_mode():
        wanted = net(photo, torch.cat([left, right], 1) if count == 2 else None)[0].permute(1, 2, 0).numpy()
    engine = DPDNetEngine(net, "drawn")
    decoded, *views = map(decode, pictures)
    steps = pipeline(
        decoded, engine, engine.card, Settings(tile=448, gated=False), Views(*views) if count == 2 else None
    )
    found = finish(steps).canvas.read(Box(0, 0, 433, 404))
    np.testing.assert_allclose(found, wanted[:404, :433], atol=1e-4)


def test_refusals_teach(photo: NDArray[np.float32], folder: Path) -> None:
    with pytest.raises(OptionError, match="no baseline is called 'nafnet'"):
        restore("nafnet", photo)
    with pytest.raises(OptionError, match="dpdnet-s estimates no defocus map; expected one of ebdb, jnb, dmenet"):
        defocus_map("dpdnet-s", photo)
    for wrong in (photo[..., 0], photo * 2, np.zeros((4, 4, 3), dtype=np.uint8), np.full((4, 4, 3), np.nan)):
        with pytest.raises(InputError, match=r"floats \(H, W, 3\) in \[0, 1\]"):
            restore("ebdb", wrong)
    save(DPDNet(sizes("public", 2, width=2)), folder / "dpdnet-d.safetensors")
    with pytest.raises(OptionError, match="no dual-pixel views for dpdnet-d"):
        restore("dpdnet-d", photo)
    with pytest.raises(InputError, match="a left view of"):
        restore("dpdnet-d", photo, options=Options(views=(photo[1:], photo)))
