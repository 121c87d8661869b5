"""The script behind the ablation table: what it compares, and that a tiny one runs from samples to table."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import pyvips
import torch

pytest.importorskip("lightning")


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = spec_from_file_location("ablation_benchmark", repository / "benchmarks" / "ablation.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["ablation_benchmark"] = module
    spec.loader.exec_module(module)
    return module


def options(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["ablation.py", "--photos", "photos", "-o", "run", *words])
    return script._arguments()


def test_every_variant_has_the_same_budget_and_nearly_the_same_size(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = options(script, monkeypatch)
    sizes, budgets, losses = {}, set(), {}
    for variant in script.VARIANTS:
        config = script.settings(chosen, variant, 3)
        budgets.add((config.steps, config.batch, config.patch_px, config.learning_rate, config.seed))
        with torch.device("meta"):
            sizes[variant] = sum(one.numel() for one in script.build(config).net.parameters())
        losses[variant] = (bool(config.loss.warp), bool(config.loss.reblur))
    assert len(budgets) == 1
    assert max(sizes.values()) < 1.15 * min(sizes.values())  # the paper's rows agree at 17 iterations
    assert losses["ablation-none"] == losses["ablation-f"] == (False, False)
    assert losses["ablation-fd"] == (True, False) and losses["ablation-fr"] == (False, True)
    assert losses["ablation-fdr"] == losses[script.TIED] == (True, True)


def test_differences_are_taken_seed_by_seed(script: ModuleType) -> None:
    scores = {("ablation-none", 0): 25.0, ("ablation-none", 1): 25.2, ("ablation-f", 0): 25.3, ("ablation-f", 1): 25.1}
    rows = [{"variant": v, "seed": s, "set": "x", "psnr": p, "psnr_fit": p + 1} for (v, s), p in scores.items()]
    (found,) = script.differences(rows)
    assert found["claim"] == "F helps" and found["psnr"] == [0.3, -0.1]
    assert found["psnr_mean"] == pytest.approx(0.1)


@pytest.mark.slow
def test_a_tiny_ablation_from_samples_to_table(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for folder, side, count in (("photos", 192, 3), ("real/source", 48, 2), ("real/target", 48, 2)):
        (tmp_path / folder).mkdir(parents=True)
        for index in range(count):
            pixels = np.kron(rng.integers(0, 255, (side // 4, side // 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)
            pyvips.Image.new_from_array(pixels).write_to_file(str(tmp_path / folder / f"{index}.png"))
    words = (
        "--photos", str(tmp_path / "photos"), "-o", str(tmp_path / "run"), "--real", str(tmp_path / "real"),
        "--results", str(tmp_path / "results"), "--samples", "4", "--side", "64", "--patch", "32", "--batch", "2",
        "--steps", "2", "--width", "4", "--iterations", "2", "--workers", "1", "--threads", "1",
    )  # fmt: skip
    monkeypatch.setenv("ALLFOCUS_LPIPS", "/nonexistent")
    monkeypatch.setattr(sys, "argv", ["ablation.py", *words])
    script.main()
    record = json.loads((tmp_path / "results" / "ablation.json").read_text())
    assert [row["claim"] for row in record["differences"]] == [claim for claim, *_ in script.COMPARED]
    stored = {path.stem for path in (tmp_path / "results" / "real").glob("*.json")}
    assert stored == {f"{variant}@seed0" for variant in script.VARIANTS}
