"""Loops over pixels in C (`compiled.c`).

Where the package was built without a compiler, callers use numpy instead, with the same values: several times slower,
though beside the network little of a photo's time.

Arrays may be parts of larger ones. Where the values of a row do not lie next to each other, what is only read is copied
first; what is written into has to have such rows.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from pathlib import Path

import numpy as np

_ENDINGS = {"win32": "dll", "darwin": "dylib"}
_ADDRESS, _SIZE, _VALUE = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_float
_READ = (_ADDRESS, *[_SIZE] * 5, ctypes.c_int, _VALUE, _ADDRESS, _ADDRESS, _SIZE, _SIZE)
_CHANGE = (_ADDRESS, *[_SIZE] * 5, _VALUE, _ADDRESS, _SIZE)
_CHANGE_BY_STEPS = (_ADDRESS, *[_SIZE] * 4, *[_VALUE] * 3, _ADDRESS, _SIZE)
_ARGUMENTS = {
    "read_bytes": _READ,
    "read_words": _READ,
    "gradient_energies": (_ADDRESS, _SIZE, _SIZE, _SIZE, *[_ADDRESS] * 5),
    "binned_energies": (_ADDRESS, _SIZE, _SIZE, _SIZE, *[_ADDRESS] * 4),
    "window_means": (_ADDRESS, *[_SIZE] * 4, _VALUE, _VALUE, _ADDRESS, _ADDRESS),
    "enlarge": (_ADDRESS, *[_SIZE] * 3, _VALUE, _SIZE, _ADDRESS, *[_SIZE] * 4, *[_ADDRESS] * 4),
    "add_steps": (
        _ADDRESS,
        _SIZE,
        _SIZE,
        _ADDRESS,
        _SIZE,
        _VALUE,
        _SIZE,
        _SIZE,
        _SIZE,
        _ADDRESS,
        _SIZE,
        _SIZE,
        _ADDRESS,
    ),
    "scale_steps": (_ADDRESS, *[_SIZE] * 5, _VALUE, _ADDRESS),
    "change_bytes": _CHANGE,
    "change_words": _CHANGE,
    "change_bytes_by_steps": _CHANGE_BY_STEPS,
    "change_words_by_steps": _CHANGE_BY_STEPS,
}


def loaded(folder: Path) -> ctypes.CDLL | None:
    """The compiled loops in a folder; None where there are none, or others than the source beside them says."""
    source = folder / "compiled.c"
    try:
        library = ctypes.CDLL(str(source.with_name(f"_compiled.{_ENDINGS.get(sys.platform, 'so')}")))
        library.source_digest.restype = ctypes.c_char_p
        if library.source_digest().decode() != hashlib.sha256(source.read_bytes()).hexdigest():
            return None  # a tree that was changed after it was installed
    except (OSError, AttributeError):
        return None
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, _SIZE if name.startswith("change") else None
    return library


Kernels = tuple[np.ndarray, np.ndarray]
Place = tuple[int, int, int, int]

_library = loaded(Path(__file__).parent)
AVAILABLE = _library is not None
"""Whether the functions below can be called."""


def read(pixels: np.ndarray, planes: np.ndarray, shrink: int, scale: float, *, mixed: bool) -> None:
    """Sums over cells of `shrink` x `shrink` pixels, times `scale`.

    Args:
        pixels: (h * shrink, w * shrink, bands) uint8 or uint16.
        planes: (bands, h, w) float32 to fill; (1, h, w) if `mixed`, which sums the bands, too.
        shrink: 1, 2 or 4.
        scale: of the sums.
        mixed: see `planes`.
    """
    _, height, width = planes.shape
    bands = pixels.shape[2]
    work = np.empty(5 * width * shrink, np.uint32)
    function = _function(f"read_{_kind(pixels)}")
    function(*_rows(pixels), height, width, bands, shrink, mixed, scale, _at(work), _at(planes), *_steps(planes)[::-1])


def gradient_energies(grey: np.ndarray, kernels: Kernels, reach_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared differences of neighbours two pixels apart, at every second pixel each way, of a smoothed picture.

    Args:
        grey: (h + 2 reach_px, w + 2 reach_px) float32, h and w even.
        kernels: middle and one side of the two smoothings, float32, over 3 and 4 px.
        reach_px: 6.

    Returns:
        (h / 2, w / 2) float32 for each smoothing.
    """
    grey = _packed(grey)
    height, width = (side - 2 * reach_px for side in grey.shape)
    before, after = np.empty((2, height // 2, width // 2), np.float32)
    work = np.empty(5 * grey.shape[1], np.float32)
    _function("gradient_energies")(
        _at(grey), *_steps(grey), height, width, *map(_at, kernels), _at(work), _at(before), _at(after)
    )
    return before, after


def binned_energies(grey: np.ndarray, kernels: Kernels, reach_px: int) -> np.ndarray:
    """Means over squares of 4 x 4 px of `gradient_energies` and of those a pixel further down and across.

    Args:
        grey: (h + 2 reach_px + 1, w + 2 reach_px + 1) float32, h and w multiples of 4.
        kernels, reach_px: as there.

    Returns:
        (h / 4, w / 4, 2) float32.
    """
    grey = _packed(grey)
    height, width = (side - 2 * reach_px - 1 for side in grey.shape)
    energies, work = np.empty((height // 4, width // 4, 2), np.float32), np.empty(14 * grey.shape[1], np.float32)
    _function("binned_energies")(_at(grey), *_steps(grey), height, width, *map(_at, kernels), _at(work), _at(energies))
    return energies


def window_means(values: np.ndarray, part: float, scale: float) -> np.ndarray:
    """Sums over windows of seven values each way, of which the outermost count `part`, times `scale` each way.

    Args:
        values: (h, w) float32; it may be every other value of a larger array. Edges are repeated.
        part, scale: see above.

    Returns:
        (h, w) float32.
    """
    height, width = values.shape
    means, work = np.empty((height, width), np.float32), np.empty(width + 6, np.float32)
    steps = (stride // values.itemsize for stride in values.strides)
    _function("window_means")(values.ctypes.data, *steps, height, width, part, scale, _at(work), _at(means))
    return means


def enlarge(
    words: np.ndarray, scale: float, factor: int, place: Place, ramps: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Linear interpolation of words times `scale` to `factor` times as many places, columns first; edges are repeated.

    Args:
        words: (rows, columns) uint16.
        scale: of their values.
        factor: at most 4.
        place: y, x, height and width of the part of the (rows * factor, columns * factor) places that is wanted.
        ramps: (height,) and (width,) float32 by whose product that is multiplied; None for nothing.

    Returns:
        (height, width) float32.
    """
    words = _packed(words)
    _, _, height, width = place
    ways = (((np.arange(factor) + 0.5) / factor - 0.5) % 1).astype(np.float32)
    work, enlarged = np.empty(3 * (width + 4 * factor), np.float32), np.empty((height, width), np.float32)
    down, across = (None, None) if ramps is None else map(np.ascontiguousarray, ramps)
    _function("enlarge")(
        _at(words), *_steps(words), *words.shape, scale, factor, _at(ways), *place,
        None if down is None else _at(down), None if across is None else _at(across), _at(work), _at(enlarged),
    )  # fmt: skip
    return enlarged


def add_steps(values: np.ndarray, weights: np.ndarray, one: float, sums: np.ndarray, any_in: np.ndarray) -> None:
    """Add values times weights, in steps of 1 / `one`, to sums of steps, clipped to [-one, one] each time.

    Args:
        values: (planes, h, w) float32.
        weights: (h, w) float32.
        one: at most 32767.
        sums: (planes, h, w) int16 to add to.
        any_in: (w,) uint16: gets bits set in the columns where anything but zero was added.
    """
    values, weights = _packed(values), _packed(weights)
    _function("add_steps")(
        _at(values), *_steps(values), _at(weights), *_steps(weights), one, *values.shape, _at(sums), *_steps(sums),
        _at(any_in),
    )  # fmt: skip


def scale_steps(steps: np.ndarray, scale: float) -> np.ndarray:
    """(planes, h, w) int16 times `scale`, as float32."""
    steps, values = _packed(steps), np.empty(steps.shape, np.float32)
    _function("scale_steps")(_at(steps), *_steps(steps), *steps.shape, scale, _at(values))
    return values


def change(change: np.ndarray, pixels: np.ndarray, peak: float) -> int:
    """Add a change to pixels, rounded and within [0, peak].

    Args:
        change: (bands, h, w) float32; one or three bands.
        pixels: (h, w, bands) uint8 or uint16 to change; a part of whole rows.
        peak: 255 or 65535.

    Returns:
        How many pixels differ from what they were.
    """
    change = _packed(change)
    bands, height, width = change.shape
    function = _function(f"change_{_kind(pixels)}")
    return function(_at(change), *_steps(change), height, width, bands, peak, *_rows(pixels))


def change_by_steps(steps: np.ndarray, scale: float, factor: float, pixels: np.ndarray, peak: float) -> int:
    """`change` by steps times `scale` times `factor`.

    Args:
        steps: (3, h, w) int16.
        scale, factor: of their values, one after the other.
        pixels, peak: as there; of three bands.

    Returns:
        How many pixels differ from what they were.
    """
    steps = _packed(steps)
    function = _function(f"change_{_kind(pixels)}_by_steps")
    return function(_at(steps), *_steps(steps), *steps.shape[1:], scale, factor, peak, *_rows(pixels))


def _function(name: str) -> ctypes._NamedFuncPointer:
    assert _library is not None
    return getattr(_library, name)


def _kind(pixels: np.ndarray) -> str:
    return "bytes" if pixels.dtype == np.uint8 else "words"


def _packed(array: np.ndarray) -> np.ndarray:
    """The array, or a copy, with no gaps between the values of a row."""
    return array if array.strides[-1] == array.itemsize else np.ascontiguousarray(array)


def _at(array: np.ndarray) -> int:
    """Of the first value of an array whose rows have no gaps."""
    assert array.strides[-1] == array.itemsize
    return array.ctypes.data


def _steps(array: np.ndarray) -> tuple[int, ...]:
    """How many values further the next plane and the next row begin, as far as there are such."""
    return tuple(stride // array.itemsize for stride in array.strides[:-1])


def _rows(pixels: np.ndarray) -> tuple[int, int]:
    """Address of (h, w, bands) pixels, and how many values further the next row begins."""
    _, width, bands = pixels.shape
    assert width == 1 or pixels.strides[1] == bands * pixels.itemsize
    assert bands == 1 or pixels.strides[2] == pixels.itemsize
    return pixels.ctypes.data, pixels.strides[0] // pixels.itemsize
