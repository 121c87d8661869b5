"""A pre-rendered data set on disk: simulated samples as flat arrays that training can crop from at random.

Pictures are stored as plain 8-bit values. Lossless WebP takes a third of the disk (PNG more, AVIF and JPEG lose grain),
but decoding a batch of it would cost a good part of a step on a CPU.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.atomic_file import AtomicFile, make_folder, write_text
from allfocus.data.augment import CELL_PX
from allfocus.data.batch import Batch
from allfocus.data.source import Origin
from allfocus.errors import DataError, OptionError
from allfocus.photo.formats import WRITABLE_EXTENSIONS

SHARD = 64
PICTURES, VIEWS = ("centre", "sharp"), ("left", "right")
GRIDS_PX = (2, 4, 8)


@dataclass(frozen=True)
class CacheSpec:
    """What a cache holds; written beside it, so that a run can tell whether it is the right one.

    Attributes:
        count: samples.
        side_px: height and width of each.
        seed: the first sample's seed; sample i is rendered from ``seed + i``.
        photos: folder of sharp photos.
        left_out: names of photos in it that are not used.
        simulator: settings of the simulator.
        views: whether the dual-pixel views are kept as well, which doubles the size.
        grid_px: 2, 4 or 8, px of a cell of the map of blur radii.
    """

    count: int
    side_px: int
    seed: int
    photos: str
    left_out: list[str]
    simulator: dict[str, Any]
    views: bool = False
    grid_px: int = 8

    def __post_init__(self) -> None:
        if self.grid_px not in GRIDS_PX:
            raise OptionError(f"cells of {self.grid_px} px", f"one of {GRIDS_PX}", "8")

    @property
    def fields(self) -> tuple[str, ...]:
        """The arrays of the cache."""
        return (*PICTURES, *(VIEWS if self.views else ()), "coc")


class SampleCache:
    """Read access: memory-mapped ``centre``, ``sharp`` and, where kept, ``left`` and ``right`` (N, S, S, 3) uint8.

    ``coc`` (N, S/m, S/m) float16 px is the signed radius of the circle of confusion, averaged over cells of m px
    (`CacheSpec.grid_px`), NaN where a cell is not valid for supervision. Serves as a `data.source.Source`.

    Raises:
        DataError: if the folder is not a finished cache.
    """

    remedy = "allfocus prepare --views"

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        description = self.folder / "cache.json"
        if not description.is_file():
            raise DataError(
                f"{folder} has no cache.json",
                "a folder written by `allfocus prepare`",
                f"allfocus prepare --photos DIR -o {folder} --count 4000",
            )
        self.spec = CacheSpec(**json.loads(description.read_text(encoding="utf-8")))
        self.name, self.side_px = str(folder), self.spec.side_px
        self.origin = Origin(Path(self.spec.photos), tuple(self.spec.left_out), self.spec.simulator)
        self.fields = frozenset(self.spec.fields) - set(PICTURES)
        for name in self.spec.fields:
            if not (self.folder / f"{name}.npy").is_file():
                raise DataError(f"{folder} lacks {name}.npy", "a complete cache", "render it again into another folder")
        self._arrays: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self.spec.count

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}  # a worker maps the files itself

    def array(self, name: str) -> np.ndarray:
        """One array, memory-mapped."""
        if name not in self._arrays:
            self._arrays[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return self._arrays[name]

    def crop(self, rng: np.random.Generator, side_px: int, fields: Collection[str]) -> Batch:
        """A random crop of a random sample, on its grid of 8 px; see `data.source.Source`."""
        import torch

        index = rng.integers(len(self))
        y, x = rng.integers(0, (self.side_px - side_px) // CELL_PX + 1, 2) * CELL_PX
        parts = {}
        for name in (*PICTURES, *fields):
            grid_px = self.spec.grid_px if name == "coc" else 1
            rows, columns = (slice(start // grid_px, (start + side_px) // grid_px) for start in (y, x))
            stored = torch.from_numpy(np.array(self.array(name)[index, rows, columns]))  # a copy: the map is read-only
            parts[name] = stored.float()[None, None] if name == "coc" else stored.permute(2, 0, 1)[None].float() / 255
        return Batch(**parts)


class Mixture:
    """Several caches as one, each drawn from as often as it has samples; a `data.source.Source`.

    DataError: no cache, or caches of different photos, which one card could not describe.
    """

    remedy = SampleCache.remedy

    def __init__(self, caches: Sequence[SampleCache]) -> None:
        pools = {(str(one.origin.photos), one.origin.left_out) for one in caches}
        if len(pools) != 1:
            raise DataError(
                f"{len(caches)} caches of {len(pools)} sets of photos",
                "caches made from the same --photos with the same --leave-out",
                "one cache, or render the others again",
            )
        self.caches = tuple(caches)
        self.name = " and ".join(one.name for one in caches)
        self.fields = frozenset.intersection(*(one.fields for one in caches))
        self.side_px = min(one.side_px for one in caches)
        settings = {one.folder.name: one.spec.simulator for one in caches}
        self.origin = Origin(caches[0].origin.photos, caches[0].origin.left_out, settings)
        self._share = np.array([len(one) for one in caches], float) / sum(len(one) for one in caches)

    def crop(self, rng: np.random.Generator, side_px: int, fields: Collection[str]) -> Batch:
        """A random crop of a random sample of any of the caches."""
        return self.caches[rng.choice(len(self.caches), p=self._share)].crop(rng, side_px, fields)


def render_cache(spec: CacheSpec, folder: Path, *, workers: int = 2, progress: Any = None) -> SampleCache:
    """Render a cache with worker processes; shards that are already there are kept, so a killed run continues.

    Args:
        spec: what to render.
        folder: where to; made if missing.
        workers: processes, one thread each.
        progress: called with (done, count) after every shard.

    Raises:
        DataError: if the folder holds shards of another specification.
    """
    make_folder(folder)
    unfinished = folder / "unfinished.json"
    wanted = json.dumps(asdict(spec), sort_keys=True)
    for stamp in (unfinished, folder / "cache.json"):
        if stamp.exists() and CacheSpec(**json.loads(stamp.read_text(encoding="utf-8"))) != CacheSpec(
            **json.loads(wanted)
        ):
            raise DataError(f"{folder} holds samples with other settings", "the same, or an empty folder", "another -o")
    if (folder / "cache.json").exists():
        return SampleCache(folder)
    write_text(unfinished, wanted)
    starts = range(0, spec.count, SHARD)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [(spec, start, min(start + SHARD, spec.count), folder) for start in starts]
        for number, _ in enumerate(pool.map(_render_shard, jobs), start=1):
            if progress is not None:
                progress(min(number * SHARD, spec.count), spec.count)
    for name in spec.fields:
        _join(folder, name, starts)
    AtomicFile(folder / "cache.json").take(unfinished)
    for start in starts:
        _shard_path(folder, start).unlink()
    return SampleCache(folder)


def sharp_photos(folder: Path, left_out: Collection[str] = ()) -> list[Path]:
    """The photos of a folder in the order of their names, without those left out. DataError: if none is left."""
    names = set(left_out)
    paths = sorted(
        path for path in folder.glob("*") if path.suffix.lower() in WRITABLE_EXTENSIONS and path.name not in names
    )
    if not paths:
        raise DataError(f"no photo in {folder}", f"{', '.join(sorted(WRITABLE_EXTENSIONS))}", "another folder")
    return paths


def _shard_path(folder: Path, start: int) -> Path:
    return folder / f"shard-{start:07d}.npz"


_WORKER: dict[str, Any] = {}


def _render_shard(job: tuple[CacheSpec, int, int, Path]) -> None:
    spec, start, stop, folder = job
    target = _shard_path(folder, start)
    if target.exists():
        return
    import torch

    from allfocus.simulate.photos import PhotoPool
    from allfocus.simulate.simulator import Simulator, SimulatorConfig

    torch.set_num_threads(1)
    if "simulator" not in _WORKER:
        config = SimulatorConfig.from_dict(spec.simulator)
        _WORKER["simulator"] = Simulator(config, PhotoPool(sharp_photos(Path(spec.photos), spec.left_out)))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in spec.fields}
    for seed in range(spec.seed + start, spec.seed + stop):
        sample = _WORKER["simulator"].sample([seed])
        for name in spec.fields[:-1]:
            picture = (getattr(sample, name).clamp(0, 1) * 255).round().byte()
            parts[name].append(picture.permute(0, 2, 3, 1).contiguous().numpy())
        cells = torch.nn.functional.avg_pool2d(sample.coc, spec.grid_px)[:, 0]
        valid = torch.nn.functional.avg_pool2d(sample.valid.float(), spec.grid_px)[:, 0]
        parts["coc"].append(torch.where(valid > 0.5, cells, torch.nan).half().numpy())
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    with AtomicFile(target, overwrite=True) as whole, whole.temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **joined)


def _join(folder: Path, name: str, starts: range) -> None:
    with np.load(_shard_path(folder, starts[0])) as first:
        sample = first[name]
    with np.load(_shard_path(folder, starts[-1])) as last:
        count = starts[-1] + len(last[name])
    joined = np.lib.format.open_memmap(
        folder / f"{name}.npy", mode="w+", dtype=sample.dtype, shape=(count, *sample.shape[1:])
    )
    for start in starts:
        with np.load(_shard_path(folder, start)) as shard:
            joined[start : start + len(shard[name])] = shard[name]
    joined.flush()
