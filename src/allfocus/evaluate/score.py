"""All scores of one restored photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allfocus.data.pairs import Pair, PairSet
from allfocus.errors import AllfocusError, DataError, MissingExtraError
from allfocus.evaluate.measure import Meter
from allfocus.evaluate.method import Method, MethodInput, Outcome
from allfocus.evaluate.protocol import FLOAT, ROUNDED
from allfocus.evaluate.radius import Bin, by_radius
from allfocus.evaluate.rows import Row
from allfocus.metrics import channel_means, mae, psnr, psnr_aligned, psnr_fit, reblur_consistency, ringing, ssim
from allfocus.metrics.lpips import LPIPS

CODES = 255


@dataclass(frozen=True)
class Scored:
    """A row and the picture that it is about (float32 (H, W, 3), as it was scored; None if not requested)."""

    row: Row
    picture: NDArray[np.float32] | None


def score_pair(
    method: Method,
    pairs: PairSet,
    pair: Pair,
    lpips: LPIPS | None,
    crop_multiple: int = 1,
    rounding: str = FLOAT,
    maps: bool = False,
) -> Scored:
    """Read one scene, restore it, and compare; time and memory of the restoration alone are measured.

    Args:
        method, pairs, pair: what restores, the set, and its scene.
        lpips: the distance, or None to leave it out.
        crop_multiple, rounding: see `Protocol`.
        maps: also score the defocus map, which comes from the same pass.

    Raises:
        AllfocusError: naming the scene, whatever went wrong.
    """
    try:
        source = _cropped(pairs.read(pair.source), crop_multiple)
        target = None if pair.target is None else _cropped(pairs.read(pair.target), crop_multiple)
        outcome, meter = _restore(method, pairs, pair, source, crop_multiple, maps)
        picture = finished(outcome.sharp, rounding)
        scores = compare(picture, source, target, lpips, outcome.radius_px)
        bins: tuple[Bin, ...] = ()
        if pair.coc is not None and target is not None:
            from allfocus.data.pairs import read_coc

            coc_px = read_coc(pair.coc, *pairs.read(pair.source).shape[:2])[: source.shape[0], : source.shape[1]]
            bins = by_radius(picture, source, target, coc_px, outcome.radius_px)
    except MissingExtraError:
        raise
    except AllfocusError as error:
        raise type(error)(f"{pair.name}: {error.got}", error.expected, error.hint) from error
    height, width = source.shape[:2]
    row = Row(pair.name, pair.groups, width, height, scores, meter.seconds, meter.peak_mib, meter.peak_gpu_mib, bins)
    return Scored(row, picture)


def restored_whole(method: Method, pairs: PairSet, pair: Pair) -> NDArray[np.float32]:
    """One scene through a method, float32 (H, W, 3) in [0, 1], neither cropped nor rounded."""
    outcome, _ = _restore(method, pairs, pair, pairs.read(pair.source), 1, maps=False)
    return finished(outcome.sharp, FLOAT)


def _restore(
    method: Method, pairs: PairSet, pair: Pair, source: NDArray[np.float32], crop_multiple: int, maps: bool
) -> tuple[Outcome, Meter]:
    """The restoration under the clock; photos that lie on their side are turned for it and back."""
    views = [None if path is None else _cropped(pairs.read(path), crop_multiple) for path in (pair.left, pair.right)]
    turns = pair.quarter_turns if method.upright else 0
    given = MethodInput(pair.name, *(_turned(image, turns) for image in (source, *views)), maps)  # type: ignore[arg-type]
    with Meter() as meter:
        outcome = method.restore(given)
    return _turned_back(outcome, turns), meter


def finished(sharp: NDArray[np.float32], rounding: str) -> NDArray[np.float32]:
    """The output as it is scored: clipped to [0, 1], rounded where the protocol says so; DataError if not finite."""
    if not np.isfinite(sharp).all():
        raise DataError("the output holds NaN or infinity", "finite values", "--precision float32")
    clipped = np.clip(sharp, 0.0, 1.0).astype(np.float32, copy=False)
    return np.round(clipped * CODES) / np.float32(CODES) if rounding == ROUNDED else clipped


def compare(
    picture: NDArray[np.float32],
    source: NDArray[np.float32],
    target: NDArray[np.float32] | None,
    lpips: LPIPS | None,
    radius_px: NDArray[np.float32] | None = None,
) -> dict[str, float | None]:
    """Scores by name (rows.SCORES): those against `target` only with one, `reblur` only with a blur radius map."""
    scores: dict[str, float | None] = {"ringing": ringing(picture, source)}
    if target is not None:
        scores |= {"psnr": psnr(picture, target), "psnr_fit": psnr_fit(picture, target)}
        scores["psnr_aligned"] = psnr_aligned(picture, target)
        scores |= {"ssim": ssim(picture, target), "mae": mae(picture, target)}
        scores["lpips"] = None if lpips is None else lpips(picture, target)
    if radius_px is not None:
        scores["reblur"] = reblur_consistency(picture, source, radius_px)
    shifts = np.subtract(channel_means(picture), channel_means(source))
    return scores | dict(zip(("shift_r", "shift_g", "shift_b"), map(float, shifts), strict=True))


def _cropped(image: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    height, width = (side - side % multiple for side in image.shape[:2])
    if not height or not width:
        raise DataError(
            f"{image.shape[1]}x{image.shape[0]} px cropped to multiples of {multiple}", "a larger photo", "--crop 1"
        )
    return image[:height, :width]


def _turned(image: NDArray[np.float32] | None, quarter_turns: int) -> NDArray[np.float32] | None:
    return image if image is None or not quarter_turns else np.ascontiguousarray(np.rot90(image, quarter_turns))


def _turned_back(outcome: Outcome, quarter_turns: int) -> Outcome:
    if not quarter_turns:
        return outcome
    radius = outcome.radius_px
    return Outcome(
        np.rot90(outcome.sharp, -quarter_turns), None if radius is None else np.rot90(radius, -quarter_turns)
    )
