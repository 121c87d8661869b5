"""Do the engines give what torch gives in float32? On real photos, with the weights that ship.

    python benchmarks/engine_agreement.py --photos DIR -o results/engine_agreement.ifan-fast.json

Each photo goes through the network whole, at one scale: largest difference between the residuals, and PSNR between the
pictures (photo plus residual, cut to [0, 1]).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from allfocus.atomic_file import write_json
from allfocus.engine.base import Engine
from allfocus.engine.choose import choose, survey
from allfocus.engine.processor import Processor
from allfocus.metrics.psnr import psnr
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.weights.store import find

COMPARED = (("openvino", "float32"), ("openvino", "bfloat16"), ("openvino", "int8"), ("onnxruntime", "float32"))


def main() -> None:
    """Run all engines on all photos, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("-o", "--output", type=Path, help="[results/engine_agreement.MODEL.json]")
    options = parser.parse_args()
    model = find(options.model)
    reference = choose(model, "torch", "float32")
    here = {one.name for one in survey() if one.available}
    engines = {pair: choose(model, *pair) for pair in COMPARED if pair[0] in here}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {pair: [] for pair in engines}
    photos = sorted(path for path in options.photos.iterdir() if path.is_file())
    for path in photos:
        batch = network_input(path, model.card.multiple)
        wanted = reference.run(batch).residual
        for pair, engine in engines.items():
            found[pair].append(agreement(engine, batch, wanted))
    record = {
        "model": model.card.name,
        "sha256": model.card.sha256,
        "photos": len(photos),
        "reference": "torch, float32",
        "machine": Processor.here().name,
        "engines": [
            {
                "engine": name,
                "precision": precision,
                "largest_difference": max(difference for difference, _ in values),
                "mean_psnr": float(np.mean([closeness for _, closeness in values])),
                "lowest_psnr": min(closeness for _, closeness in values),
            }
            for (name, precision), values in found.items()
        ],
    }
    write_json(options.output or Path(f"results/engine_agreement.{model.card.name}.json"), record)
    print(json.dumps(record["engines"], indent=2))


def network_input(path: Path, multiple: int) -> np.ndarray:
    """A photo as a batch of one: (1, 3, H, W) float32 in [0, 1], cut to the network's grid."""
    reader = decode(path).unit()
    box = Box(0, 0, reader.width // multiple * multiple, reader.height // multiple * multiple)
    return np.ascontiguousarray(reader.read(box).transpose(2, 0, 1)[None])


def agreement(engine: Engine, batch: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Largest difference of the residuals, and PSNR between the sharp pictures."""
    residual = engine.run(batch).residual
    ours, theirs = (np.clip(batch + one, 0, 1)[0].transpose(1, 2, 0) for one in (residual, wanted))
    return float(np.abs(residual - wanted).max()), psnr(ours, theirs)


if __name__ == "__main__":
    main()
