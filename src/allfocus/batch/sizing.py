"""The number of nodes that a batch needs, from a measured rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from allfocus.errors import OptionError


@dataclass(frozen=True)
class Demand:
    """The photos to restore, and the time available.

    Attributes:
        photos: how many.
        megapixels: of each.
        hours: until all are done.
        megabytes: of each, read; the result counts as much again.
    """

    photos: int
    megapixels: float
    hours: float
    megabytes: float = 10.0


@dataclass(frozen=True)
class Supply:
    """The throughput of a node.

    Attributes:
        rate: megapixels per second of one core, measured.
        cores: of a node.
        share: of that rate that remains after starts, stragglers and failures, 0 to 1.
    """

    rate: float
    cores: int = 16
    share: float = 0.8


@dataclass(frozen=True)
class ClusterSize:
    """The cluster that meets a demand.

    Attributes:
        nodes: rounded up.
        core_hours: paid for, idle time included.
        photos_per_s: over the whole cluster; the journal and the store must keep up with it.
        store_mb_per_s: read and written together.
    """

    nodes: int
    core_hours: float
    photos_per_s: float
    store_mb_per_s: float


def size(demand: Demand, supply: Supply) -> ClusterSize:
    """The smallest cluster that finishes in time.

    Raises:
        OptionError: a demand or supply that is not above 0.

    >>> size(Demand(1_000_000, 24, 8), Supply(rate=1.0, cores=16, share=0.8)).nodes
    66
    """
    given = (demand.photos, demand.megapixels, demand.hours, supply.rate, supply.cores, supply.share)
    if min(given) <= 0 or supply.share > 1:
        raise OptionError(f"{demand} with {supply}", "numbers above 0 and a share of at most 1", "measured values")
    seconds = demand.hours * 3600
    needed = demand.photos * demand.megapixels / seconds
    nodes = math.ceil(needed / (supply.rate * supply.cores * supply.share))
    per_s = demand.photos / seconds
    return ClusterSize(nodes, nodes * supply.cores * demand.hours, per_s, 2 * per_s * demand.megabytes)
