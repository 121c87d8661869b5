"""ComfyUI node "Deblur (allfocus)": copy this file into ComfyUI/custom_nodes and install allfocus beside it.

ComfyUI hands pictures over as torch tensors (batch, height, width, 3), float32 in [0, 1], and takes the same back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allfocus import Deblurrer
from allfocus.restore import MOST_STRENGTH, Settings


class AllfocusDeblur:
    """Makes out-of-focus pictures sharp."""

    CATEGORY = "image/postprocessing"
    FUNCTION = "deblur"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("sharp", "blur radius / 64 px")
    _ready: dict[str, Deblurrer] = {}  # noqa: RUF012  shared on purpose: a model is loaded once

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """What ComfyUI shows."""
        return {
            "required": {
                "image": ("IMAGE",),
                "model": (["ifan-fast", "ifan"],),
                "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": MOST_STRENGTH, "step": 0.05}),
                "scale": (["auto", "1", "2", "4"],),
                "keep_bokeh": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 64.0, "step": 0.5}),
            },
            "optional": {"mask": ("MASK",)},
        }

    def deblur(
        self, image: Any, model: str, strength: float, scale: str, keep_bokeh: float, mask: Any = None
    ) -> tuple[Any, Any]:
        """Restore a batch; also gives the blur radius of each pixel, divided by 64."""
        import torch

        if model not in self._ready:
            self._ready[model] = Deblurrer(model)
        settings = Settings(strength=strength, scale=scale, keep_bokeh=keep_bokeh or None)
        sharp, radii = [], []
        for index, picture in enumerate(image):
            pixels = np.ascontiguousarray(picture.cpu().numpy(), np.float32).clip(0, 1)
            share = (
                None if mask is None else mask[min(index, len(mask) - 1)].cpu().numpy().astype(np.float32).clip(0, 1)
            )
            done = self._ready[model].run(pixels, None, settings, mask=share)
            sharp.append(torch.from_numpy(np.asarray(done.output)))
            radius = np.zeros(pixels.shape[:2], np.float32) if done.defocus_map is None else done.defocus_map.read()
            radii.append(torch.from_numpy(np.clip(radius / 64, 0, 1)))
        return torch.stack(sharp), torch.stack(radii)


NODE_CLASS_MAPPINGS = {"AllfocusDeblur": AllfocusDeblur}
NODE_DISPLAY_NAME_MAPPINGS = {"AllfocusDeblur": "Deblur (allfocus)"}
