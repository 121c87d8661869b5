"""Pictures of known blur."""

from __future__ import annotations

import numpy as np


def blurred_texture(radius_px: float, side: int = 512) -> np.ndarray:
    """Random blocks under a disc blur, by FFT: (side, side, 3) uint8."""
    rng = np.random.default_rng(1)
    sharp = np.kron(rng.uniform(0.1, 0.9, (side // 16, side // 16)), np.ones((16, 16)))
    y, x = np.mgrid[:side, :side] - side // 2
    disc = np.clip(radius_px + 0.5 - np.hypot(y, x), 0, 1)
    spectrum = np.fft.fft2(np.fft.ifftshift(disc / disc.sum()))
    soft = np.fft.ifft2(np.fft.fft2(sharp) * spectrum).real
    return np.rint(np.clip(soft, 0, 1)[..., None].repeat(3, 2) * 255).astype(np.uint8)
