"""The ranges that an int8 network needs: of the values that each convolution reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from allfocus.atomic_file import write_text
from allfocus.errors import WeightsError

FORMAT = 1
ENOUGH_DB = 50.0
"""Below this PSNR between the int8 and the float32 network nobody is given int8 without asking for it."""


@dataclass(frozen=True)
class Ranges:
    """The file NAME.int8 beside NAME.safetensors. The int8 network itself is built from both when it is loaded.

    Attributes:
        sha256: of the weights with which the ranges were measured.
        activations: convolution in the graph -> lowest and highest value of what it reads; others stay in float.
        crops: on how many pictures they were measured.
        psnr_db: mean PSNR of the int8 against the float32 network, on pictures that the ranges were not measured on.
        lowest_psnr_db: of those pictures.
    """

    sha256: str
    activations: Mapping[str, tuple[float, float]]
    crops: int
    psnr_db: float
    lowest_psnr_db: float

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; OutputError when that fails."""
        write_text(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Ranges:
        """Read the file. WeightsError: missing, damaged, or of another format."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
                raise ValueError(f"not of format {FORMAT}")
            pairs = {name: (float(low), float(high)) for name, (low, high) in values.pop("activations").items()}
            if any(not low <= 0 <= high or low == high for low, high in pairs.values()):
                raise ValueError("a range without zero in it")
            if values.keys() != {one.name for one in fields(cls)} - {"activations"}:
                raise ValueError(f"fields {sorted(values)}")
            return cls(activations=pairs, **values)
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise WeightsError(f"{path} cannot be used ({error})", "a file of `allfocus quantise`", "run it") from error
