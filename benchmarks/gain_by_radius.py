"""Gain by blur radius on the same photos: each held-out sharp photo blurred by one radius after another.

    python benchmarks/gain_by_radius.py --photos DIR --only held_out.txt [--model ifan-fast] [-o FILE]

SynDP has other things at every radius, some of which were out of focus when its photos were taken. Here a scene is one
plane behind the focus, seen by the simulator's lenses and sensors; only its radius changes. At radius 0 the photo is in
focus, and a negative gain is harm. Photos go through the whole pipeline, with --scale auto. Kept are the mean over the
scenes of the gain in PSNR over the input, with its standard error, and the gain of all squared errors together. A PSNR
counts as at most 60 dB, as in every mean of the project: some photos in focus equal their sharp picture.

Beside it stands what a filter gains that was fitted on the answer (benchmarks/fitted_filter.py): how much of a
radius's loss can be had back without guessing.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np
import torch

from allfocus.atomic_file import write_json
from allfocus.deblurrer import Deblurrer
from allfocus.evaluate.rows import MOST_DB
from allfocus.simulate import PhotoPool, Simulator, SimulatorConfig
from allfocus.simulate.scene import SceneConfig
from fitted_filter import squared_errors

RADII_PX = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 14.0, 20.0)
SIDE_PX = 384
SEED = 7_000_000


def simulator(photos: list[Path]) -> Simulator:
    """Planes only, the rest as the simulator has it."""
    scene = SceneConfig(composite=0.0, single=0.0, plane=1.0, identity=0.0)
    return Simulator(SimulatorConfig(crop_px=SIDE_PX, reductions=(1.0, 0.0, 0.0), scene=scene), PhotoPool(photos))


def blurred(source: Simulator, seed: int, radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo and the sharp picture of a scene at a radius, both (H, W, 3) in [0, 1]."""
    shot = source.plan(seed)
    (plane,) = shot.surfaces
    plane = dataclasses.replace(plane, coc_px=torch.full_like(plane.coc_px, radius_px))
    lens = shot.lens
    if not radius_px:  # nothing but the sensor
        lens = dataclasses.replace(lens, softness_px=0.0, longitudinal_ca_px=(0.0, 0.0), lateral_ca_px=(0.0, 0.0))
    sample = source.develop([dataclasses.replace(shot, surfaces=(plane,), lens=lens)])
    photo, sharp = (one[0].permute(1, 2, 0).contiguous().numpy() for one in (sample.centre, sample.sharp))
    return photo, sharp


def measure(deblurrer: Deblurrer, source: Simulator, scenes: int) -> list[dict[str, float]]:
    """A row for each radius."""
    rows = []
    for radius_px in RADII_PX:
        errors = []
        for number in range(scenes):
            photo, sharp = blurred(source, SEED + number, radius_px)
            restored = np.asarray(deblurrer.run(photo).output)
            ((before, filtered),) = squared_errors(photo, sharp, [np.ones(photo.shape[:2], bool)])
            after = float(np.square(restored - sharp, dtype=np.float64).sum())
            errors.append([error / photo.size for error in (before, after, filtered)])
        input_psnr, psnr, best_psnr = np.minimum(-10 * np.log10(np.array(errors).T + 1e-12), MOST_DB)
        before, after, filtered = np.sum(errors, axis=0)
        gains = psnr - input_psnr
        row = {
            "radius_px": radius_px,
            "input_psnr": float(input_psnr.mean()),
            "gain_mean_db": float(gains.mean()),
            "standard_error_db": float(gains.std(ddof=1) / math.sqrt(scenes)),
            "gain_pooled_db": float(10 * math.log10(before / after)),
            "fitted_filter_mean_db": float((best_psnr - input_psnr).mean()),
            "fitted_filter_pooled_db": float(10 * math.log10(before / filtered)),
        }
        rows.append({name: round(value, 3) for name, value in row.items()})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--only", type=Path, required=True, help="names of photos that no weights were trained on")
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("-o", "--output", type=Path, help="[results/gain_by_radius.MODEL.json]")
    arguments = parser.parse_args()
    photos = [arguments.photos / name for name in arguments.only.read_text().split()]
    deblurrer = Deblurrer(arguments.model)
    card = deblurrer.model.card
    record = {
        "what": f"gain in PSNR over the input, {arguments.scenes} planes of {SIDE_PX} px from photos not trained on",
        "model": card.name,
        "sha256": card.sha256,
        "rows": measure(deblurrer, simulator(photos), arguments.scenes),
    }
    write_json(arguments.output or Path(f"results/gain_by_radius.{card.name}.json"), record)


if __name__ == "__main__":
    main()
