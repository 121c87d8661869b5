"""LPIPS v0.1 with the AlexNet features, in plain torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from allfocus.errors import InputError, WeightsError, needs
from allfocus.folders import cache_folder
from allfocus.metrics.pixels import COLOUR_CHANNELS, as_pair

if TYPE_CHECKING:
    from torch import Tensor

VERSION = "v0.1-alex"
FEATURES_NAME = "alexnet_features_fp16.safetensors"
LINEAR_NAME = "alex_lin_v0.1.pth"
FOLDER_VARIABLE = "ALLFOCUS_LPIPS"
SMALLEST_PX = 31
TINY = 1e-16

# index in `features`, (out, in, kernel, kernel), stride, padding, whether a 3x3 pooling of stride 2 comes before it
LAYERS = (
    (0, (64, 3, 11, 11), 4, 2, False),
    (3, (192, 64, 5, 5), 1, 2, True),
    (6, (384, 192, 3, 3), 1, 1, True),
    (8, (256, 384, 3, 3), 1, 1, False),
    (10, (256, 256, 3, 3), 1, 1, False),
)
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class LPIPS:
    """The distance itself: `LPIPS(folder)(restored, target)`; 0 for equal images, larger is worse.

    Args:
        folder: holds `alexnet_features_fp16.safetensors` (AlexNet's convolutions) and `alex_lin_v0.1.pth` (the linear
            heads). None looks into the folder of the ALLFOCUS_LPIPS variable, then into the user's cache.
        device: a torch device.
    Raises:
        MissingExtraError: torch is not installed. WeightsError: a file is missing or is not what it should be.
    Source: Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, eq. 1, version 0.1 of its weights.
    """

    def __init__(self, folder: str | Path | None = None, device: str = "cpu") -> None:
        place = find(folder)
        with needs("LPIPS", "eval", "torch"):
            import torch
        self.device = torch.device(device)
        self.layers = _read_features(place / FEATURES_NAME, self.device)
        self.heads = _read_heads(place / LINEAR_NAME, self.device)
        self.shift = torch.tensor(SHIFT, device=self.device).view(1, 3, 1, 1)
        self.scale = torch.tensor(SCALE, device=self.device).view(1, 3, 1, 1)
        self.version = f"{VERSION}+{_digest(place / FEATURES_NAME)[:8]}+{_digest(place / LINEAR_NAME)[:8]}"

    def __call__(self, restored: ArrayLike, target: ArrayLike) -> float:
        """The distance of two float images (H, W, 3) in [0, 1]; InputError for anything else or a side under 31 px."""
        import torch

        first, second = as_pair(restored, target)
        height, width, channels = first.shape
        if channels != COLOUR_CHANNELS or min(height, width) < SMALLEST_PX:
            raise InputError(
                f"images of {width}x{height} pixels and {channels} channels",
                f"RGB of at least {SMALLEST_PX}x{SMALLEST_PX} for LPIPS",
                "score a larger area",
            )
        pair = np.stack([first, second]).transpose(0, 3, 1, 2).astype(np.float32)  # (2, 3, H, W)
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(pair)).to(self.device)
            return float(self.distance(batch[:1], batch[1:]))

    def distance(self, restored: Tensor, target: Tensor) -> Tensor:
        """The mean distance over a batch, with gradients: two (B, 3, H, W) float32 in [0, 1], sides from 31 px on."""
        import torch
        from torch.nn import functional

        count = len(restored)
        activation = (torch.cat([restored, target]) * 2 - 1 - self.shift) / self.scale  # (2B, 3, H, W)
        total = activation.new_zeros(())
        for (_, _, stride, padding, pooled), (weight, bias), head in zip(LAYERS, self.layers, self.heads, strict=True):
            if pooled:
                activation = functional.max_pool2d(activation, 3, 2)
            activation = functional.relu(functional.conv2d(activation, weight, bias, stride, padding))  # (2, C, h, w)
            # where no feature fires the root's own gradient would be infinite
            length = (activation.square().sum(1, keepdim=True) + TINY).sqrt()
            unit = activation / (length + 1e-10)
            difference = (unit[:count] - unit[count:]).square()  # (B, C, h, w)
            total = total + functional.conv2d(difference, head).mean()
        return total


def find(folder: str | Path | None = None) -> Path:
    """The folder that holds both files: the given one, else ALLFOCUS_LPIPS, else the cache. WeightsError when none."""
    named = folder or os.environ.get(FOLDER_VARIABLE)
    place = Path(named) if named else fetched_folder()
    missing = [name for name in (FEATURES_NAME, LINEAR_NAME) if not (place / name).is_file()]
    if missing:
        raise WeightsError(
            f"no {' and no '.join(missing)} in {place}",
            "the two weight files of LPIPS-Alex v0.1",
            f"'allfocus eval --fetch-lpips' where there is a network, or name their folder in {FOLDER_VARIABLE}",
        )
    return place


def fetched_folder() -> Path:
    """Where fetched files are kept for this user."""
    return cache_folder() / "lpips"


def _read_features(path: Path, device: object) -> list[tuple[Tensor, Tensor]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} cannot be read ({error})", "safetensors", "download it again") from error
    pairs = []
    for index, shape, *_ in LAYERS:
        weight = _take(tensors, f"features.{index}.weight", shape, path)
        bias = _take(tensors, f"features.{index}.bias", shape[:1], path)
        pairs.append((weight.to(device), bias.to(device)))  # type: ignore[arg-type]
    return pairs


def _read_heads(path: Path, device: object) -> list[Tensor]:
    import pickle

    import torch

    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError) as error:
        raise WeightsError(f"{path.name} cannot be read ({error})", "a file of tensors", "download it again") from error
    shapes = [(1, shape[0], 1, 1) for _, shape, *_ in LAYERS]
    return [
        _take(tensors, f"lin{i}.model.1.weight", shape, path).to(device)  # type: ignore[arg-type]
        for i, shape in enumerate(shapes)
    ]


def _take(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    found = tensors.get(name)
    if found is None or tuple(found.shape) != shape:
        got = "nothing" if found is None else f"a tensor of {tuple(found.shape)}"
        raise WeightsError(f"{path.name} holds {got} under {name}", f"a tensor of {shape}", "download the file again")
    return found.float()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
