"""Is a batch as fast as its engine, does its memory stay flat, and does it survive every kill?

    python benchmarks/batch.py kills --data ../shared/data            60 photos, SIGKILL at ten random moments
    python benchmarks/batch.py throughput --data ../shared/data       against the engine's steady rate; forecast
    python benchmarks/batch.py memory                                 500 small photos
    python benchmarks/batch.py ray --data ../shared/data              two nodes, overhead, a worker and the head killed

Each part writes its own key of results/batch.json, with the conditions. Rates need an idle machine; bytes and kills do
not. `--megapixels` makes the set of photos smaller.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyvips

from allfocus.batch.journal import NAME, Journal
from allfocus.batch.local import LocalRun
from allfocus.batch.owner import SCRATCH
from allfocus.batch.store import Store
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer
from allfocus.engine.processor import THREADS_VARIABLE, Processor
from allfocus.photo.codecs import decode
from allfocus.restore import Settings, finish, restore

RESULTS = Path(__file__).resolve().parents[1] / "results" / "batch.json"
SEED = 19
PHOTOS = 60
KILLS = 10
SMALL_PHOTOS = 500
LARGE = (
    (6000, 4000, "large.jpg"), (4240, 2832, "twelve.tif"), (3000, 2000, "six.png"), (2048, 1365, "three.webp"),
    (2000, 1333, "three.jpg"), (1600, 1067, "two.avif"),
)  # fmt: skip
ENDINGS = (".jpg", ".png", ".tif", ".webp", ".avif")


def make_photos(data: Path, folder: Path, megapixels: float, count: int = PHOTOS) -> Path:
    """`count` photos of mixed formats, 0.2 to 24 megapixels, from real ones (the largest are enlarged)."""
    real = sorted((data / "real-val" / "source").iterdir()) + sorted((data / "photos").iterdir())
    real += sorted((data / "lytro-val" / "source").iterdir()) + sorted((data / "sharp").glob("*.avif"))
    folder.mkdir(parents=True)
    made = 0
    for index, (width, height, name) in enumerate(LARGE):
        if width * height / 1e6 <= megapixels / 3:
            image = pyvips.Image.new_from_file(str(real[index])).thumbnail_image(width, height=height, size="force")
            image = (image.cast("ushort") * 257).copy(interpretation="rgb16") if name == "twelve.tif" else image
            image.write_to_file(str(folder / name))
            made += 1
    for index in range(count - made):
        place = folder / ("below" if index % 4 == 0 else ".")
        place.mkdir(exist_ok=True)
        image = pyvips.Image.new_from_file(str(real[index % len(real)]))
        image.write_to_file(str(place / f"{index:03d}{ENDINGS[index % len(ENDINGS)]}"))
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of every result below a folder; what is none of them (journal, list of results) is left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and SCRATCH not in path.parts and not path.name.startswith((NAME, ".allfocus-results"))
    }


def command(source: Path, out: Path, *options: str) -> list[str]:
    """`allfocus deblur` of a folder."""
    return [sys.executable, "-m", "allfocus", "deblur", str(source), "-o", str(out), *options]


def kills(data: Path, megapixels: float) -> dict[str, Any]:
    """Ten SIGKILLs at random moments; after each, every file under a name is whole; at the end all bytes are equal."""
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as scratch:
        source = make_photos(data, Path(scratch) / "in", megapixels)
        straight, out = Path(scratch) / "straight", Path(scratch) / "out"
        started = time.monotonic()
        subprocess.run(command(source, straight), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        expected, torn, moments = hashes(straight), 0, []
        for _ in range(KILLS):
            process = subprocess.Popen(command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            moment = rng.uniform(0.02, 0.14) * seconds
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            process.send_signal(signal.SIGKILL)
            process.wait()
            there = hashes(out) if out.is_dir() else {}
            torn += sum(expected.get(name) != digest for name, digest in there.items())
            moments.append({"after_s": round(moment, 1), "finished": len(there)})
        last = subprocess.run(command(source, out), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found = hashes(out)
        return {
            "photos": len(expected),
            "megapixels": round(sum(size(path) for path in source.rglob("*") if path.is_file()), 1),
            "undisturbed_s": round(seconds, 1),
            "kills": moments,
            "files_that_were_not_whole": torn,
            "identical": found == expected,
            "exit_status": last.returncode,
            "scratch_left": [str(path) for path in out.rglob("*") if path.name == SCRATCH or ".part" in path.name],
        }


def size(path: Path) -> float:
    """Megapixels of a photo."""
    image = pyvips.Image.new_from_file(str(path))
    return image.width * image.height / 1e6


def run_once(source: Path, out: Path, deblurrers: list[Deblurrer], at_once: int) -> dict[str, float]:
    """One batch in this process: megapixels a second, and the end foretold after a tenth of the work."""
    order = Order()
    asked = [Asked(str(path), str(path.relative_to(source))) for path in sorted(source.rglob("*")) if path.is_file()]
    with Journal(str(out)) as journal:
        journal.start(order.key(), {}, "benchmark")
        planned = journal.plan(list(tasks(asked, Store())), order.key(), "weights")
        work = LocalRun(journal, deblurrers, order, "weights", at_once=at_once)
        foretold: list[float] = []

        def tell(event: object) -> None:
            assert work.forecast is not None
            if not foretold and work.forecast.share() >= 0.1:
                foretold.append(time.monotonic() - work.started + (work.remaining_s() or 0.0))

        work.run(planned.megapixels, tell, planned.queued)
        seconds = time.monotonic() - work.started
    shutil.rmtree(out)
    return {"megapixels_per_s": planned.megapixels / seconds, "seconds": seconds, "foretold_s": foretold[0]}


def engine_alone(source: Path, deblurrer: Deblurrer) -> dict[str, float]:
    """The same photos, decoded before the clock starts: nothing but the pipeline around the network, one by one."""
    pixels = seconds = 0.0
    for path in sorted(source.rglob("*")):
        if path.is_file():
            photo = decode(path)
            started = time.monotonic()
            finish(restore(photo, deblurrer.engine, deblurrer.model.card, Settings())).canvas.close()
            seconds += time.monotonic() - started
            pixels += photo.width * photo.height / 1e6
    return {"megapixels_per_s": pixels / seconds, "seconds": seconds}


def throughput(data: Path, megapixels: float, rounds: int, count: int) -> dict[str, Any]:
    """Interleaved: the engine alone; one stream with 1, 2 and 3 photos in the air; two streams of half the threads."""
    os.environ.pop(THREADS_VARIABLE, None)
    whole = Deblurrer()
    threads = max(1, whole.engine.info.threads // 2)
    os.environ[THREADS_VARIABLE] = str(threads)
    halves = [Deblurrer(), Deblurrer()]
    os.environ.pop(THREADS_VARIABLE)
    kinds: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        source = make_photos(data, Path(scratch) / "in", megapixels, count=count)
        out = Path(scratch) / "out"
        for _ in range(rounds):
            kinds.setdefault("engine alone", []).append(engine_alone(source, whole))
            for at_once in (1, 2, 3):
                name = f"1 stream, {at_once} photos in the air"
                kinds.setdefault(name, []).append(run_once(source, out, [whole], at_once))
            kinds.setdefault(f"2 streams of {threads} threads", []).append(run_once(source, out, halves, 2))
    rates = {kind: statistics.median(run["megapixels_per_s"] for run in runs) for kind, runs in kinds.items()}
    default = kinds["1 stream, 3 photos in the air"]
    return {
        "engine": vars(whole.engine.info),
        "rounds": rounds,
        "megapixels_per_s": {kind: round(rate, 3) for kind, rate in rates.items()},
        "share_of_engine": {kind: round(rate / rates["engine alone"], 3) for kind, rate in rates.items()},
        "forecast_at_a_tenth": [round(run["foretold_s"] / run["seconds"], 3) for run in default],
        "spread": {
            kind: [round(min(run["megapixels_per_s"] for run in runs), 3),
                   round(max(run["megapixels_per_s"] for run in runs), 3)]
            for kind, runs in kinds.items()
        },
    }  # fmt: skip


def memory(photos: int) -> dict[str, Any]:
    """Resident memory after every fiftieth of `photos` small photos, in one process."""
    order, deblurrer, resident = Order(), Deblurrer(), []
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "in", Path(scratch) / "out"
        source.mkdir()
        for index in range(photos):
            width, height = 160 + index % 7 * 16, 120 + index % 5 * 16
            image = pyvips.Image.perlin(width, height, uchar=True, seed=index).bandjoin(
                [pyvips.Image.perlin(width, height, uchar=True, seed=index + band) for band in (1, 2)]
            )
            image.copy(interpretation="srgb").write_to_file(str(source / f"{index:03d}{ENDINGS[index % 4]}"))
        asked = [Asked(str(path), path.name) for path in sorted(source.iterdir())]
        with Journal(str(out)) as journal:
            journal.start(order.key(), {}, "benchmark")
            planned = journal.plan(list(tasks(asked, Store())), order.key(), "weights")
            count = [0]

            def tell(event: object) -> None:
                count[0] += 1
                if count[0] % (photos // 10) == 0:
                    resident.append(resident_mb())

            LocalRun(journal, [deblurrer], order, "weights").run(planned.megapixels, tell, planned.queued)
    return {
        "photos": photos,
        "resident_mb": resident,
        "growth_mb_from_a_fifth_on": round(resident[-1] - resident[1], 1),
    }


def resident_mb() -> float:
    """Memory of this process now."""
    text = Path("/proc/self/statm").read_text().split()[1]
    return round(int(text) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


@contextlib.contextmanager
def cluster(nodes: int, cpus: int) -> Iterator[Any]:
    """Ray nodes on this machine, without a dashboard and with small object stores."""
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


def timed(line: list[str]) -> float:
    """Seconds that the batch itself took, as it says: without its start."""
    done = subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told = next(text for text in done.stderr.splitlines() if text.endswith("megapixels a second"))
    return float(told.rsplit(": ", 1)[1].split()[0])


def workers() -> list[int]:
    """Processes in which Ray restores photos."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"ray::" in (line := (entry / "cmdline").read_bytes()) and b"Worker" in line:
                found.append(int(entry.name))
    return found


def ray_part(data: Path, megapixels: float) -> dict[str, Any]:
    """Bytes, overhead on one node, gain of the second node, a killed worker and a killed head."""
    told: dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as scratch:
        source = make_photos(data, Path(scratch) / "in", megapixels, count=24)
        straight, out = Path(scratch) / "straight", Path(scratch) / "out"
        plain = timed(command(source, straight))
        expected = hashes(straight)
        cores = os.cpu_count() or 1
        with cluster(1, cores) as one:
            options = ("--cluster", one.address, "--worker-cpus", str(cores))
            rate = timed(command(source, out, *options))
            told["one node of all cores"] = {
                "share_of_plain": round(rate / plain, 3),
                "identical": hashes(out) == expected,
            }
            shutil.rmtree(out)
        rates = []
        for nodes in (1, 2):
            with cluster(nodes, 1) as made:
                rates.append(timed(command(source, out, "--cluster", made.address, "--worker-cpus", "1")))
                told[f"{nodes} nodes of one core"] = {"identical": hashes(out) == expected}
                shutil.rmtree(out)
        told["two nodes against one"] = round(rates[1] / rates[0], 3)
        with cluster(2, 1) as made:
            line = command(source, out, "--cluster", made.address, "--worker-cpus", "1")
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert process.stdout is not None
            process.stdout.readline()  # the first photo is done
            killed = workers()[:1]
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            process.stdout.read()
            told["worker killed"] = {
                "killed": len(killed), "exit_status": process.wait(), "identical": hashes(out) == expected
            }  # fmt: skip
            shutil.rmtree(out)
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert process.stdout is not None
            process.stdout.readline()
            made.head_node.kill_gcs_server()
            made.head_node.kill_raylet()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(120)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            ended, finished = process.wait(), len(hashes(out))
        with cluster(2, 1) as made:
            again = subprocess.run(
                command(source, out, "--cluster", made.address, "--worker-cpus", "1"), check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            told["head killed"] = {
                "driver_ended_with": ended, "finished_before": finished, "exit_status": again.returncode,
                "identical": hashes(out) == expected, "scratch_left": (out / SCRATCH).exists(),
            }  # fmt: skip
    return told


def main() -> None:
    """Run one part, keep the others of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("kills", "throughput", "memory", "ray"))
    parser.add_argument("--data", type=Path, default=RESULTS.parents[2] / "shared" / "data")
    parser.add_argument("--megapixels", type=float, default=100.0, help="leave out photos larger than a third of this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=24, help="photos of the throughput")
    parser.add_argument("--photos", type=int, default=SMALL_PHOTOS)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    if chosen.part == "kills":
        found = kills(chosen.data, chosen.megapixels)
    elif chosen.part == "throughput":
        found = throughput(chosen.data, chosen.megapixels, chosen.rounds, chosen.count)
    elif chosen.part == "memory":
        found = memory(chosen.photos)
    else:
        found = ray_part(chosen.data, chosen.megapixels)
    here = Processor.here()
    found["conditions"] = {
        "processor": here.name, "features": list(here.features), "threads": len(os.sched_getaffinity(0)),
        "load_before": round(load, 2), "day": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.write_text(json.dumps({**known, chosen.part: found}, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
