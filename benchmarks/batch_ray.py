"""How fast is a batch over Ray, on one node and on two, beside the same batch without Ray?

    python benchmarks/batch_ray.py --data ../shared/data

Writes the part `ray` of results/batch.json. Needs an idle machine.
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
    """Megapixels a second of a command over photos of one size: of all of it, and in its last three quarters.

    By then Ray has started its helpers. For the latter also megapixels per second that any of the machine's cores
    worked, on whatever it was: what other guests of the host take away is not in it.
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
    first = len(pixels) // 4
    steady = sum(pixels[first + 1 :]) / (ends[-1] - ends[first])
    by_processor_time = sum(pixels[first + 1 :]) / (worked[-1] - worked[first])
    return {
        "with_start": round(sum(pixels) / seconds, 3),
        "steady": round(steady, 3),
        "steady_by_processor_time": round(by_processor_time, 3),
    }


def rates_over_ray(data: Path, count: int, rounds: int, of_one_core: int) -> dict[str, Any]:
    """Rates on this machine: no Ray, Ray on one node of all cores, and on one and two nodes of one core.

    Processes of one core are confined to it: else what surrounds the network would run on the other. Ratios are taken
    within each round, for machines get faster and slower; what is told is their median over rounds.
    """
    cores = len(os.sched_getaffinity(0))
    rates: dict[str, list[dict[str, float]]] = {}
    same: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as scratch:
        source, out = mosaics(data, Path(scratch) / "in", (".jpg",), ((1200, 800),) * count), Path(scratch) / "out"
        expected: dict[str, str] = {}

        def measure(name: str, *options: str, before: tuple[str, ...] = ()) -> None:
            rates.setdefault(name, []).append(timed([*before, *command(source, out, *options)]))
            found = hashes(out)
            expected.update(expected or found)
            same[name] = same.get(name, True) and found == expected
            shutil.rmtree(out)
            print(name, rates[name][-1], file=sys.stderr, flush=True)

        def over_ray(name: str, nodes: int, cpus: int) -> None:
            with cluster(nodes, cpus) as made:
                if cpus < cores:
                    confine(made)
                measure(name, "--cluster", made.address, "--worker-cpus", "1")

        for _ in range(rounds):
            measure("no Ray, all cores")
            over_ray("one node of all cores", 1, cores)
        for _ in range(of_one_core):
            measure("no Ray, one core", before=("taskset", "-c", str(min(os.sched_getaffinity(0)))))
            over_ray("one node of one core", 1, 1)
            over_ray("two nodes of one core", 2, 1)

    def ratio(one: str, other: str) -> dict[str, float | list[float]]:
        each = {
            kind: [mine[kind] / its[kind] for mine, its in zip(rates[one], rates[other], strict=True)]
            for kind in ("with_start", "steady", "steady_by_processor_time")
        }
        medians = {kind: round(statistics.median(ratios), 3) for kind, ratios in each.items()}
        return {**medians, "steady_of_each_round": [round(one, 3) for one in each["steady"]]}

    return {
        "cores": cores, "photos": count, "megapixels_each": 0.96, "rounds": rounds, "identical": same,
        "megapixels_per_s": rates,
        "one node of all cores against no Ray": ratio("one node of all cores", "no Ray, all cores"),
        "one node of one core against no Ray": ratio("one node of one core", "no Ray, one core"),
        "two nodes against one": ratio("two nodes of one core", "one node of one core"),
    }  # fmt: skip


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--count", type=int, default=60, help="photos")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--of-one-core", type=int, default=2, help="rounds of nodes of one core")
    chosen = parser.parse_args()
    record("ray", lambda: rates_over_ray(chosen.data, chosen.count, chosen.rounds, chosen.of_one_core), chosen.output)


if __name__ == "__main__":
    main()
