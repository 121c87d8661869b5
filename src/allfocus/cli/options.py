"""Options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

ModelName = Annotated[str, typer.Option(help="A name from `allfocus models`, or a weights file.")]
EngineName = Annotated[str, typer.Option(help="auto, openvino, openvino-gpu, openvino-npu, onnxruntime or torch.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16 or int8.")]
Strength = Annotated[float, typer.Option(help="How much of the correction to apply, 0 to 1.4; above 1 is crisper.")]
Scale = Annotated[str, typer.Option(help="Coarsest working scale: auto, 1, 2 or 4.")]
TileSide = Annotated[int, typer.Option(help="Tile size in px; 0 chooses automatically.")]


@dataclass(frozen=True)
class FileOptions:
    """How photos are read and written; the arguments of `Deblurrer.run` of these names."""

    overwrite: bool
    quality: int | None
    pixel_limit: int
    allow_damaged: bool
    mask: Path | None
