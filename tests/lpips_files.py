"""Files of LPIPS with random weights of the right shapes: the arithmetic does not need the real ones."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from allfocus.metrics import lpips


def write_lpips_files(folder: Path) -> Path:
    """Both files, in a folder that exists."""
    generator = torch.Generator().manual_seed(0)
    features, heads = {}, {}
    for place, (index, shape, *_) in enumerate(lpips.LAYERS):
        features[f"features.{index}.weight"] = (torch.randn(shape, generator=generator) * 0.05).half()
        features[f"features.{index}.bias"] = (torch.randn(shape[:1], generator=generator) * 0.05).half()
        heads[f"lin{place}.model.1.weight"] = torch.rand(1, shape[0], 1, 1, generator=generator)
    save_file(features, folder / lpips.FEATURES_NAME)
    torch.save(heads, folder / lpips.LINEAR_NAME)
    return folder
