"""What do runs gain on real pairs, alone and averaged with the weights they came from, at several residual gains?

    python benchmarks/averaged_weights.py PAIRS [PAIRS ...] --runs RUN [RUN ...] --lpips DIR
        [--start ifan-fast --start-gain 1.4285714] [--shares 0.5 1] [--gains 0.7 0.85] [--every 1]

Longer training on simulated photos makes a network surer of itself than real photos deserve: averaging its weights with
those it started from, and scaling its residual, give much of that back. Whole photos through the network and the gate
of the finest scale (`scales.needs_scale`), not rounded. For every network also the factor by which its residual should
have been multiplied, by the measured blur radius: the regression of the wanted change on the network's own, each photo
weighed by its error. Rows of other runs that the output file holds are kept, that of the start too.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.atomic_file import write_json
from allfocus.checkpoints import native
from allfocus.data.registry import load
from allfocus.defocus.measure import local_radius_px
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import fit_gain_offset, psnr_fit
from allfocus.metrics.ssim import ssim
from allfocus.nets.ifan import IFAN
from allfocus.scales import needs_scale
from allfocus.train.launch import precision_here, processor_features
from allfocus.train.state import load_averaged
from allfocus.weights import store

Picture = NDArray[np.float32]
RADII_PX = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 30.0)
REGRESSED_AT = 0.8


def network(name: str, gain: float) -> IFAN:
    """A run's averaged weights, or a model's, the residual scaled."""
    net = load_averaged(Path(name))[1] if Path(name).is_dir() else native.load(store.find(name).weights)
    net.scale_residual(gain)
    return net.eval().to(memory_format=torch.channels_last)


def averaged(first: IFAN, second: IFAN, share: float) -> IFAN:
    """A network with weights of which `share` are the first's; networks of other sizes can only have a share of 1."""
    if share == 1:
        return first
    net, own = copy.deepcopy(second), first.state_dict()
    net.load_state_dict({name: share * own[name] + (1 - share) * value for name, value in second.state_dict().items()})
    return net


def change(net: IFAN, photo: Picture) -> Picture:
    """What the network would add to a photo (H, W, 3)."""
    height, width = photo.shape[:2]
    padded = np.pad(photo, [(0, -height % net.multiple), (0, -width % net.multiple), (0, 0)], "edge")
    batch = torch.from_numpy(padded).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
    half = precision_here("auto", "cpu", processor_features()) == "bf16-mixed"
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        residual = net(batch).residual.float()[0, :, :height, :width].permute(1, 2, 0).numpy()
    return residual * needs_scale(photo, finest=True)


def scores(photos: list[Picture], targets: list[Picture], changes: list[Picture], gain: float, lpips: LPIPS) -> dict:
    """Means over a set at one gain."""
    sharp = [np.clip(photo + gain * one, 0, 1) for photo, one in zip(photos, changes, strict=True)]
    fits = [psnr_fit(one, target) for one, target in zip(sharp, targets, strict=True)]
    before = [psnr_fit(one, target) for one, target in zip(photos, targets, strict=True)]
    return {
        "psnr_fit": round(float(np.mean(fits)), 3),
        "gain_db": round(float(np.mean(fits) - np.mean(before)), 3),
        "lpips": round(float(np.mean([lpips(one, target) for one, target in zip(sharp, targets, strict=True)])), 4),
        "ssim": round(float(np.mean([ssim(one, target) for one, target in zip(sharp, targets, strict=True)])), 4),
        "worse_than_input": sum(one < other for one, other in zip(fits, before, strict=True)),
    }


def wanted_factors(photos: list[Picture], targets: list[Picture], changes: list[Picture]) -> dict[str, float]:
    """By radius in px, the least-squares factor on the change."""
    with_wanted, of_own = np.zeros(len(RADII_PX) - 1), np.zeros(len(RADII_PX) - 1)
    for photo, target, one in zip(photos, targets, changes, strict=True):
        sharp = photo + REGRESSED_AT * one
        gain, offset = fit_gain_offset(sharp, target)
        lit = (target - offset) / gain  # the target in the light of the photo
        error = np.square(sharp - lit).sum()
        place = np.digitize(local_radius_px(photo), RADII_PX[1:-1])
        for index in range(len(RADII_PX) - 1):
            there = place == index
            with_wanted[index] += (one[there] * (lit - photo)[there]).sum() / error
            of_own[index] += np.square(one[there]).sum() / error
    names = [f"{low:g}-{high:g}" for low, high in pairwise(RADII_PX)]
    return {name: round(float(a / max(b, 1e-12)), 3) for name, a, b in zip(names, with_wanted, of_own, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--runs", nargs="*", default=[])
    parser.add_argument("--start", default="ifan-fast", help="Model or run to average with.")
    parser.add_argument("--start-gain", type=float, default=1 / 0.7, help="Undoes the gain of its release.")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--gains", type=float, nargs="+", default=[0.7, 0.85, 1.0])
    parser.add_argument("--every", type=int, default=1, help="Only every so many photos.")
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/averaged_weights.json"))
    args = parser.parse_args()
    lpips = LPIPS(args.lpips)
    start = network(args.start, args.start_gain)
    tried = [(args.start, 0.0, start)]
    for run in args.runs:
        tried += [(run, share, averaged(network(run, 1.0), start, share)) for share in args.shares]
    known = json.loads(args.output.read_text(encoding="utf-8")) if args.output.is_file() else {}
    before, origin = known.get("rows", []), known.get("start", args.start)
    if origin != args.start and any(share not in (0, 1) for _, share, _ in tried):
        parser.error(f"{args.output} holds averages with {origin}, not {args.start}: name another --output")
    rows = []
    for folder in args.pairs:
        pairs = list(load("pairs", folder, "test"))[:: args.every]
        reading = load("pairs", folder, "test")
        photos, targets = ([reading.read(getattr(one, side)) for one in pairs] for side in ("source", "target"))
        for name, share, net in tried:
            if share == 0 and args.runs and any(_key(one) == (folder.name, name, share) for one in before):
                continue
            changes = [change(net, photo) for photo in photos]
            row = {
                "set": folder.name,
                "photos": len(photos),
                "run": Path(name).name,
                "share_of_run": share,
                "gains": {f"{gain:g}": scores(photos, targets, changes, gain, lpips) for gain in args.gains},
                "wanted_factor_by_radius_px": wanted_factors(photos, targets, changes),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
            now = {_key(one) for one in rows}
            kept = [one for one in before if _key(one) not in now]
            write_json(args.output, {"start": origin, "rows": kept + rows})


def _key(row: Mapping[str, object]) -> tuple[object, ...]:
    """Which weights on which set a row is about."""
    return row["set"], row["run"], row["share_of_run"]


if __name__ == "__main__":
    main()
