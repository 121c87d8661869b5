"""A training batch: the pictures of several samples, cropped alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

OPTIONAL = ("coc", "left", "right")


class Batch(NamedTuple):
    """Samples of one size.

    Attributes:
        centre: (B, 3, H, W) float32 in [0, 1], the defocused photo.
        sharp: (B, 3, H, W) float32 in [0, 1], the same without blur.
        coc: (B, 1, H/m, W/m) float32, signed blur radius in px on a grid of m px (m divides 8), NaN where unknown;
            None where nobody knows it.
        left, right: (B, 3, H, W) float32 in [0, 1], the dual-pixel views, or None.
    """

    centre: Tensor
    sharp: Tensor
    coc: Tensor | None = None
    left: Tensor | None = None
    right: Tensor | None = None

    def to(self, device: torch.device, memory_format: torch.memory_format = torch.channels_last) -> Batch:
        """The same on a device."""
        return Batch(
            *(
                None if part is None else part.to(device, non_blocking=True).contiguous(memory_format=memory_format)
                for part in self
            )  # type: ignore[arg-type]
        )


def concatenate(samples: Sequence[Batch]) -> Batch:
    """One batch of several; what one of them lacks, the batch lacks."""
    columns = zip(*samples, strict=True)
    return Batch(*(None if any(part is None for part in column) else torch.cat(column) for column in columns))  # type: ignore[arg-type]
