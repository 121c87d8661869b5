"""Learn JNB's dictionary and its curve from sparsity to sigma, the file that the package ships.

    python tools/jnb_calibrate.py --photos DIR

The dictionary: K-SVD on 8x8 patches of sharp photos blurred mildly. The curve: the same photos blurred by a known
Gaussian, the mean propagated sparsity over textured places at each sigma, made monotone, and read backwards.

Sources: Rubinstein, Zibulevsky and Elad, "Efficient Implementation of the K-SVD Algorithm using Batch Orthogonal
Matching Pursuit", Technion 2008 (the approximate atom update); Aharon, Elad and Bruckstein, "K-SVD", 2006.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray
from scipy import ndimage

from allfocus.atomic_file import write_bytes
from allfocus.baselines.defocus_maps import jnb
from allfocus.baselines.defocus_maps.jnb import PATCH_PX, PEAK_PX, RESIDUAL, Calibration, propagate, sparsity
from allfocus.baselines.sparse_coding import code
from allfocus.errors import DataError
from allfocus.photo.formats import WRITABLE_EXTENSIONS

ATOMS = 128
DICTIONARY_BLUR_PX = (0.5, 1.5)
CURVE_STEP_PX = 0.25
TEXTURE_CONTRAST = 0.04
_PATCHES_A_PHOTO = 160


def learn(photos: Sequence[NDArray], seed: int, rounds: int = 12) -> NDArray[np.float32]:
    """Dictionary (128, 64) from grey photos (H, W) in [0, 255]; flat patches are left out."""
    generator = np.random.default_rng(seed)
    patches = []
    for grey in photos:
        blurred = ndimage.gaussian_filter(grey, generator.uniform(*DICTIONARY_BLUR_PX))
        windows = np.lib.stride_tricks.sliding_window_view(blurred, (PATCH_PX, PATCH_PX))
        y = generator.integers(0, windows.shape[0], 3 * _PATCHES_A_PHOTO)
        x = generator.integers(0, windows.shape[1], 3 * _PATCHES_A_PHOTO)
        drawn = windows[y, x].reshape(len(y), -1)
        drawn = drawn - drawn.mean(axis=1, keepdims=True)
        patches.append(drawn[np.linalg.norm(drawn, axis=1) > 2 * RESIDUAL][:_PATCHES_A_PHOTO])
    return learn_dictionary(np.concatenate(patches), ATOMS, RESIDUAL, rounds, generator)


def learn_dictionary(
    patches: NDArray, atoms: int, residual: float, rounds: int, generator: np.random.Generator, most: int = 16
) -> NDArray[np.float32]:
    """Learn a dictionary with K-SVD.

    Args:
        patches: (P, D) with P several times `atoms`.
        atoms: how many to learn.
        residual: length of the rest at which coding a patch stops.
        rounds: passes of coding all patches and then updating each atom.
        generator: draws the first atoms and those that replace unused ones.
        most: atoms a patch while learning.

    Returns:
        (A, D) float32, atoms of unit length.
    """
    signals = np.asarray(patches, dtype=np.float64)
    dictionary = _unit(signals[generator.choice(len(signals), atoms, replace=False)])
    for _ in range(rounds):
        counts, chosen = code(signals, dictionary, residual, most, keep=True)
        codes = np.zeros((len(signals), atoms))
        rest = signals.copy()
        for p in np.nonzero(counts)[0]:
            support = chosen[p, : counts[p]]
            codes[p, support] = np.linalg.lstsq(dictionary[support].T, signals[p], rcond=None)[0]
            rest[p] -= codes[p, support] @ dictionary[support]
        for a in generator.permutation(atoms):
            users = np.nonzero(codes[:, a])[0]
            if len(users) == 0:
                worst = int(np.argmax(np.einsum("pd,pd->p", rest, rest)))
                dictionary[a] = _unit(signals[worst])
                rest[worst] = 0.0
                continue
            without = rest[users] + codes[users, a, None] * dictionary[a]
            dictionary[a] = _unit(codes[users, a] @ without)
            codes[users, a] = without @ dictionary[a]
            rest[users] = without - codes[users, a, None] * dictionary[a]
    return dictionary.astype(np.float32)


def _unit(vectors: NDArray) -> NDArray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, np.finfo(np.float64).tiny)


def measure_curve(photos: Sequence[NDArray], dictionary: NDArray) -> tuple[NDArray, NDArray]:
    """Mean propagated sparsity over textured places of grey photos (H, W) in [0, 255], at known sigma.

    Returns:
        sparsity (K,) increasing and sigma_px (K,) decreasing, as `Calibration` keeps them.
    """
    sigmas_px = np.arange(0.0, PEAK_PX + 1e-9, CURVE_STEP_PX)
    total, count = np.zeros(len(sigmas_px)), 0
    for number, grey in enumerate(photos):
        here = textured(grey / 255.0)
        count += int(here.sum())
        for k, sigma_px in enumerate(sigmas_px):
            blurred = np.round(ndimage.gaussian_filter(grey, sigma_px, mode="nearest"))
            total[k] += propagate(sparsity(blurred, dictionary), blurred)[here].sum()
        print(f"curve: photo {number + 1} of {len(photos)}", flush=True)
    if count == 0:
        raise DataError("photos without any texture", "photos with detail", "give other photos")
    mean = np.minimum.accumulate(total / count)
    falls = np.concatenate([[True], np.diff(mean) < 0])
    return mean[falls][::-1], sigmas_px[falls][::-1]


def textured(plane: NDArray) -> NDArray[np.bool_]:
    """Where the standard deviation over 15x15 px is above 0.04, in a (H, W) plane in [0, 1]."""
    mean = ndimage.uniform_filter(plane, 15)
    variance = ndimage.uniform_filter(plane**2, 15) - mean**2
    return variance > TEXTURE_CONTRAST**2


def calibrate(photos: Sequence[NDArray], seed: int, curve_photos: int, note: str) -> Calibration:
    """Both steps on grey photos (H, W) in [0, 255]; `curve_photos` of them, evenly spread, measure the curve."""
    dictionary = learn(photos, seed)
    chosen = [photos[i] for i in np.unique(np.linspace(0, len(photos) - 1, curve_photos).astype(int))]
    counts, sigma_px = measure_curve(chosen, dictionary)
    return Calibration(dictionary, counts, sigma_px, note)


def _read_photos(folder: Path, groups: Sequence[str]) -> tuple[list[NDArray], str]:
    """Grey photos of a folder and a line that says whose they are; `groups` picks by the start of the file name."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in WRITABLE_EXTENSIONS)
    paths = [p for p in paths if not groups or p.name.startswith(tuple(groups))]
    if not paths:
        raise DataError(f"no photo in {folder.name}", "a folder of sharp photos", "name another with --photos")
    licences = Counter[str]()
    if (folder / "manifest.csv").is_file():
        with (folder / "manifest.csv").open(newline="") as rows:
            by_file = {row["file"]: f"{row['group']}, {row['licence']}" for row in csv.DictReader(rows)}
        licences.update(by_file.get(p.name, "unknown") for p in paths)
    photos = []
    for path in paths:
        colour = pyvips.Image.new_from_file(str(path)).colourspace("srgb").numpy()[..., :3]  # type: ignore[union-attr]
        photos.append(colour.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))
    whose = "; ".join(f"{count} tiles of {name}" for name, count in licences.items())
    return photos, whose or f"{len(paths)} photos of the user's"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--groups", nargs="*", default=[], help="only files whose names start so")
    parser.add_argument("--curve-photos", type=int, default=24, help="how many of them measure the curve")
    parser.add_argument("--seed", type=int, default=0)
    default = Path(jnb.__file__).with_name("jnb_calibration.npz")
    parser.add_argument("-o", "--output", type=Path, default=default, help="the shipped file unless named")
    options = parser.parse_args(arguments)
    photos, whose = _read_photos(options.photos, options.groups)
    note = (
        "Dictionary and curve are allfocus's own calibration, not the authors' (theirs are not public). "
        f"K-SVD of {ATOMS} atoms on patches blurred by a Gaussian of {' to '.join(map(str, DICTIONARY_BLUR_PX))} px; "
        f"curve on {options.curve_photos} photos; seed {options.seed}. Photos: {whose}."
    )
    calibration = calibrate(photos, options.seed, options.curve_photos, note)
    write_bytes(options.output, calibration.to_bytes())
    print(note)
    for count, sigma_px in zip(calibration.sparsity, calibration.sigma_px, strict=True):
        print(f"  {count:6.2f} atoms: sigma {sigma_px:.2f} px")


if __name__ == "__main__":
    main()
