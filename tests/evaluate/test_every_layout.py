"""The command on a small fake tree of every public layout: the input, every model that is here, every baseline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from allfocus.baselines.registry import METHODS
from allfocus.checkpoints.baseline import save
from allfocus.cli.main import main
from allfocus.nets.dmenet import DMENet
from allfocus.nets.dpdnet import DPDNet, sizes
from allfocus.weights import store

HEIGHT, WIDTH = 40, 56
MODELS = [model.card.name for model in store.installed() if model.weights.is_relative_to(store.SHIPPED)]


def photos(folder: Path, *names: str, bits: int = 8, grey: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(names))
    blocks = np.kron(rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8)), np.ones((8, 8)))
    codes = (blocks * (257 if bits == 16 else 1)).astype(np.uint16 if bits == 16 else np.uint8)
    pixels = codes if grey else np.repeat(codes[..., None], 3, axis=2)
    space = {(8, False): "srgb", (16, False): "rgb16", (8, True): "b-w", (16, True): "grey16"}[bits, grey]
    for name in names:
        pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation=space).write_to_file(
            str(folder / name)
        )


def dpdd(root: Path, bits: int = 8) -> None:
    photos(root / "test_c" / "source", "1P0A0917.png", bits=bits)
    photos(root / "test_c" / "target", "1P0A0918.png", bits=bits)
    for side in "lr":
        photos(root / f"test_{side}" / "source", f"1P0A0917_{side.upper()}.png", bits=bits)


def dpdd_16_bit(root: Path) -> None:
    dpdd(root, bits=16)


def realdof(root: Path) -> None:
    photos(root / "RealDOF" / "source", "a.png")
    photos(root / "RealDOF" / "target", "b.png")


def cuhk(root: Path) -> None:
    photos(root / "image", "out_of_focus0001.jpg")


def pixeldp(root: Path) -> None:
    for side in "clr":
        photos(root / f"test_{side}" / "source", "one.png", bits=16, grey=True)


def lfdof(root: Path) -> None:
    photos(root / "test_data" / "input", "X_ap1.png", "X_ap2.png")
    photos(root / "test_data" / "ground_truth", "X.png")


def pairs(root: Path) -> None:
    photos(root / "source", "a.png")
    photos(root / "target", "a.png")


def syndp(root: Path) -> None:
    """Another simulated set in SynDP's layout; the benchmark itself takes minutes to make."""
    dpdd(root, bits=16)
    (root / "test_coc").mkdir()
    np.savez(root / "test_coc" / "1P0A0917.npz", coc=np.full((HEIGHT, WIDTH), 3.0, np.float32))
    (root / "syndp.json").unlink(missing_ok=True)


LAYOUTS: dict[str, tuple[str, Callable[[Path], None], bool]] = {
    "dpdd": ("dpdd", dpdd, True),
    "dpdd-16-bit": ("dpdd", dpdd_16_bit, True),
    "realdof": ("realdof", realdof, False),
    "cuhk": ("cuhk", cuhk, False),
    "pixeldp": ("pixeldp", pixeldp, True),
    "lfdof": ("lfdof", lfdof, False),
    "pairs": ("pairs", pairs, False),
    "syndp": ("syndp", syndp, True),
}
"""Each with the name of its data set, what makes it, and whether it has dual-pixel views."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with tiny untrained weights for every learnt baseline."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, known in METHODS.items():
        if known.published is not None and known.maps:
            save(DMENet(scale=0.03), folder / f"{name}.safetensors")
        elif known.published is not None:
            save(DPDNet(sizes("public", known.views, width=2)), folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_everything_that_exists_runs(
    layout: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALLFOCUS_MODELS", str(weights))
    monkeypatch.setenv("ALLFOCUS_LPIPS", "/nonexistent")
    data, make, views = LAYOUTS[layout]
    make(tmp_path / "root")
    methods = ["input", *MODELS, *(name for name, known in METHODS.items() if views or known.views == 1)]
    with pytest.raises(SystemExit) as ended:
        main(["eval", *methods, "--data", data, "--root", str(tmp_path / "root"), "-o", str(tmp_path / "out")])
    assert ended.value.code in (None, 0), capsys.readouterr().err
    summaries = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out").glob("*/*.json")}
    assert set(summaries) == set(methods)
    for name, summary in summaries.items():
        assert summary["complete"] and summary["images"] == summary["of"] > 0
        assert (summary["scores"]["psnr"] is None) == (data in ("cuhk", "pixeldp"))
        assert summary["scores"]["ringing"] is not None and summary["scores"]["shift_r"] is not None
        known = METHODS.get(name)
        assert (summary["scores"]["reblur"] is not None) == (known is not None and known.maps)
        assert (summary["conditions"]["weights_sha256"] != "") == (
            name in MODELS or bool(known and known.published is not None)
        )
