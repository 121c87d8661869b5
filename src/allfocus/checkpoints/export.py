"""Export of a network to another format: the file is kept only if its output agrees with torch."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path

from allfocus.atomic_file import AtomicFile
from allfocus.checkpoints.formats import FORMATS, Export, Size, format_class
from allfocus.checkpoints.proof import TOLERANCE, Proof, prove
from allfocus.errors import OptionError, OutputError
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked, all files that belong to it, and its differences to torch."""

    path: Path
    files: tuple[Path, ...]
    proof: Proof


def export(
    net: IFAN,
    architecture: Architecture,
    target: Path,
    format: str,
    *,
    size: Size | None = None,
    about: dict[str, str] | None = None,
    tolerance: float = TOLERANCE,
    overwrite: bool = False,
) -> Exported:
    """Write a network in a format, compare the file with torch, and keep it if it agrees.

    Inputs are "photo" (N, 3, H, W) in [0, 1] and, for two views, "pair" (N, 6, H, W), right then left. Outputs are
    "residual" (N, 3, H, W), not clipped, and "disparity" (N, 1, H/m, W/m) where the network has it.

    Args:
        net: the network.
        architecture: what builds it.
        target: the file; what belongs to it has the same stem.
        format: of `formats.FORMATS`.
        size: the only size that the file will take, one photo at a time; any number and size when None.
        about: more to be stored in the file's metadata.
        tolerance: largest absolute difference to torch in float32.
        overwrite: replace existing files.

    Raises:
        OptionError: an unknown format, another ending, a size that does not fit, a network that the format cannot hold.
        WeightsError: the file differs from torch; it is not kept.
        OutputError: the place cannot be written.
        MissingExtraError: a package is not installed.
    """
    exporter = format_class(format)
    _check(net, target, format, size, exporter)
    AtomicFile(target, overwrite=overwrite).check()  # before the minutes of work
    reference = copy.deepcopy(net).float().cpu().eval()
    try:
        with tempfile.TemporaryDirectory(prefix=".allfocus-", dir=target.parent) as scratch:
            folder = Path(scratch)
            written = exporter(reference, architecture, folder, size)
            tried, final = folder / "tried", folder / "final"
            tried.mkdir()
            written.save(tried / target.name, {})
            proof = prove(
                reference,
                lambda pictures: written.run(tried / target.name, pictures),
                written.by,
                f"the {format} file of this network",
                size=size,
                tolerance=tolerance,
            )
            final.mkdir()
            written.save(final / target.name, proof.facts() | (about or {}))
            return Exported(target, _move(final, target, overwrite), proof)
    except OSError as error:
        raise OutputError(f"{target} cannot be written ({error})", "a place with free space", "another -o") from error


def _check(net: IFAN, target: Path, format: str, size: Size | None, exporter: type[Export]) -> None:
    endings = FORMATS[format].endings
    if not hasattr(net, "multiple") or not hasattr(net, "views"):
        raise OptionError(f"a {type(net).__name__}", "a network of nets/registry.py", "allfocus models --all")
    if target.suffix.lower() not in endings:
        raise OptionError(
            f"{target.name} for the format {format}",
            f"a name ending in {' or '.join(endings)}",
            f"-o {target.stem}{endings[0]}",
        )
    if size is not None and not exporter.takes_size:
        raise OptionError(
            f"a {format} file for {size.width}x{size.height} only", "one for any size", "leave --size out"
        )
    if size is not None and (min(size) < 1 or size.width % net.multiple or size.height % net.multiple):
        fitting = (max(-(-length // net.multiple), 1) * net.multiple for length in size)
        raise OptionError(
            f"a size of {size.width}x{size.height}",
            f"multiples of {net.multiple} for this network",
            f"--size {'x'.join(map(str, fitting))}",
        )


def _move(folder: Path, target: Path, overwrite: bool) -> tuple[Path, ...]:
    """The files to their place, the named one last, so that it means all of them."""
    moves = [(file, target.with_name(file.name)) for file in sorted(folder.iterdir())]
    moves.sort(key=lambda move: move[1] == target)
    for _, place in moves:
        AtomicFile(place, overwrite=overwrite).check()
    for file, place in moves:
        AtomicFile(place, overwrite=overwrite).take(file)
    return tuple(place for _, place in moves)
