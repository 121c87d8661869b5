"""What the capture kit reaches: on a simulated session, on simulated focus stacks, and on the real pairs.

python benchmarks/capture.py session -o results/capture_session.json
python benchmarks/capture.py stacks -o results/capture_stacks.json
python benchmarks/capture.py real ../shared/data/real-val -o results/capture_real.json [--every 3]

`python tools/capture_page.py` writes their figures into docs/capture.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.capture import scene
from allfocus.capture.blur import match_blur
from allfocus.capture.demo import FAULTS, PlantedScene, make_demo
from allfocus.capture.focus_stack import fuse
from allfocus.capture.frame import Frame, encoded, photos, read
from allfocus.capture.misalignment import Misalignment, misalignment
from allfocus.capture.pair import Made, PairOptions, make
from allfocus.capture.pairing import pair_up
from allfocus.capture.photometric import match_colours
from allfocus.capture.register import align, inside, laid_on
from allfocus.evaluate.measure import machine
from allfocus.metrics.registration import displacement, rms_px, warped
from allfocus.photo.codecs import decode
from allfocus.photo.color import luma
from allfocus.photo.tiling import Box
from capture_truth import STACK_STEP_PX, quantile_error, simulated_stack

FOCUS_PX = 0.5
BLOCK_PX = 8
PLANTED = ((7.0, -5.0, 1.01, 0.5), (-16.0, 11.0, 0.985, -1.2))
"""Shift in x and y in px, scale, and turn in degrees."""


def main() -> None:
    """One of the three questions, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("session", "stacks", "real"))
    parser.add_argument("photos", nargs="?", type=Path, help="real pairs, or sharp photos for the other two")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="of the real pairs or the stacks, only every Nth")
    parser.add_argument("--good", type=int, default=40)
    parser.add_argument("--each-fault", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.question == "session":
        found = session(arguments.good, arguments.each_fault, arguments.seed, arguments.photos)
    elif arguments.question == "stacks":
        found = stacks(arguments.photos, arguments.every)
    else:
        found = real(arguments.photos, arguments.every)
    arguments.output.write_text(json.dumps({**found, "machine": machine()}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key not in ("pairs", "stacks")}, indent=1))


def session(good: int, each_fault: int, seed: int, photo_folder: Path | None) -> dict[str, Any]:
    """Registration, colour and gate against the truth of a simulated session."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        truth = {
            one.name: one
            for one in make_demo(folder, good, list(FAULTS) * each_fault, seed=seed, photo_folder=photo_folder)
        }
        for shot in pair_up(folder / "wide", folder / "narrow"):
            planted = truth.get(shot.name)
            if planted is None:
                continue
            started = time.process_time()
            made = make(shot, PairOptions())
            rows.append(_row(planted, made, folder) | {"processor_s": round(time.process_time() - started, 2)})
            print(rows[-1], flush=True)
    clean = [row for row in rows if not row["fault"]]
    errors = np.array([row["error_px"] for row in clean if row["error_px"] is not None])
    colours = [row["colour_levels"] for row in clean if row["colour_levels"] is not None]
    faulty = [row for row in rows if row["fault"]]
    return {
        "question": "simulated session: shift to 40 px, 2 degrees, 3 %, one stop, colour cast, blur to 12 px, noise",
        "scenes": "drawn" if photo_folder is None else "photos",
        "seed": seed,
        "good_pairs": len(clean),
        "registration_median_px": float(np.median(errors)),
        "registration_95_px": float(np.quantile(errors, 0.95)),
        "registration_share_under_half_px": float(np.mean(errors < 0.5)),
        "colour_levels_of_255_mean": float(np.mean(colours)),
        "colour_levels_of_255_largest": float(np.max(colours)),
        "colour_pairs": len(colours),
        "good_rejected": sum(bool(row["reasons"]) for row in clean),
        "faulty_pairs": len(faulty),
        "faulty_with_right_reason_first": sum(row["reasons"][:1] == [row["expected"]] for row in faulty),
        "faulty_accepted": sum(not row["reasons"] for row in faulty),
        "processor_s_median": float(np.median([row["processor_s"] for row in clean])),
        "pairs": rows,
    }


def _row(planted: PlantedScene, made: Made, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": planted.name, "fault": planted.fault, "expected": planted.reason, "reasons": list(made.reasons),
        "largest_px": round(planted.largest_px, 2), "error_px": None, "colour_levels": None,
    }  # fmt: skip
    if planted.fault or made.alignment is None or made.pictures is None or made.box is None:
        return row
    left, top, width, height = made.box
    size = read(folder / "wide" / f"{planted.name}.jpg").shape
    apart = displacement(made.alignment.warp, size) - displacement(planted.warp, size)
    row["error_px"] = round(rms_px(apart), 4)
    cut = np.s_[top : top + height, left : left + width]
    sharp = _deep(folder / "truth" / f"{planted.name}.png", 65535)[cut]
    focused = _deep(folder / "truth" / f"{planted.name}.radius.png", 1000)[..., 0][cut] < FOCUS_PX
    difference = _blocks(made.pictures[1] - sharp)  # colour, not detail: means of blocks that are in focus throughout
    inside_focus = _blocks(focused[..., None].astype(np.float32))[..., 0] == 1
    if inside_focus.sum() >= 20:
        row["colour_levels"] = round(float(np.abs(difference[inside_focus]).mean() * 255), 3)
    return row


def stacks(photo_folder: Path | None, every: int = 1) -> dict[str, Any]:
    """Fused stacks of 5 to 12 frames against the truth, away from depth edges."""
    rows = []
    for number, frames in list(enumerate((5, 6, 8, 10, 12)))[::every]:
        generator = np.random.default_rng([7, number])
        size = (256, 320)
        sharp = (
            scene.drawn(generator, size)
            if photo_folder is None
            else scene.taken(photos(photo_folder)[number], size, generator)
        )
        stack, depth = simulated_stack(sharp, generator, frames)
        fused = fuse(stack)
        left, top, width, height = fused.box
        cut = np.s_[top : top + height, left : left + width]
        away = ~_near_edges(depth, frames * STACK_STEP_PX)[cut]
        gain = np.median(sharp[cut][away] / np.maximum(fused.linear[away], 1e-3))
        truth, ours = encoded(sharp[cut]), encoded(fused.linear * np.float32(gain))
        first = encoded(stack[0].linear[cut])
        rows.append(
            {
                "frames": frames,
                "away_from_edges": round(float(away.mean()), 3),
                "psnr_away_from_edges": _psnr(ours[away], truth[away]),
                "psnr_everywhere": _psnr(ours, truth),
                "psnr_of_first_frame_away_from_edges": _psnr(first[away], truth[away]),
                "largest_move_px": round(fused.largest_move_px, 2),
            }
        )
        print(rows[-1], flush=True)
    return {
        "question": "simulated focus stacks: 1.4 px of blur radius a frame, breathing 0.2 %, shifts to 1 px, noise",
        "scenes": "drawn" if photo_folder is None else "photos",
        "worst_psnr_away_from_edges": min(row["psnr_away_from_edges"] for row in rows),
        "stacks": rows,
    }


def real(folder: Path, every: int = 1) -> dict[str, Any]:
    """What misalignment real pairs have, with its error, and whether a planted warp is found again."""
    rows = []
    everything = []
    for path in photos(folder / "source")[::every]:
        source, target = read(path), read(folder / "target" / path.name)
        found = _left(source, target, np.eye(3))
        everything.append(found)
        plain = align(source, target, mirrored=False)
        after = _left(source, target, plain.warp)
        row: dict[str, Any] = {
            "name": path.stem,
            "windows": len(found.shifts),
            "median_px": found.quantile(0.5),
            "median_error_px": quantile_error(found.lengths_px, 0.5),
            "ninth_decile_px": found.quantile(0.9),
            "median_after_px": after.quantile(0.5),
            "planted_miss_px": [],
        }
        for x, y, scale, degrees in PLANTED:
            planted = _about_middle(source.shape, x, y, scale, degrees)
            moved = Frame(
                np.clip(warped(target.linear, np.linalg.inv(planted)), 0, 1).astype(np.float32), target.clipped
            )
            again = align(source, moved, mirrored=False)
            apart = displacement(again.warp, source.shape) - displacement(planted @ plain.warp, source.shape)
            row["planted_miss_px"].append(round(rms_px(apart), 4))
        rows.append(row)
        print(row, flush=True)
    lengths = np.concatenate([one.lengths_px for one in everything])
    medians = np.array([row["median_px"] for row in rows])

    def told(values: np.ndarray, share: float) -> dict[str, float | None]:
        return {"px": float(np.quantile(values, share)), "error_px": quantile_error(values, share)}

    missed = [miss for row in rows for miss in row["planted_miss_px"]]
    return {
        "question": "misalignment of real pairs, windows of 64 px that speak; errors from disjoint halves of them",
        "photos": len(rows),
        "windows": len(lengths),
        "median": told(lengths, 0.5),
        "ninth_decile": told(lengths, 0.9),
        "median_of_photos": told(medians, 0.5),
        "planted": [dict(zip(("x_px", "y_px", "scale", "degrees"), one, strict=True)) for one in PLANTED],
        "median_after_registration_px": float(np.median([row["median_after_px"] for row in rows])),
        "planted_miss_largest_px": max(missed),
        "planted_miss_median_px": float(np.median(missed)),
        "pairs": rows,
    }


def _left(source: Frame, target: Frame, warp: np.ndarray) -> Misalignment:
    from allfocus.capture.register import Alignment

    laid = laid_on(target, Alignment(warp, False, 0), source.shape)
    seen = inside(warp, source.shape, target.shape)
    colours = match_colours(source, laid, warp=warp)
    soft = match_blur(luma(colours.apply(laid.linear, warp)), luma(source.linear)).matched
    display = encoded(np.stack([soft, luma(source.linear), soft], axis=-1))
    return misalignment(display[..., 0], display[..., 1], seen & ~laid.clipped & ~source.clipped)


def _about_middle(shape: tuple[int, int], x: float, y: float, scale: float, degrees: float) -> np.ndarray:
    middle = np.array([[1, 0, (shape[1] - 1) / 2], [0, 1, (shape[0] - 1) / 2], [0, 0, 1.0]])
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return middle @ np.array([[cosine, -sine, x], [sine, cosine, y], [0, 0, 1.0]]) @ np.linalg.inv(middle)


def _near_edges(depth: np.ndarray, reach_px: float) -> np.ndarray:
    """Within the blur's reach of a jump in depth."""
    from scipy import ndimage

    down, across = np.gradient(depth)
    return ndimage.binary_dilation(np.hypot(down, across) > 0.3, iterations=int(np.ceil(reach_px)))


def _psnr(ours: np.ndarray, truth: np.ndarray) -> float:
    return round(float(-10 * np.log10(np.mean((ours.astype(np.float64) - truth) ** 2))), 2)


def _deep(path: Path, steps: float) -> np.ndarray:
    photo = decode(path)
    return photo.read(Box(0, 0, photo.width, photo.height)).astype(np.float32) / np.float32(steps)


def _blocks(plane: np.ndarray) -> np.ndarray:
    height, width = (side // BLOCK_PX for side in plane.shape[:2])
    cut = plane[: height * BLOCK_PX, : width * BLOCK_PX]
    return cut.reshape(height, BLOCK_PX, width, BLOCK_PX, -1).mean(axis=(1, 3))


if __name__ == "__main__":
    main()
