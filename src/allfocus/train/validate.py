"""Scores of a network on real pairs while it trains: whole photos, the poster's metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips
import torch
from torch.nn import functional

from allfocus.errors import DataError, WeightsError
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import psnr, psnr_fit
from allfocus.metrics.ssim import ssim
from allfocus.nets.ifan import IFAN


class RealPairs:
    """A folder with ``source/`` and ``target/`` photos, paired by their order, scored as a whole.

    Args:
        folder: holds both.
        lpips: folder of the LPIPS files, or None to leave that column out.
        bfloat16: run the network under autocast.

    Raises:
        DataError: if the folder does not hold pairs.
    """

    def __init__(self, folder: Path, lpips: Path | None = None, bfloat16: bool = True) -> None:
        sources, targets = (sorted((folder / name).glob("*.*")) for name in ("source", "target"))
        if not sources or len(sources) != len(targets):
            raise DataError(
                f"{folder} with {len(sources)} source and {len(targets)} target photos",
                "source/ and target/ with the same number of photos",
                "check the folder",
            )
        self.pairs = list(zip(read_photos(folder / "source"), read_photos(folder / "target"), strict=True))
        self.bfloat16 = bfloat16
        try:
            self.lpips = LPIPS(lpips) if lpips is not None else None
        except WeightsError:
            self.lpips = None

    def __call__(self, net: IFAN) -> dict[str, float]:
        """Means over the photos of PSNR, PSNR-fit, SSIM and, where its files are, LPIPS."""
        rows = []
        for source, target in self.pairs:
            restored = restore_whole(net, source, bfloat16=self.bfloat16)
            row = {
                "psnr": psnr(restored, target),
                "psnr_fit": psnr_fit(restored, target),
                "ssim": ssim(restored, target),
            }
            if self.lpips is not None:
                row["lpips"] = self.lpips(restored, target)
            rows.append(row)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def restore_whole(net: IFAN, photo: np.ndarray, *, bfloat16: bool) -> np.ndarray:
    """One photo (H, W, 3) float32 in [0, 1] through the network, borders replicated to its multiple, clipped."""
    height, width = photo.shape[:2]
    batch = torch.from_numpy(photo).permute(2, 0, 1)[None]
    padded = functional.pad(batch, (0, -width % net.multiple, 0, -height % net.multiple), mode="replicate")
    padded = padded.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        residual = net(padded).residual
    restored = (batch + residual[..., :height, :width].float()).clamp(0, 1)
    return restored[0].permute(1, 2, 0).numpy()


def read_photos(folder: Path) -> list[np.ndarray]:
    """Every photo of a folder by name: (H, W, 3) float32 in [0, 1]."""
    images = [pyvips.Image.new_from_file(str(path)) for path in sorted(folder.glob("*.*"))]
    return [image.colourspace("srgb")[:3].numpy().astype(np.float32) / 255 for image in images]
