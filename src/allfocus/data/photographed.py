"""Pairs of photos on disk as a source of samples: DPDD as it is unpacked, anybody's own, or a simulated set."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from allfocus.data.batch import Batch
from allfocus.data.pairs import Pair, PairSet, header, read, read_coc
from allfocus.data.source import Origin
from allfocus.errors import DataError

KEPT_BYTES = 1 << 31


class PhotographedPairs:
    """Random crops of the scenes of a pair set; see `data.source.Source`.

    Decoded photos are kept, the oldest dropped first, up to `kept_bytes` in the 8 or 16 bits of their files.
    DataError: scenes without counterpart.
    """

    remedy = "a set with dual-pixel views (DPDD's layout), or simulated samples"

    def __init__(self, pairs: PairSet, kept_bytes: int = KEPT_BYTES) -> None:
        lonely = [pair.name for pair in pairs if pair.target is None]
        if lonely:
            raise DataError(
                f"{pairs.name}: {lonely[0]} has no sharp counterpart", "pairs", "allfocus eval --data pairs"
            )
        self.pairs, self.name = pairs, str(pairs.root)
        views = {"left", "right"} if all(pair.left and pair.right for pair in pairs) else set()
        self.fields = frozenset(views | ({"coc"} if all(pair.coc for pair in pairs) else set()))
        self.origin = Origin(pairs.pairs[0].source.parent, group=pairs.name)
        sizes = [header(pair.source) for pair in pairs]
        self.side_px = min(min(size.width, size.height) for size in sizes)
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[Path, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_kept": OrderedDict()}

    def crop(self, rng: np.random.Generator, side_px: int, fields: Collection[str]) -> Batch:
        """A random crop of a random scene; see `data.source.Source`."""
        pair: Pair = self.pairs.pairs[rng.integers(len(self))]
        paths = {"centre": pair.source, "sharp": pair.target}
        paths |= {name: path for name, path in (("left", pair.left), ("right", pair.right)) if name in fields}
        height, width = self._codes(pair.source).shape[:2]
        y, x = (int(rng.integers(length - side_px + 1)) for length in (height, width))
        parts = {}
        for name, path in paths.items():
            assert path is not None  # checked when the set was opened
            codes = self._codes(path)[y : y + side_px, x : x + side_px]
            unit = torch.from_numpy(codes.astype(np.float32) / np.iinfo(codes.dtype).max)
            parts[name] = unit.permute(2, 0, 1)[None]
        if "coc" in fields and pair.coc is not None:
            coc_px = read_coc(pair.coc, height, width)[y : y + side_px, x : x + side_px]
            parts["coc"] = torch.from_numpy(coc_px.copy())[None, None]
        return Batch(**parts)

    def _codes(self, path: Path) -> np.ndarray:
        """A decoded photo (H, W, 3) as the integers it was stored in."""
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        stored = np.uint16 if self.pairs.read_bits > 8 else np.uint8
        codes = np.rint(read(path, self.pairs.read_bits) * np.iinfo(stored).max).astype(stored)
        self._kept[path] = codes
        while sum(kept.nbytes for kept in self._kept.values()) > self._kept_bytes and len(self._kept) > 4:
            self._kept.popitem(last=False)
        return codes
