"""Where samples come from, and the order in which training sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from allfocus.data.augment import AugmentConfig, augment, draw_reduction
from allfocus.data.batch import OPTIONAL, Batch, concatenate
from allfocus.errors import DataError


@dataclass(frozen=True)
class Origin:
    """The origin of samples, for the card of the weights.

    Attributes:
        photos: folder of sharp photos, or of the defocused ones of photographed pairs.
        left_out: names in it that were not used.
        simulator: settings of the simulator; empty for photographed pairs.
        group: what the set is called; the folder's name if empty.
    """

    photos: Path
    left_out: tuple[str, ...] = ()
    simulator: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""


class Source(Protocol):
    """A place that samples can be cropped from.

    Attributes:
        origin: what they were made from.
        name: for people, in messages.
        fields: which of "coc", "left" and "right" its samples have.
        side_px: shorter side of the samples; the largest crop.
        remedy: what to do when a field is missing.
    """

    origin: Origin
    name: str
    fields: frozenset[str]
    side_px: int
    remedy: str

    def crop(self, rng: np.random.Generator, side_px: int, fields: Collection[str]) -> Batch:
        """One random sample, cropped at a random place: a batch of one, with the optional fields that are named."""
        ...


class Batches(Dataset[Batch]):
    """The batches of a run by step; what a step sees depends on the seed and the step alone.

    Therefore a run that is continued sees what it would have seen, and processes that share the samples of a batch see
    together what one process would.

    Args:
        source: where samples come from.
        fields: which of "coc", "left" and "right" are needed.
        size: samples in a batch, over all processes.
        patch_px: side of the crops at a step.
        augment: random changes.
        seed: of the run.
        rank, processes: this process takes the samples rank, rank + processes and so on.

    Raises:
        DataError: the source lacks a field, its samples are too small, or the batch cannot be shared evenly.
    """

    def __init__(
        self,
        source: Source,
        fields: Collection[str],
        size: int,
        patch_px: Callable[[int], int],
        augment: AugmentConfig,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        lacking = sorted(set(fields) - source.fields)
        if lacking:
            raise DataError(f"{source.name} without {' and '.join(lacking)}", "samples that have it", source.remedy)
        if size % processes:
            raise DataError(
                f"a batch of {size} for {processes} processes", f"a multiple of {processes}", "--set batch=N"
            )
        self.source, self.size, self.patch_px, self.augmentation, self.seed = source, size, patch_px, augment, seed
        self.fields = tuple(name for name in OPTIONAL if name in fields)
        self.own = range(rank, size, processes)

    def __getitem__(self, step: int) -> Batch:
        """This process's share of the batch of a step.

        Raises:
            DataError: crops of that step are larger than the source's samples.
        """
        patch_px = self.patch_px(step)
        if patch_px > self.source.side_px:
            raise DataError(
                f"samples of {self.source.side_px} px in {self.source.name}",
                f"at least {patch_px} px, the side of the crops",
                "--set patch_px=N, or larger samples",
            )
        return concatenate([self._sample(np.random.default_rng([self.seed, step, one]), patch_px) for one in self.own])

    def from_step(self, first: int, last: int, workers: int = 0) -> Iterator[Batch]:
        """The batches of steps first to last - 1, prepared ahead by `workers` processes; 0 prepares them here."""
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first, last),  # type: ignore[arg-type]
            num_workers=workers,
            worker_init_fn=_one_thread if workers else None,
            multiprocessing_context="spawn" if workers else None,
            pin_memory=workers > 0 and torch.cuda.is_available(),
        )
        return iter(loader)

    def _sample(self, rng: np.random.Generator, patch_px: int) -> Batch:
        reduction = draw_reduction(self.augmentation, rng, patch_px, self.source.side_px)
        return augment(reduction(self.source.crop(rng, reduction.side_px, self.fields)), self.augmentation, rng)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
