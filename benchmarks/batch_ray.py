"""How fast is a batch over Ray, on one node and on two, beside the same batch without Ray?

    python benchmarks/batch_ray.py --data ../shared/data
    python benchmarks/batch_ray.py --data ../shared/data --part ray_nodes

The first writes the part `ray` of results/batch.json: one node of all cores. The second writes `ray_nodes`: one and two
nodes of one core each. Both need an idle machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allfocus.batch.ray import FRUGAL
from batch_photos import DATA, command, hashes, mosaics
from batch_record import arguments, busy_s, record

PHOTO_PX = (1200, 800)
CORES = len(os.sched_getaffinity(0))


@contextlib.contextmanager
def cluster(nodes: int, cpus: int) -> Iterator[Any]:
    """Ray nodes on this machine as `--cluster local` starts one: without a dashboard, and with small object stores."""
    os.environ |= FRUGAL
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_raylet_start_wait_time_s"] = "200"  # noqa: SIM112  so Ray spells it
    from ray.cluster_utils import Cluster

    store = 100 * 2**20
    head = {"num_cpus": cpus, "object_store_memory": store, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(nodes - 1):
        made.add_node(num_cpus=cpus, object_store_memory=store)
    made.wait_for_nodes()
    try:
        yield made
    finally:
        made.shutdown()


def confine(made: Any) -> None:
    """Give each node a core of its own: its workers, and all they start, have no other."""
    cores = sorted(os.sched_getaffinity(0))
    for index, node in enumerate(made.list_all_nodes()):
        raylets = {one.process.pid for one in node.all_processes["raylet"]}
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if raylets & {int(place.name), parent}:
                    for task in (place / "task").iterdir():
                        os.sched_setaffinity(int(task.name), {cores[index % len(cores)]})


def timed(line: list[str]) -> dict[str, float]:
    """Megapixels a second of a command over photos of one size: of all of it, and from a quarter to seven eighths.

    By then Ray has started its helpers, and all engines still have photos. For the latter also megapixels per second
    that any of the machine's cores worked, on whatever it was: what other guests of the host take away is not in it.
    """
    ends, pixels, worked = [], [], []
    started = time.monotonic()
    process = subprocess.Popen([*line, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for text in process.stdout:
        row = json.loads(text)
        ends.append(time.monotonic())
        worked.append(busy_s(stolen=False))
        pixels.append(row["width"] * row["height"] / 1e6)
    if process.wait() != 0:
        raise SystemExit(f"{line} ended with status {process.returncode}")
    seconds = time.monotonic() - started
    first, last = len(pixels) // 4, max(len(pixels) // 4 + 1, len(pixels) - 1 - len(pixels) // 8)
    between = sum(pixels[first + 1 : last + 1])
    steady = between / (ends[last] - ends[first])
    by_processor_time = between / (worked[last] - worked[first])
    return {
        "with_start": round(sum(pixels) / seconds, 3),
        "steady": round(steady, 3),
        "steady_by_processor_time": round(by_processor_time, 3),
    }


class Rates:
    """Rates of batches of the same photos; the first one's results are those that all have to give.

    Args:
        data: where photos are taken from.
        count: how many.
        folder: for photos and results.
    """

    def __init__(self, data: Path, count: int, folder: Path) -> None:
        self.source = mosaics(data, folder / "in", (".jpg",), (PHOTO_PX,) * count)
        self.out, self.count = folder / "out", count
        self.rates: dict[str, list[dict[str, float]]] = {}
        self.same: dict[str, bool] = {}
        self.expected: dict[str, str] = {}

    def measure(self, name: str, *options: str, before: tuple[str, ...] = ()) -> None:
        """One batch with these options, as a command that `before` runs."""
        self.rates.setdefault(name, []).append(timed([*before, *command(self.source, self.out, *options)]))
        found = hashes(self.out)
        self.expected = self.expected or found
        self.same[name] = self.same.get(name, True) and found == self.expected
        shutil.rmtree(self.out)
        print(name, self.rates[name][-1], file=sys.stderr, flush=True)

    def over_ray(self, name: str, nodes: int, cpus: int) -> None:
        """One batch over so many nodes of so many cores; nodes that have not all cores are confined to theirs."""
        with cluster(nodes, cpus) as made:
            if cpus < CORES:
                confine(made)
            self.measure(name, "--cluster", made.address, "--worker-cpus", "1")

    def ratio(self, one: str, other: str) -> dict[str, float | list[float]]:
        """Of two rates, within each round, for machines get faster and slower; the medians over rounds."""
        each = {
            kind: [mine[kind] / its[kind] for mine, its in zip(self.rates[one], self.rates[other], strict=True)]
            for kind in ("with_start", "steady", "steady_by_processor_time")
        }
        medians = {kind: round(statistics.median(ratios), 3) for kind, ratios in each.items()}
        return {**medians, "steady_of_each_round": [round(one, 3) for one in each["steady"]]}

    def told(self) -> dict[str, Any]:
        """What was measured, with its conditions."""
        megapixels = PHOTO_PX[0] * PHOTO_PX[1] / 1e6
        return {"cores": CORES, "photos": self.count, "megapixels_each": megapixels,
                "rounds": len(next(iter(self.rates.values()))), "identical": self.same,
                "megapixels_per_s": self.rates}  # fmt: skip


def one_node(rates: Rates, rounds: int) -> dict[str, Any]:
    """Ray on one node of all cores beside no Ray."""
    for _ in range(rounds):
        rates.measure("no Ray, all cores")
        rates.over_ray("one node of all cores", 1, CORES)
    return rates.told() | {
        "one node of all cores against no Ray": rates.ratio("one node of all cores", "no Ray, all cores")
    }


def two_nodes(rates: Rates, rounds: int) -> dict[str, Any]:
    """Two nodes of one core each beside one.

    They are confined to their cores: else what surrounds the network of one would run on the other's.
    """
    for _ in range(rounds):
        rates.measure("no Ray, one core", before=("taskset", "-c", str(min(os.sched_getaffinity(0)))))
        rates.over_ray("one node of one core", 1, 1)
        rates.over_ray("two nodes of one core", 2, 1)
    return rates.told() | {
        "one node of one core against no Ray": rates.ratio("one node of one core", "no Ray, one core"),
        "two nodes against one": rates.ratio("two nodes of one core", "one node of one core"),
    }


PARTS = {"ray": one_node, "ray_nodes": two_nodes}


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--part", choices=PARTS, default="ray")
    parser.add_argument("--count", type=int, default=60, help="photos")
    parser.add_argument("--rounds", type=int, default=6)
    chosen = parser.parse_args()

    def measure() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            return PARTS[chosen.part](Rates(chosen.data, chosen.count, Path(folder)), chosen.rounds)

    record(chosen.part, measure, chosen.output)


if __name__ == "__main__":
    main()
