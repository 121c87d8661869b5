"""The ComfyUI node, called as ComfyUI calls it."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest


def test_a_batch_goes_through(repository: Path) -> None:
    torch = pytest.importorskip("torch")
    module = run_path(str(repository / "integrations/comfyui.py"))
    node = module["NODE_CLASS_MAPPINGS"]["AllfocusDeblur"]()
    required = node.INPUT_TYPES()["required"]
    assert list(required) == ["image", "model", "strength", "scale", "keep_bokeh"]
    batch = torch.rand(2, 6, 8, 3).repeat_interleave(12, 1).repeat_interleave(12, 2)
    mask = torch.ones(1, 72, 96)
    mask[:, :, :48] = 0
    sharp, radius = getattr(node, node.FUNCTION)(batch, "ifan-fast", 1.0, "auto", 0.0, mask)
    assert sharp.shape == batch.shape and sharp.dtype == torch.float32
    assert radius.shape == (2, 72, 96)
    assert torch.equal(sharp[:, :, :48], batch[:, :, :48])
    assert not torch.equal(sharp, batch)
