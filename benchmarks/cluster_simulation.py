"""Does a plan for a cluster hold? One photo after another over up to 1,000 nodes that straggle, fail and share a store.

    python benchmarks/cluster_simulation.py

writes results/cluster_simulation.json; `python tools/clusters_page.py` makes the tables of docs/clusters.md from it.

The rate of a core comes from results/batch.json (`python benchmarks/batch_throughput.py`); how many photos a second the
journal takes is measured here. The simulation is event by event: a worker takes the largest photo that waits, reads it
through a store of bounded throughput, computes, writes, reports. A node that fails gives its photos back.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from allfocus.atomic_file import write_json
from allfocus.batch.entries import PhotoTask, Result
from allfocus.batch.journal import Journal
from allfocus.batch.sizing import Demand, Supply, size

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "cluster_simulation.json"
SEED = 20
WORKER_CPUS = 1
JOURNAL_PHOTOS = 200


@dataclass(frozen=True)
class World:
    """What a real cluster does to a plan.

    Attributes:
        nodes: of the cluster.
        cores: of a node; a worker has `WORKER_CPUS`.
        rate: megapixels a second of a core.
        spread: standard deviation of the logarithm of a photo's time (blur differs from photo to photo).
        straggling_nodes: share of nodes that are `slowness` times as slow.
        slowness: how much slower they are.
        hours_between_failures: mean, of one node.
        restart_s: until a failed node works again, model loaded.
        start_s: until the first photo of a worker.
        store_mb_per_s: all nodes together.
        journal_photos_per_s: that the driver can commit.
    """

    nodes: int
    cores: int = 16
    rate: float = 1.0
    spread: float = 0.25
    straggling_nodes: float = 0.02
    slowness: float = 2.0
    hours_between_failures: float = 500.0
    restart_s: float = 300.0
    start_s: float = 60.0
    store_mb_per_s: float = 5000.0
    journal_photos_per_s: float = 200.0


def simulate(demand: Demand, world: World, seed: int = SEED) -> dict[str, float]:
    """Hours until the last photo is done, and what went wrong on the way."""
    rng = random.Random(seed)
    slow = [world.slowness if rng.random() < world.straggling_nodes else 1.0 for _ in range(world.nodes)]
    fails = [rng.expovariate(1 / (world.hours_between_failures * 3600)) for _ in range(world.nodes)]
    per_node = max(1, world.cores // WORKER_CPUS)
    free = [(world.start_s * rng.uniform(0.5, 1.5), node) for node in range(world.nodes) for _ in range(per_node)]
    heapq.heapify(free)
    base = demand.megapixels / (world.rate * WORKER_CPUS)
    transfer = demand.megabytes / world.store_mb_per_s
    waiting, again, failures, store_free, journal_free, end = demand.photos, 0, 0, 0.0, 0.0, 0.0
    busy = 0.0
    while waiting:
        now, node = heapq.heappop(free)
        waiting -= 1
        begin = max(now, store_free)
        store_free = begin + 2 * transfer  # the photo and its result
        seconds = base * slow[node] * rng.lognormvariate(0.0, world.spread)
        done = begin + 2 * transfer + seconds
        if done > fails[node]:
            if now >= fails[node]:  # the node is down: this worker comes back after its restart
                back = fails[node] + world.restart_s
                if now >= back:
                    fails[node] = now + rng.expovariate(1 / (world.hours_between_failures * 3600))
                    failures += 1
                    back = now
            else:
                back = fails[node] + world.restart_s
            waiting += 1
            again += 1
            heapq.heappush(free, (back, node))
            continue
        journal_free = max(journal_free, begin) + 1 / world.journal_photos_per_s  # photos are committed one by one
        busy += seconds
        end = max(end, done)
        heapq.heappush(free, (done, node))
    end = max(end, journal_free)
    return {
        "hours": end / 3600,
        "photos_done_again": again,
        "node_failures": failures,
        "share_of_workers_busy": busy / (end * world.nodes * per_node),
    }


def journal_rate() -> float:
    """Photos a second that a journal takes on this disk: claimed, written and done, each its own transaction."""
    with tempfile.TemporaryDirectory() as folder, Journal(folder) as journal:
        journal.start("settings", {}, "benchmark")
        tasks = [
            PhotoTask(source=f"/in/{index}.jpg", name=f"{index}.jpg", bytes=1, stamp="1", megapixels=1.0)
            for index in range(JOURNAL_PHOTOS)
        ]
        journal.plan(tasks, "settings", "weights")
        facts = {"width": 1000, "height": 1000, "seconds": 1.0, "notes": []}
        started = time.perf_counter()
        while (claim := journal.claim()) is not None:
            journal.written(claim, Result("0" * 64, "0" * 64, 1, facts))
            journal.done(claim)
        return JOURNAL_PHOTOS / (time.perf_counter() - started)


def measured_rate() -> tuple[float, dict[str, Any]]:
    """Megapixels of large photos in a second of a core's time, and the conditions, from results/batch.json.

    Time of the processor, not of the clock: what other processes took meanwhile is left out.
    """
    part = json.loads((ROOT / "results" / "batch.json").read_text())["throughput"]
    threads = part["conditions"]["threads"]
    found = part["sets"]["large"]["batch"][f"{threads} engines of 1 thread"]
    return 1 / found["cpu_s_per_megapixel"], {**part["conditions"], "batch": found}


def main() -> None:
    """Simulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the photos, for a trial")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    photos, many = (round(options.share * count) for count in (100_000, 1_000_000))
    rate, conditions = measured_rate()
    journal = journal_rate()
    plans = []
    for demand in (Demand(photos, 24, 8), Demand(many, 24, 8), Demand(many, 12, 8, megabytes=5)):
        plan = size(demand, Supply(rate))
        world = World(plan.nodes, rate=rate, journal_photos_per_s=journal)
        plans.append({"demand": asdict(demand), "plan": asdict(plan), "simulated": simulate(demand, world)})
    night = Demand(many, 24, 8)
    calm = World(1000, rate=rate, straggling_nodes=0, hours_between_failures=1e9, journal_photos_per_s=journal)
    thousand = {
        "nothing goes wrong": calm,
        "2 % of the nodes twice as slow": replace(calm, straggling_nodes=0.02),
        "a node fails every 500 hours": replace(calm, hours_between_failures=500),
        "the store gives 1,000 MB/s": replace(calm, store_mb_per_s=1000),
        "all of it": World(1000, rate=rate, store_mb_per_s=1000, journal_photos_per_s=journal),
    }
    found = {
        "megapixels_per_s_of_a_core": rate,
        "journal_photos_per_s": journal,
        "conditions": conditions,
        "world": asdict(World(1000)),
        "plans": plans,
        "thousand_nodes": {name: simulate(night, world) for name, world in thousand.items()},
    }
    write_json(options.output, found)


if __name__ == "__main__":
    main()
