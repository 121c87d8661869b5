"""A simulated data set on disk, in the folder layout of DPDD: written sample by sample, continued after a stop."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import torch

from allfocus.atomic_file import make_folder, write_bytes, write_json
from allfocus.errors import DataError
from allfocus.simulate.depth import DepthMaps
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.preview import Exhibit, contact_sheet
from allfocus.simulate.simulator import Quadruples, Simulator, SimulatorConfig

PREVIEWED = 12
_PEAK = 65535
PICTURES = {"centre": "c/source", "sharp": "c/target", "left": "l/source", "right": "r/source"}


@dataclass(frozen=True)
class DatasetSpec:
    """What a data set is made of; all of it but `count` and `split` decides what a sample becomes.

    Attributes:
        photos: the usable photos, in order.
        seed: sample i is rendered from seed + i.
        split: "train", "val" or "test", the first word of the folders.
        depth, depth_kind: folder of depth maps, or None; see `DepthMaps`.
    """

    photos: tuple[Path, ...]
    config: SimulatorConfig = field(default_factory=SimulatorConfig)
    seed: int = 0
    count: int = 100
    split: str = "train"
    depth: Path | None = None
    depth_kind: str = "depth"

    def stamp(self) -> dict[str, Any]:
        """What has to be equal for a folder to be continued; names no place on this machine."""
        depth = None if self.depth is None else DepthMaps(self.depth, self.depth_kind)
        return {
            "format": 1,
            "config": json.loads(json.dumps(self.config.to_dict())),
            "seed": self.seed,
            "photos": len(self.photos),
            "photos_sha256": _digest([(path.name, path.stat().st_size) for path in self.photos]),
            "depth": None if depth is None else {"kind": self.depth_kind, "maps_sha256": _digest(depth.stamp())},
        }

    def simulator(self) -> Simulator:
        """The simulator that renders it."""
        depth = None if self.depth is None else DepthMaps(self.depth, self.depth_kind)
        return Simulator(self.config, PhotoPool(self.photos, least_px=1, depth=depth))


def open_photos(folder: Path, config: SimulatorConfig, depth: DepthMaps | None = None) -> PhotoPool:
    """The photos below a folder that can be used, each decoded once; the others are named in `skipped`.

    A photo is too small where it cannot cover a sample's side without being enlarged.

    Raises:
        DataError: no photo can be used, with the size needed.
    """
    return PhotoPool(folder, least_px=config.crop_px, verify=True, depth=depth)


def write_dataset(
    spec: DatasetSpec, folder: Path, *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> int:
    """Render what is missing of a data set, and give how many samples that were; the files depend on the spec alone.

    Each sample is a photo, its sharp counterpart and both views as 16-bit PNG in the folders of DPDD,
    `train_coc/NAME.npz` (`coc` and `disparity` float32 px, `valid` bool, all (H, W)), and last, so that it tells a
    finished sample, `train_parameters/NAME.json`. One run at a time; `progress` is called with (finished, all).

    DataError: the folder holds samples of other photos, settings or seed. OutputError: no room to write.
    """
    _claim(spec, folder)
    missing = [index for index in range(spec.count) if not finished(folder, spec.split, f"{index:06d}").is_file()]
    for number, _ in enumerate(_rendered(spec, folder, missing, workers), start=1):
        if progress is not None:
            progress(spec.count - len(missing) + number, spec.count)
    return len(missing)


def write_preview(spec: DatasetSpec, folder: Path) -> Path:
    """A contact sheet of the first samples in `train_preview.jpg` (or val, test); they must be there."""
    sheet = contact_sheet([_exhibit(spec, folder, index) for index in range(min(PREVIEWED, spec.count))])
    path = folder / f"{spec.split}_preview.jpg"
    image = pyvips.Image.new_from_array(sheet, interpretation="srgb")
    write_bytes(path, image.jpegsave_buffer(Q=88))
    return path


def make_folders(folder: Path, split: str) -> None:
    """Make the folders that `write_sample` writes to. OutputError when that fails."""
    for place in (*PICTURES.values(), "coc", "parameters"):
        make_folder(folder / f"{split}_{place}")


def _digest(files: list[tuple[str, int]]) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _claim(spec: DatasetSpec, folder: Path) -> None:
    path, wanted = folder / f"{spec.split}.json", spec.stamp()
    make_folders(folder, spec.split)
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        different = [name for name in wanted if found.get(name) != wanted[name]]
        if different:
            raise DataError(
                f"{folder} holds samples made with other {' and '.join(different)}",
                "the same photos, settings and seed, to resume",
                "another -o DIR",
            )
    else:
        write_json(path, wanted)


def _rendered(spec: DatasetSpec, folder: Path, missing: list[int], workers: int) -> Iterable[None]:
    if workers == 1 or len(missing) < 2:
        if missing:
            _start_worker(spec, folder)
        yield from map(_work, missing)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(missing)), context, _start_worker, (spec, folder)) as pool:
        yield from pool.map(_work, missing, chunksize=4)


_worker: tuple[Simulator, DatasetSpec, Path] | None = None


def _start_worker(spec: DatasetSpec, folder: Path) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = (spec.simulator(), spec, folder)


def _work(index: int) -> None:
    assert _worker is not None  # the initializer has run
    simulator, spec, folder = _worker
    write_sample(simulator.sample([spec.seed + index]), folder, spec.split, f"{index:06d}")


def write_sample(sample: Quadruples, folder: Path, split: str, name: str) -> None:
    """Write one sample (a batch of one) into folders that are there; its parameters last."""
    for picture, place in PICTURES.items():
        write_bytes(folder / f"{split}_{place}" / f"{name}.png", encoded(getattr(sample, picture)[0]))
    write_bytes(maps_path(folder, split, name), _maps(sample))
    write_json(finished(folder, split, name), sample.parameters[0])


def encoded(picture: torch.Tensor) -> bytes:
    """A picture float32 (3, H, W) in [0, 1] as a 16-bit PNG; 8-bit values come out as exact multiples of 257."""
    codes = (picture.clamp(0.0, 1.0) * _PEAK).round().permute(1, 2, 0).contiguous().cpu().numpy().astype(np.uint16)
    return pyvips.Image.new_from_array(codes, interpretation="rgb16").pngsave_buffer()


def finished(folder: Path, split: str, name: str) -> Path:
    """The file that marks a sample as complete: everything that was drawn for it."""
    return folder / f"{split}_parameters" / f"{name}.json"


def maps_path(folder: Path, split: str, name: str) -> Path:
    """The file of a sample's maps: `coc` and `disparity` float32 px, `valid` bool, all (H, W)."""
    return folder / f"{split}_coc" / f"{name}.npz"


def _maps(sample: Quadruples) -> bytes:
    maps = {"coc": sample.coc[0, 0], "disparity": sample.disparity[0, 0], "valid": sample.valid[0, 0]}
    file = io.BytesIO()
    arrays = {name: values.cpu().numpy() for name, values in maps.items()}
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _exhibit(spec: DatasetSpec, folder: Path, index: int) -> Exhibit:
    pictures = {
        name: pyvips.Image.new_from_file(str(folder / f"{spec.split}_{place}" / f"{index:06d}.png")).numpy() / _PEAK
        for name, place in PICTURES.items()
    }
    with np.load(maps_path(folder, spec.split, f"{index:06d}")) as maps:
        coc_px, valid = maps["coc"], maps["valid"]
    found = json.loads(finished(folder, spec.split, f"{index:06d}").read_text(encoding="utf-8"))
    scene, lens, sensor = found["scene"], found["lens"], found["sensor"]
    words = [
        f"SEED {found['seed']}",
        f"{scene['mode']} {scene['surfaces']}",
        f"R {np.abs(coc_px).max():.1f} PX",
        f"FOCUS {scene['focus']}",
        f"KAPPA {lens['kappa']:.2f}",
        f"{lens['blades']} BLADES" if lens["blades"] else "DISC",
        f"CATEYE {lens['cats_eye_shift']:.1f}" if lens["cats_eye_shift"] else "",
        f"RING {lens['ring']:+.1f}" if lens["ring"] else "",
        f"NOISE {1e6 * sensor['shot']:.0f}/M" if sensor["shot"] else "CLEAN",
        f"JPEG {sensor['jpeg_quality']}" if sensor["jpeg_quality"] else "",
        f"1/{found['reduction']}" if found["reduction"] > 1 else "",
    ]
    return Exhibit(**pictures, coc_px=coc_px, valid=valid, caption="  ".join(filter(None, words)))
