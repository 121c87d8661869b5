"""Several caches as one source: lenses of several kinds, or the same lens in several kinds of light."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from allfocus.data.batch import Batch
from allfocus.data.cache import SampleCache
from allfocus.data.source import Origin
from allfocus.errors import DataError


class Mixture:
    """Caches of samples, each drawn from as often as it has samples; a `data.source.Source`.

    Args:
        caches: made from the same photos.

    Raises:
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
