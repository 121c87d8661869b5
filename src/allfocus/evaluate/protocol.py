"""What has to be equal before two numbers may stand in one column."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from allfocus.metrics.lpips import VERSION as LPIPS
from allfocus.metrics.mae import VERSION as MAE
from allfocus.metrics.psnr import FIT_VERSION as PSNR_FIT
from allfocus.metrics.psnr import VERSION as PSNR
from allfocus.metrics.psnr_aligned import VERSION as PSNR_ALIGNED
from allfocus.metrics.reblur import VERSION as REBLUR
from allfocus.metrics.ringing import VERSION as RINGING
from allfocus.metrics.ssim import VERSION as SSIM

FLOAT = "float"
ROUNDED = "8-bit"
ROUNDINGS = (FLOAT, ROUNDED)


def metric_versions() -> dict[str, str]:
    """The version of every metric, by its name; LPIPS without the digests of its files."""
    return {
        "psnr": PSNR,
        "psnr_fit": PSNR_FIT,
        "psnr_aligned": PSNR_ALIGNED,
        "ssim": SSIM,
        "mae": MAE,
        "lpips": LPIPS,
        "ringing": RINGING,
        "reblur": REBLUR,
    }


@dataclass(frozen=True)
class Protocol:
    """The conditions of a score that decide whether it may be compared with another.

    Attributes:
        depth: bits per channel of the inputs and targets as they were read ("8", "16", "16-rounded-to-8").
        crop_multiple: photos were cropped at the bottom and right to multiples of this; 1 is whole photos.
        rounding: "float" scores the clipped output as it is, "8-bit" what a file of 8 bits would hold.
        tiling: "whole", or how the photo was cut ("tiles of 512 px").
        precision: of the network's arithmetic ("float32", "bfloat16"), or "-" where there is none.
        metrics: version of each metric.
    """

    depth: str
    crop_multiple: int = 1
    rounding: str = FLOAT
    tiling: str = "whole"
    precision: str = "-"
    metrics: dict[str, str] = field(default_factory=metric_versions)

    @property
    def id(self) -> str:
        """A short name that differs when any field does: "8bit.whole-photo.float.whole.float32.1a2b3c4d"."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        crop = "whole-photo" if self.crop_multiple == 1 else f"crop{self.crop_multiple}"
        words = [f"{self.depth}bit", crop, self.rounding, self.tiling.replace(" ", "-"), self.precision, digest]
        return ".".join(words)

    def record(self) -> dict[str, object]:
        """The fields and the id, for JSON."""
        return {"id": self.id, **asdict(self)}
