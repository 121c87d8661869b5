"""One pair: from two files to two aligned pictures, with all measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.blur import match_blur, soften
from allfocus.capture.calibration import OtherSize, Rig
from allfocus.capture.frame import Frame, Image, encoded, read, settings
from allfocus.capture.gate import AlignedViews, GateLimits, Measures, measure
from allfocus.capture.misalignment import Misalignment, misalignment, smooth_field
from allfocus.capture.opencv import cv2
from allfocus.capture.pairing import Exposures
from allfocus.capture.photometric import IDENTITY, ColourMatch, match_colours
from allfocus.capture.picture import largest_box
from allfocus.capture.register import Alignment, Unalignable, align, inside, laid_on
from allfocus.errors import AllfocusError, MissingExtraError
from allfocus.photo.color import luma

FLOW_ROUNDS = 3


@dataclass(frozen=True)
class PairOptions:
    """How pairs are to be made.

    Attributes:
        mirrored: whether the target is a mirror image; None finds out.
        flow_px: the most that a smooth local field may move a pixel beyond the warp; 0 for none.
    """

    mirrored: bool | None = None
    flow_px: float = 0.0
    limits: GateLimits = field(default_factory=GateLimits)
    rig: Rig | None = None


@dataclass(frozen=True)
class Made:
    """What became of a shot.

    Attributes:
        name: of the pair.
        source, target: the files that were used; None where there was none.
        reasons: why the gate refuses it; empty for a good pair.
        detail: the refusal in full where a step could not be done.
        alignment, colours, measures: what was found.
        pictures: display-referred source and target, float32 (H, W, 3), cropped to what both saw; None without warp.
        box: (x, y, width, height) of that crop in the source.
        left: what shift is left; None without warp.
    """

    name: str
    source: Path | None
    target: Path | None
    reasons: tuple[str, ...] = ()
    detail: str = ""
    alignment: Alignment | None = None
    colours: ColourMatch = IDENTITY
    measures: Measures = field(default_factory=Measures)
    pictures: tuple[Image, Image] | None = field(default=None, repr=False)
    box: tuple[int, int, int, int] | None = None
    left: Misalignment | None = field(default=None, repr=False)


def make(shot: Exposures, options: PairOptions) -> Made:
    """Align, match and judge one pair. A fault of the photos is a reason in the result, not an error."""
    if not shot.sources or not shot.targets:
        side = "target" if shot.sources else "source"
        file = (shot.sources or shot.targets)[0]
        return Made(
            shot.name,
            shot.sources[0] if shot.sources else None,
            shot.targets[0] if shot.targets else None,
            ("missing partner",),
            f"no {side} for {file.name}",
        )
    source_path, target_path = shot.sources[0], shot.targets[0]
    try:
        source, _, _ = _chosen(shot.sources[:1])
        target, target_path, burst_flicker = _chosen(shot.targets)
        if options.rig is not None:
            source, target = options.rig.straightened(source, "source"), options.rig.straightened(target, "target")
    except MissingExtraError:
        raise
    except OtherSize as error:
        return Made(shot.name, source_path, target_path, ("different sizes",), str(error))
    except (AllfocusError, OSError) as error:
        return Made(shot.name, source_path, target_path, ("unreadable",), str(error))
    if source.shape != target.shape:
        sizes = " and ".join(f"{frame.shape[1]}x{frame.shape[0]}" for frame in (source, target))
        return Made(shot.name, source_path, target_path, ("different sizes",), f"{sizes} px")
    try:
        start = None if options.rig is None else options.rig.warp
        mirrored = options.mirrored if options.rig is None else options.rig.mirrored
        alignment = align(source, target, mirrored, start)
    except Unalignable as error:
        return Made(shot.name, source_path, target_path, (error.reason,), error.got)
    return _judged(
        Made(shot.name, source_path, target_path, alignment=alignment), source, target, options, burst_flicker
    )


def _judged(made: Made, source: Frame, target: Frame, options: PairOptions, burst_flicker: float) -> Made:
    alignment = made.alignment
    assert alignment is not None
    seen = inside(alignment.warp, source.shape, target.shape)
    laid, colours, views, found = _matched(source, target, alignment, seen, None)
    field = None
    for _ in range(FLOW_ROUNDS if options.flow_px > 0 else 0):  # what was bent may speak once it is nearly straight
        if not len(found.shifts):
            break
        field = smooth_field(found, source.shape, options.flow_px, field)
        laid, colours, views, found = _matched(source, target, alignment, seen, field)
    measures = measure(source, target, views, found, burst_flicker)
    box = largest_box(seen)
    left, top, width, height = box
    cut = np.s_[top : top + height, left : left + width]
    pictures = (encoded(source.linear[cut]), encoded(colours.apply(laid.linear, alignment.warp)[cut]))
    detail = "" if len(found.shifts) or len(found.bent_px) else "nothing tells what shift is left"
    return replace(
        made, detail=detail, reasons=tuple(measures.reasons(options.limits)), colours=colours, measures=measures,
        pictures=pictures, box=box, left=found,
    )  # fmt: skip


def _matched(
    source: Frame, target: Frame, alignment: Alignment, seen: NDArray[np.bool_], field: NDArray[np.float32] | None
) -> tuple[Frame, ColourMatch, AlignedViews, Misalignment]:
    """The target laid on the source and matched in colour; both as the gate measures them; what shift is left."""
    laid = laid_on(target, alignment, source.shape, field)
    trust = seen & ~laid.clipped & ~source.clipped
    warp = alignment.warp
    guess = match_colours(source, laid, warp=warp).apply(laid.linear, warp)
    radius_px = match_blur(luma(guess), luma(source.linear)).radius_px
    colours = match_colours(source, laid, soften(laid.linear, radius_px), warp)
    matched = luma(colours.apply(laid.linear, warp))
    blur = match_blur(matched, luma(source.linear))
    display = encoded(np.stack([luma(source.linear), matched, blur.matched], axis=-1))
    ours, sharp, soft = (np.ascontiguousarray(display[..., index]) for index in range(3))
    trust = cv2.erode(trust.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return laid, colours, AlignedViews(ours, sharp, soft, trust), misalignment(soft, ours, trust)


def _chosen(files: Sequence[Path]) -> tuple[Frame, Path, float]:
    """The sharpest frame of a burst or bracket, its file, and by how much the light of a burst's frames differs.

    Frames whose files state different settings are a bracket: of them the light is meant to differ.
    """
    best, kept, most, light = read(files[0]), files[0], -1.0, []
    if len(files) == 1:
        return best, kept, 0.0
    for file in files:  # one in memory beside the best: a bracket of a large camera is many gigabytes
        frame = read(file)
        light.append(float(np.median(frame.linear)))
        if (sharpness := _sharpness(frame)) > most:
            best, kept, most = frame, file, sharpness
    if len({settings(file) for file in files}) > 1:
        return best, kept, 0.0
    return best, kept, float(np.std(light) / max(float(np.mean(light)), 1e-4))


def _sharpness(frame: Frame) -> float:
    plane = frame.luma
    return float(np.mean((cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 2.0)) ** 2))
