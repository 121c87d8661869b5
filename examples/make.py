"""Makes the example photos from photos bundled with scikit-image: `python examples/make.py` (needs the dev extra).

One is a real photo that is out of focus in part; the others are sharp photos defocused by the simulator, their settings
in settings.json and the sharp originals in truth/.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyvips
import skimage.data
import torch

from allfocus.simulate.lens import Lens
from allfocus.simulate.render import Surface, render
from allfocus.simulate.sensor import display_from_linear, linear_from_display

HERE = Path(__file__).parent
MARGIN = 48


@dataclass(frozen=True)
class Example:
    """A simulated example: blur radius in px at the top and at the bottom of the photo, and the lens.

    Attributes:
        photo: name in skimage.data.
        top_px: signed radius of the circle of confusion along the top edge.
        bottom_px: along the bottom edge; linear between.
        lens: the simulator's lens.
        noise: standard deviation of the noise, display-referred.
        seed: of the noise.
    """

    photo: str
    top_px: float
    bottom_px: float
    lens: Lens
    noise: float = 0.004
    seed: int = 0


EXAMPLES = {
    "astronaut": Example("astronaut", 4.0, 4.0, Lens(edge_px=0.35)),
    "coffee": Example("coffee", 7.0, 0.0, Lens(edge_px=0.35)),
    "rocket": Example("rocket", 3.0, 3.0, Lens(edge_px=0.35, blades=7, blades_curvature=0.5)),
}


def defocus(sharp: np.ndarray, example: Example) -> np.ndarray:
    """(H, W, 3) uint8 to the same, out of focus."""
    height, width = sharp.shape[:2]
    side = max(height, width) + 2 * MARGIN
    pad = [(MARGIN, side - height - MARGIN), (MARGIN, side - width - MARGIN), (0, 0)]
    canvas = torch.from_numpy(np.pad(sharp, pad, mode="symmetric").astype(np.float32) / 255).permute(2, 0, 1)
    rows = torch.linspace(0, 1, height).clamp(0, 1)
    radius = example.top_px + (example.bottom_px - example.top_px) * rows
    radius = torch.nn.functional.pad(radius[None, None], pad[0], mode="replicate")[0, 0]
    surface = Surface(linear_from_display(canvas), None, radius[:, None].expand(side, side).contiguous())
    display = display_from_linear(render((surface,), example.lens, levels=10).mean(dim=0).clamp(0, 1))
    display = display[:, MARGIN : MARGIN + height, MARGIN : MARGIN + width].permute(1, 2, 0).numpy()
    display = display + np.random.default_rng(example.seed).normal(0, example.noise, display.shape)
    return np.rint(np.clip(display, 0, 1) * 255).astype(np.uint8)


def main() -> None:
    """Write photos/, truth/ and settings.json."""
    settings = {}
    for name, example in EXAMPLES.items():
        sharp = getattr(skimage.data, example.photo)()[..., :3]
        truth, photo = HERE / "truth" / f"{name}.png", HERE / "photos" / f"{name}-simulated.jpg"
        pyvips.Image.new_from_array(sharp).pngsave(str(truth))
        pyvips.Image.new_from_array(defocus(sharp, example)).jpegsave(str(photo), Q=95, subsample_mode="off")
        settings[photo.name] = {"truth": truth.name, **asdict(example)}
    pyvips.Image.new_from_array(skimage.data.chelsea()).pngsave(str(HERE / "photos" / "cat-real.png"))
    (HERE / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()
