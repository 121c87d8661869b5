"""Does the defocus map tell the true blur radius? Measured on SynDP, where it is known.

    python benchmarks/map_accuracy.py [-o FILE] [--model ifan-fast] [--every 1] [--syndp DIR]

Pixels count where the sharp picture has texture (blur shows nowhere else) and one radius describes the blur. Two maps
are compared: from the photo at full size alone, and coarse to fine as `allfocus deblur --map` writes it. A third row
has a single number for all, the median of all true radii, behind the focus, as what knows nothing about the photo.

The side of the focus counts where the disparity between the dual-pixel views is more than half a px. One photo hardly
tells it; a single view does, as half a pupil blurs to one side before the focus and to the other behind it, and from
the right view alone the disparity is estimated in training. The last row is the map that the model makes of that view;
a model that takes both views has a map of them alone. As most of SynDP's blur lies behind the focus, the mean of the
shares before and behind it stands beside the share of all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import write_json
from allfocus.data import syndp
from allfocus.data.pairs import read_coc
from allfocus.deblurrer import Deblurrer
from allfocus.defocus.map import DISPARITY_TO_RADIUS
from allfocus.defocus.measure import TEXTURE, WINDOW_PX, has_texture
from allfocus.restore import Settings

SIGN_FROM_PX = 0.5 / (0.8 / 2)
"""Radius in px that has half a px of disparity at the usual split of 0.8."""
AT_MOST_PX = 1.0
Map = tuple[NDArray, NDArray]
"""Radius and signed radius (H, W) in px."""


@dataclass(frozen=True)
class Scene:
    """One scene: photo and views (H, W, 3) in [0, 1], signed true radius (H, W) in px, which pixels count."""

    name: str
    photo: NDArray[np.float32]
    left: NDArray[np.float32]
    right: NDArray[np.float32]
    truth_px: NDArray[np.float32]
    counts: NDArray[np.bool_]


def rendered(every: int) -> Iterator[Scene]:
    """Every so many scenes of the strata, rendered as the benchmark has them."""
    strata = [item for item in syndp.items() if not item.probe]
    for item in strata[::every]:
        sample = syndp.render(item)
        syndp.check(item, sample)
        pictures = sample.centre, sample.left, sample.right, sample.sharp
        photo, left, right, sharp = (one[0].permute(1, 2, 0).contiguous().numpy() for one in pictures)
        truth_px = sample.coc[0, 0].numpy()
        yield Scene(item.name, photo, left, right, truth_px, has_texture(sharp) & sample.valid[0, 0].numpy())


def stored(root: Path, every: int) -> Iterator[Scene]:
    """The same from a folder that `allfocus eval` made."""
    pairs = syndp.load(root).only("strata").every(every)
    for pair in pairs:
        photo = pairs.read(pair.source)
        assert pair.coc and pair.target and pair.left and pair.right  # the set has them all
        truth_px = read_coc(pair.coc, *photo.shape[:2])
        left, right = pairs.read(pair.left), pairs.read(pair.right)
        counts = has_texture(pairs.read(pair.target)) & np.isfinite(truth_px)
        yield Scene(pair.name, photo, left, right, truth_px, counts)


def of_photo(deblurrer: Deblurrer, photo: NDArray[np.float32], scale: str) -> Map:
    """What the pipeline makes of a photo or of a view taken for one."""
    done = deblurrer.run(photo, settings=Settings(scale=scale, with_map=True))
    assert done.defocus_map is not None
    return done.defocus_map.read(), _each_px(done.defocus_map.signed_px, done.defocus_map.cell_px, photo)


def of_views(deblurrer: Deblurrer, scene: Scene) -> Map:
    """What a network of two views makes of them, whole at full size; sides are multiples of its cells in SynDP."""
    photo, pair = scene.photo, np.concatenate([scene.right, scene.left], axis=2)
    batch, both = (np.ascontiguousarray(one.transpose(2, 0, 1)[None]) for one in (photo, pair))
    found = deblurrer.engine.run(batch, both).disparity
    assert found is not None
    side = deblurrer.model.card.multiple
    signed_px = _each_px(found[0, 0] * np.float32(DISPARITY_TO_RADIUS * side), side, photo)
    return np.abs(signed_px), signed_px


def _each_px(cells: NDArray[np.float32], side: int, photo: NDArray[np.float32]) -> NDArray[np.float32]:
    return cells.repeat(side, axis=0).repeat(side, axis=1)[: photo.shape[0], : photo.shape[1]]


def summary(errors_px: NDArray, truth_px: NDArray, right_side: NDArray) -> dict[str, object]:
    """Errors over all pixels that count; the side of focus where there is enough disparity."""
    clear = np.abs(truth_px) > SIGN_FROM_PX
    sides = [right_side[clear & one] for one in (truth_px < 0, truth_px > 0)]
    shares = [float(one.mean()) for one in sides if len(one)]
    return {
        "median_error_px": round(float(np.median(errors_px)), 3),
        "mean_error_px": round(float(errors_px.mean()), 3),
        "error_px_of_9_in_10": round(float(np.quantile(errors_px, 0.9)), 3),
        "median_true_px": round(float(np.median(np.abs(truth_px))), 3),
        "right_side_of_focus": round(float(right_side[clear].mean()), 3) if shares else None,
        "right_side_before_and_behind": round(sum(shares) / len(shares), 3) if len(shares) == 2 else None,
        "pixels": len(errors_px),
    }


def measure(deblurrer: Deblurrer, scenes: Iterator[Scene]) -> dict[str, object]:
    """All scenes, pooled by pixels and by stratum."""
    kinds: dict[str, Callable[[Scene], Map]] = {"both views": lambda scene: of_views(deblurrer, scene)}
    if deblurrer.model.card.views == 1:
        kinds = {
            "full size alone": lambda scene: of_photo(deblurrer, scene.photo, "1"),
            "coarse to fine": lambda scene: of_photo(deblurrer, scene.photo, "auto"),
            "right view alone": lambda scene: of_photo(deblurrer, scene.right, "1"),
        }
    truths: dict[str, list[NDArray]] = {}
    errors: dict[tuple[str, str], list[NDArray]] = {}
    sides: dict[tuple[str, str], list[NDArray]] = {}
    names = []
    for scene in scenes:
        stratum, counts = scene.name[:2], scene.counts
        if not counts.any():
            continue
        names.append(scene.name)
        truth_px = scene.truth_px[counts]
        truths.setdefault(stratum, []).append(truth_px)
        for kind, told in kinds.items():
            radius_px, signed_px = (one[counts] for one in told(scene))
            errors.setdefault((kind, stratum), []).append(np.abs(radius_px - np.abs(truth_px)))
            sides.setdefault((kind, stratum), []).append(signed_px * truth_px > 0)
        print(scene.name, flush=True)
    truth = {stratum: np.concatenate(parts) for stratum, parts in truths.items()}
    everything = np.concatenate(list(truth.values()))
    constant = float(np.median(np.abs(everything)))
    rows: dict[str, object] = {}
    for kind in kinds:
        joined = {s: (np.concatenate(errors[kind, s]), np.concatenate(sides[kind, s])) for s in truth}
        error, side = (np.concatenate([one[part] for one in joined.values()]) for part in (0, 1))
        by_stratum = {s: summary(joined[s][0], truth[s], joined[s][1]) for s in truth}
        rows[kind] = {"all": summary(error, everything, side), **by_stratum}
    rows["one number for all"] = {"all": summary(np.abs(np.abs(everything) - constant), everything, everything > 0)}
    return {"scenes": names, "maps": rows}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--every", type=int, default=1, help="take every so many scenes")
    parser.add_argument("--syndp", type=Path, help="folder with the benchmark; without, its scenes are rendered")
    parser.add_argument("-o", "--output", type=Path, help="[results/map_accuracy.MODEL.json]")
    arguments = parser.parse_args()
    deblurrer = Deblurrer(arguments.model)
    scenes = stored(arguments.syndp, arguments.every) if arguments.syndp else rendered(arguments.every)
    info, card = deblurrer.engine.info, deblurrer.model.card
    record = {
        "what": "error of the blur radius in px on textured places of SynDP (strata), pooled by pixels",
        "wanted": f"a median error of at most {AT_MOST_PX:g} px, coarse to fine",
        "model": card.name,
        "sha256": card.sha256,
        "steps": card.steps,
        "engine": {"name": info.name, "precision": info.precision},
        "texture": f"root mean square gradient of the sharp picture over {WINDOW_PX} px above {TEXTURE:g}",
        **measure(deblurrer, scenes),
    }
    write_json(arguments.output or Path(f"results/map_accuracy.{card.name}.json"), record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
