from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from allfocus.errors import InputError, WeightsError
from allfocus.metrics import lpips
from lpips_files import write_lpips_files


@pytest.fixture(scope="module")
def drawn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lpips_files(tmp_path_factory.mktemp("lpips"))


@pytest.fixture(scope="module")
def drawn(drawn_folder: Path) -> lpips.LPIPS:
    return lpips.LPIPS(drawn_folder)


def scene(seed: int, shape: tuple[int, ...] = (40, 53, 3)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def test_equal_is_zero_and_order_does_not_matter(drawn: lpips.LPIPS) -> None:
    assert drawn(scene(0), scene(0)) == 0.0
    assert drawn(scene(0), scene(1)) == pytest.approx(drawn(scene(1), scene(0)), rel=1e-5)
    assert drawn(scene(0), scene(1)) > 0


def test_smallest_image(drawn: lpips.LPIPS) -> None:
    assert drawn(scene(0, (31, 31, 3)), scene(1, (31, 31, 3))) > 0
    with pytest.raises(InputError, match="31x31"):
        drawn(scene(0, (30, 31, 3)), scene(1, (30, 31, 3)))


def test_version_names_the_files(drawn: lpips.LPIPS) -> None:
    assert drawn.version.startswith("v0.1-alex+")
    assert len(drawn.version.split("+")) == 3


def test_no_files_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="--fetch-lpips"):
        lpips.LPIPS(tmp_path)


def test_a_wrong_tensor_is_named(drawn_folder: Path, tmp_path: Path) -> None:
    (tmp_path / lpips.FEATURES_NAME).write_bytes((drawn_folder / lpips.FEATURES_NAME).read_bytes())
    torch.save({"lin0.model.1.weight": torch.zeros(1, 3, 1, 1)}, tmp_path / lpips.LINEAR_NAME)
    with pytest.raises(WeightsError, match=r"lin0\.model\.1\.weight"):
        lpips.LPIPS(tmp_path)


def test_a_damaged_file_is_refused(drawn_folder: Path, tmp_path: Path) -> None:
    (tmp_path / lpips.FEATURES_NAME).write_bytes(b"\0" * 100)
    (tmp_path / lpips.LINEAR_NAME).write_bytes((drawn_folder / lpips.LINEAR_NAME).read_bytes())
    with pytest.raises(WeightsError, match="cannot be read"):
        lpips.LPIPS(tmp_path)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("boom",)


def test_pickled_code_is_not_run(drawn_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / lpips.FEATURES_NAME).write_bytes((drawn_folder / lpips.FEATURES_NAME).read_bytes())
    torch.save({"lin0.model.1.weight": Bomb()}, tmp_path / lpips.LINEAR_NAME)
    with pytest.raises(WeightsError, match="cannot be read"):
        lpips.LPIPS(tmp_path)
    assert "boom" not in capsys.readouterr().out


def test_the_distance_of_a_batch_is_the_mean_and_has_finite_gradients(drawn: lpips.LPIPS) -> None:
    draw = torch.Generator().manual_seed(4)
    first, second = (torch.rand(2, 3, 48, 40, generator=draw) for _ in range(2))
    first[0, :, :20] = 0  # a flat place, where no feature may fire
    pictures = [one.permute(0, 2, 3, 1).numpy() for one in (first, second)]
    single = np.mean([drawn(ours, theirs) for ours, theirs in zip(*pictures, strict=True)])
    first.requires_grad_()
    found = drawn.distance(first, second)
    assert float(found.detach()) == pytest.approx(single, rel=1e-4)
    found.backward()
    assert first.grad is not None and bool(first.grad.isfinite().all()) and float(first.grad.abs().max()) > 0
