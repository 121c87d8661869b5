"""A small simulated session with ground truth: two cameras, blur by depth, and faulty pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import make_folder, write_bytes, write_json
from allfocus.capture.frame import Image, encoded, photos
from allfocus.capture.opencv import cv2
from allfocus.capture.scene import MARGIN_PX, blurred_by_depth, disc_blur, drawn, taken
from allfocus.errors import DataError, OptionError, OutputError
from allfocus.metrics.registration import warped

FAULTS = {
    "moving": "moving object",
    "soft": "target not sharper than source",
    "overexposed": "clipping",
    "elsewhere": "no overlap",
    "black": "black",
    "wall": "no texture",
    "alone": "missing partner",
    "resized": "different sizes",
    "flicker": "flicker",
    "noisy": "noise",
    "bent": "residual shift",
}
"""What may be planted, and the reason that the gate has to give."""
TRUTH = "truth.json"
START = "2026:06:01 10:00:00"


@dataclass(frozen=True)
class PlantedScene:
    """What was planted in one pair.

    Attributes:
        name: of the pair, its source's file without ending.
        fault: a key of FAULTS, or "" for a good pair.
        reason: that the gate has to give, or "".
        warp: from pixels of the source to pixels of the target after its flip, 3 x 3.
        gain: of the target's light against the source's, for each channel, in the middle.
        falloff: of the target's light at the corners.
        noise: standard deviation at white, in the source.
        largest_px: largest blur radius of the scene.
    """

    name: str
    fault: str
    reason: str
    warp: list[list[float]]
    gain: list[float]
    falloff: float
    noise: float
    largest_px: float


def make_demo(
    folder: Path,
    good: int = 12,
    faults: Sequence[str] = tuple(FAULTS),
    size: tuple[int, int] = (320, 384),
    seed: int = 0,
    photo_folder: Path | None = None,
    mirrored: bool = True,
) -> list[PlantedScene]:
    """Write `wide/`, `narrow/` and the truth of a session.

    The target is shifted by up to 40 px, turned by up to 2 degrees, 3 % larger or smaller, up to one stop brighter or
    darker, with a colour cast and vignetting; the source is blurred by discs of up to 12 px; both are noisy JPEGs with
    time stamps, the clock of the second camera 37 s ahead.

    Args:
        folder: for the session; made, and files in it replaced.
        good: pairs without fault.
        faults: keys of FAULTS, one pair each.
        size: height and width of the photos in px.
        seed: two sessions of one seed are equal.
        photo_folder: sharp photos to take the scenes from; drawn where None.
        mirrored: the second camera looks at a mirror image, as behind a beam splitter.
    Returns:
        The truth, in the order of the pairs; also in `truth.json`, with `truth/NAME.png` (the sharp view as the source
        would have seen it, 16 bit) and `truth/NAME.radius.png` (blur radius, 16 bit, 0.001 px a step).
    Raises:
        OptionError: a fault that does not exist. DataError: photos smaller than the scenes. OutputError: photos in the
            folder that no demo made.
    """
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise OptionError(f"the fault {unknown[0]!r}", f"some of {', '.join(FAULTS)}", "leave it out")
    stale = [*folder.glob("wide/*"), *folder.glob("narrow/*"), *folder.glob("truth/*")]
    if stale and not (folder / TRUTH).is_file():
        raise OutputError(f"{stale[0].parent} holds other photos", "an earlier demo, or nothing", "another -o")
    for name in ("wide", "narrow", "truth"):
        make_folder(folder / name)
    _write_truth(folder, [], mirrored, seed, size)  # from here on the folder is a demo's, even if this one is killed
    for path in stale:
        if path.name.startswith(("WIDE", "NARROW")):
            path.unlink()
    sharp = None if photo_folder is None else _usable(photo_folder)
    scenes = []
    order = np.random.default_rng([seed, 1]).permutation([*[""] * good, *faults])
    for number, fault in enumerate(order):
        generator = np.random.default_rng([seed, 2, number])
        canvas = drawn(generator, size) if sharp is None else taken(sharp[number % len(sharp)], size, generator)
        scenes.append(_shoot(folder, number, str(fault), canvas, size, generator, mirrored))
    _write_truth(folder, scenes, mirrored, seed, size)
    return scenes


def _write_truth(
    folder: Path, scenes: Sequence[PlantedScene], mirrored: bool, seed: int, size: tuple[int, int]
) -> None:
    described = [asdict(scene) for scene in scenes]
    write_json(folder / TRUTH, {"mirrored": mirrored, "seed": seed, "size": list(size), "scenes": described})


def _shoot(
    folder: Path,
    number: int,
    fault: str,
    canvas: Image,
    size: tuple[int, int],
    generator: np.random.Generator,
    mirrored: bool,
) -> PlantedScene:
    largest = float(generator.uniform(4, 12))
    warp = _drawn_warp(generator, size)
    gain = 2 ** generator.uniform(-1, 1) * generator.uniform(0.92, 1.08, 3)
    falloff, noise = float(generator.uniform(0, 0.3)), float(generator.uniform(0.004, 0.012))
    light = min(1.0, 0.9 / float(gain.max()))
    inner = np.s_[MARGIN_PX : MARGIN_PX + size[0], MARGIN_PX : MARGIN_PX + size[1]]
    if fault == "wall":
        canvas = np.full_like(canvas, 0.3) * np.linspace(0.95, 1, canvas.shape[1], dtype=np.float32)[None, :, None]
    canvas = canvas * np.float32(light)
    soft, radius = blurred_by_depth(canvas, generator, largest)
    source, second = soft[inner], canvas
    if fault == "moving":
        second = _with_stranger(canvas, generator)
    if fault == "soft":
        second = disc_blur(disc_blur(canvas, 6.0), 4.0)
        source, radius = canvas[inner], np.zeros_like(radius)
    if fault == "elsewhere":
        second = drawn(np.random.default_rng([number, 99]), size) * np.float32(light)
    target = _seen_by_second(second, warp, size, bent=fault == "bent")
    target = target * (gain * _vignette(size, falloff)[..., None]).astype(np.float32)
    if fault == "overexposed":
        target = target * np.float32(6 / gain.max())
    if fault == "flicker":
        target = target * (1 + 0.12 * np.sin(np.arange(size[0]) / size[0] * 2 * np.pi * 5))[:, None, None].astype(
            np.float32
        )
    if fault == "black":
        target = target * 0
    if fault == "resized":
        target = cv2.resize(target, (size[1] * 3 // 4, size[0] * 3 // 4), interpolation=cv2.INTER_AREA)
    name, other = f"WIDE{number + 1:04d}", f"NARROW{number + 101:04d}"
    write_jpeg(_noisy(source, noise, generator), folder / "wide" / f"{name}.jpg", 20 * number)
    if fault != "alone":
        grain = 0.12 if fault == "noisy" else noise
        seen = _noisy(target, grain, generator)
        seen = np.ascontiguousarray(seen[:, ::-1]) if mirrored else seen
        write_jpeg(seen, folder / "narrow" / f"{other}.jpg", 20 * number + 37)
    _write_deep(encoded(canvas[inner]), folder / "truth" / f"{name}.png", 65535)
    _write_deep(radius[inner], folder / "truth" / f"{name}.radius.png", 1000)
    return PlantedScene(
        name, fault, FAULTS.get(fault, ""), warp.tolist(), [float(one) for one in gain], falloff, noise, largest
    )


def _drawn_warp(generator: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Shift to 40 px, turn to 2 degrees, scale to 3 %, about the middle."""
    angle, length = generator.uniform(0, 2 * np.pi), 40 * np.sqrt(generator.uniform(0, 1))
    turn, scale = np.radians(generator.uniform(-2, 2)), generator.uniform(0.97, 1.03)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    middle = np.array([[1, 0, (size[1] - 1) / 2], [0, 1, (size[0] - 1) / 2], [0, 0, 1.0]])
    about = np.array([[cosine, -sine, length * np.cos(angle)], [sine, cosine, length * np.sin(angle)], [0, 0, 1.0]])
    return middle @ about @ np.linalg.inv(middle)


def _seen_by_second(canvas: Image, warp: NDArray[np.float64], size: tuple[int, int], bent: bool) -> Image:
    """The canvas through the second camera, float32 (h, w, 3)."""
    back = np.linalg.inv(warp)
    shift = np.array([[1, 0, MARGIN_PX], [0, 1, MARGIN_PX], [0, 0, 1.0]])
    seen = np.clip(warped(canvas, shift @ back, size, order=3), 0, None).astype(np.float32)
    if not bent:
        return seen
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    across = 5 * np.sin(columns / size[1] * 2 * np.pi * 1.5) * np.cos(rows / size[0] * 2 * np.pi)
    return cv2.remap(
        seen, (columns + across).astype(np.float32), rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _with_stranger(canvas: Image, generator: np.random.Generator) -> Image:
    """Somebody walked into the second view: another part of the scene, covering a tenth of it."""
    height, width = canvas.shape[:2]
    mask = np.zeros((height, width), np.float32)
    centre = (int(generator.uniform(0.4, 0.6) * width), int(generator.uniform(0.4, 0.6) * height))
    cv2.ellipse(mask, centre, (width // 9, height // 6), 20, 0, 360, 1.0, -1, cv2.LINE_AA)
    other = np.roll(canvas[::-1, ::-1], (height // 3, width // 4), (0, 1)) * generator.uniform(0.4, 1, 3)
    return (canvas * (1 - mask[..., None]) + other * mask[..., None]).astype(np.float32)


def _vignette(size: tuple[int, int], falloff: float) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    y, x = rows - (size[0] - 1) / 2, columns - (size[1] - 1) / 2
    square = (x**2 + y**2) / (((size[0] - 1) / 2) ** 2 + ((size[1] - 1) / 2) ** 2)
    return (1 - falloff * square).astype(np.float32)


def _noisy(linear: Image, noise: float, generator: np.random.Generator) -> Image:
    """Shot noise that is `noise` at white, and read noise of a fifth of it."""
    sigma = noise * np.sqrt(np.clip(linear, 0, 1) + 0.04)
    return np.clip(linear + sigma * generator.normal(size=linear.shape), 0, 1).astype(np.float32)


def _usable(folder: Path) -> list[Path]:
    if not folder.is_dir() or not photos(folder):
        raise DataError(f"no photos in {folder}", "sharp photos", "leave --photos out for drawn scenes")
    return photos(folder)


def write_jpeg(linear: Image, path: Path, seconds: int) -> None:
    """Linear light as a JPEG that states when it was taken: `seconds` after the session began."""
    import pyvips

    codes = np.rint(encoded(linear) * 255).astype(np.uint8)
    image = pyvips.Image.new_from_array(codes, interpretation="srgb").copy()
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{START[:11]}{10 + hours:02d}:{minutes:02d}:{seconds:02d}"
    image.set_type(
        pyvips.GValue.gstr_type, "exif-ifd2-DateTimeOriginal", f"{text} ({text}, ASCII, 20 components, 20 bytes)"
    )
    write_bytes(path, image.jpegsave_buffer(Q=97, subsample_mode="off"))


def _write_deep(values: Image, path: Path, steps: float) -> None:
    import pyvips

    codes = np.rint(np.clip(values * steps, 0, 65535)).astype(np.uint16)
    kind: Any = "rgb16" if values.ndim == 3 else "grey16"
    image = pyvips.Image.new_from_array(codes, interpretation=kind)
    write_bytes(path, image.pngsave_buffer())
