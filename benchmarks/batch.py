"""Is a batch as fast as its engine, does its memory stay flat, and does it survive every kill?

    python benchmarks/batch.py kills --data ../shared/data       60 photos: ten SIGKILLs, Ray workers, Ray's head
    python benchmarks/batch.py throughput --data ../shared/data  against the engine's steady rate; forecast
    python benchmarks/batch.py memory                            500 small photos
    python benchmarks/batch.py ray --data ../shared/data         rates over one and two nodes, against no Ray at all
    python benchmarks/batch.py s3 --data ../shared/data          the server killed once in the middle

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
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvips

from allfocus.allocator import keep_freed_memory
from allfocus.batch.journal import NAME, Journal
from allfocus.batch.local import MEGAPIXELS_AT_ONCE, LocalRun
from allfocus.batch.owner import SCRATCH
from allfocus.batch.store import Store
from allfocus.batch.streams import streams
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Engine, Estimate
from allfocus.engine.processor import Processor
from allfocus.photo.codecs import decode
from allfocus.restore import Settings, finish, restore

RESULTS = Path(__file__).resolve().parents[1] / "results" / "batch.json"
SEED = 19
PHOTOS = 60
KILLS = 10
SMALL_PHOTOS = 500
LARGE = (
    (6000, 4000, "large.jpg"), (4240, 2832, "twelve16.tif"), (3000, 2000, "six16.png"), (2048, 1365, "three.webp"),
    (2000, 1333, "three.jpg"), (1600, 1067, "two.avif"),
)  # fmt: skip
ENDINGS = (".jpg", ".png", ".tif", ".webp", ".avif")
CELL = (1024, 682)  # of a mosaic
SETS = {
    "large": ((".jpg",), ((6000, 4000), (4240, 2832))),
    "mixed": ((".jpg", ".png", ".tif", ".webp"), ((4240, 2832), *(((2400, 1600),) * 3), *(((1200, 800),) * 9))),
    "small": ((".jpg",), ((800, 533),) * 40),
}
LOOK_S, TENTH = 0.05, 0.1
AWAY_S = 5.0


def make_photos(data: Path, folder: Path, megapixels: float, count: int = PHOTOS) -> Path:
    """`count` photos of mixed formats, 0.2 to 24 megapixels, from real ones (the largest are enlarged)."""
    real = sorted((data / "real-val" / "source").iterdir()) + sorted((data / "photos").iterdir())
    real += sorted((data / "lytro-val" / "source").iterdir()) + sorted((data / "sharp").glob("*.avif"))
    folder.mkdir(parents=True)
    made = 0
    for index, (width, height, name) in enumerate(LARGE):
        if width * height / 1e6 <= megapixels / 3:
            image = pyvips.Image.new_from_file(str(real[index])).thumbnail_image(width, height=height, size="force")
            image = (image * 257).cast("ushort").copy(interpretation="rgb16") if "16." in name else image
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
    """SIGKILL at ten random moments, then Ray workers and Ray's head; each time all bytes are equal in the end."""
    with tempfile.TemporaryDirectory() as scratch:
        source, straight = make_photos(data, Path(scratch) / "in", megapixels), Path(scratch) / "straight"
        started = time.monotonic()
        subprocess.run(command(source, straight), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        expected = hashes(straight)
        sizes = [size(path) for path in source.rglob("*") if path.is_file()]
        return {
            "photos": len(expected),
            "endings": dict(Counter(path.suffix for path in source.rglob("*") if path.is_file())),
            "megapixels": {"sum": round(sum(sizes), 1), "least": round(min(sizes), 2), "most": max(sizes)},
            "undisturbed_s": round(seconds, 1),
            "process killed": process_killed(source, Path(scratch) / "killed", expected, seconds),
            "ray worker killed": worker_killed(source, Path(scratch) / "worker", expected),
            "ray head killed": head_killed(source, Path(scratch) / "head", expected),
        }


def outcome(out: Path, expected: dict[str, str], status: int) -> dict[str, Any]:
    """How a run ended."""
    left = [str(path) for path in out.rglob("*") if path.name == SCRATCH or ".part" in path.name]
    return {"exit_status": status, "identical": hashes(out) == expected, "scratch_left": left}


def process_killed(source: Path, out: Path, expected: dict[str, str], seconds: float) -> dict[str, Any]:
    """Ten times; after each, every file under a name is whole."""
    rng, torn, moments = random.Random(SEED), 0, []
    for _ in range(KILLS):
        process = subprocess.Popen(command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moment = rng.uniform(0.02, 0.2) * seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = hashes(out) if out.is_dir() else {}
        torn += sum(expected.get(name) != digest for name, digest in there.items())
        moments.append({"after_s": round(moment, 1), "finished": len(there)})
    last = subprocess.run(command(source, out), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {"kills": moments, "files_that_were_not_whole": torn, **outcome(out, expected, last.returncode)}


def over_ray(source: Path, out: Path, made: Any) -> subprocess.Popen[str]:
    """The command on a cluster of workers of one CPU, under way: its first photo is done."""
    line = command(source, out, "--cluster", made.address, "--worker-cpus", "1")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def worker_killed(source: Path, out: Path, expected: dict[str, str]) -> dict[str, Any]:
    """Two workers, one after the other, at random moments."""
    rng, killed = random.Random(SEED), []
    with cluster(2, 1) as made:
        process = over_ray(source, out, made)
        for _ in range(2):
            time.sleep(rng.uniform(0.0, 5.0))
            if process.poll() is None and (found := workers(made)):
                os.kill(rng.choice(found), signal.SIGKILL)
                killed.append({"finished": len(hashes(out))})
        process.communicate()
    return {"nodes": 2, "kills": killed, **outcome(out, expected, process.returncode)}


def head_killed(source: Path, out: Path, expected: dict[str, str]) -> dict[str, Any]:
    """The head in the middle, the rest on a new cluster."""
    with cluster(2, 1) as made:
        process = over_ray(source, out, made)
        time.sleep(random.Random(SEED).uniform(0.0, 5.0))
        finished = len(hashes(out))
        made.head_node.kill_gcs_server()
        made.head_node.kill_raylet()
        started = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=180)
        by_itself = process.poll() is not None
        if not by_itself:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        ended_s = time.monotonic() - started
        torn = sum(expected.get(name) != digest for name, digest in hashes(out).items())
    with cluster(2, 1) as made:
        again = over_ray(source, out, made)
        again.communicate()
    return {
        "nodes": 2,
        "finished_before": finished,
        "driver_ended_by_itself": by_itself,
        "driver_status": process.returncode,
        "driver_ended_after_s": round(ended_s, 1),
        "files_that_were_not_whole": torn,
        **outcome(out, expected, again.returncode),
    }  # fmt: skip


def size(path: Path) -> float:
    """Megapixels of a photo."""
    image = pyvips.Image.new_from_file(str(path))
    return image.width * image.height / 1e6


def mosaics(data: Path, folder: Path, endings: Sequence[str], shapes: Sequence[tuple[int, int]]) -> Path:
    """A photo of each (width, height): real photos side by side, so that blur and texture are those of real pixels."""
    real = sorted((data / "real-val" / "source").iterdir()) + sorted((data / "photos").iterdir())
    folder.mkdir(parents=True)
    for index, (width, height) in enumerate(shapes):
        across, down = -(-width // CELL[0]), -(-height // CELL[1])
        cells = [
            pyvips.Image.new_from_file(str(real[(index + number) % len(real)])).thumbnail_image(
                CELL[0], height=CELL[1], crop="centre"
            )
            for number in range(across * down)
        ]
        image = pyvips.Image.arrayjoin(cells, across=across).crop(0, 0, width, height)
        image = image.wrap(x=index, y=0)  # of equal photos a batch would restore one and copy the result
        image.write_to_file(str(folder / f"{index:03d}{endings[index % len(endings)]}"))
    return folder


def run_once(source: Path, out: Path, deblurrers: list[Deblurrer], at_once: int) -> dict[str, float]:
    """One batch in this process: megapixels a second, cores used, and the end foretold after a tenth of the work."""
    order = Order()
    asked = [Asked(str(path), str(path.relative_to(source))) for path in sorted(source.rglob("*")) if path.is_file()]
    with Journal(str(out)) as journal:
        journal.start(order.key(), {}, "benchmark")
        planned = journal.plan(list(tasks(asked, Store())), order.key(), "weights")
        work = LocalRun(journal, deblurrers, order, "weights", at_once=at_once)
        foretold: list[float] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(LOOK_S):
                elapsed, remaining = time.monotonic() - work.started, work.remaining_s()
                if remaining is not None and work.share() >= TENTH:
                    foretold.append(elapsed + remaining)
                    return

        looking = threading.Thread(target=look)
        looking.start()
        used = Used()
        work.run(planned.work, lambda event: None, planned.queued)
        used.stop()
        stop.set()
        looking.join()
        assert journal.summary().photos == {"done": len(asked)}
    shutil.rmtree(out)
    return {
        **used.told(planned.megapixels),
        "foretold": foretold[0] / used.seconds if foretold else float("nan"),
    }  # fmt: skip


class Used:
    """Seconds, and the processor's time in them: of this process, and of all others together."""

    def __init__(self) -> None:
        self._start = (time.monotonic(), time.process_time(), busy_s())

    def stop(self) -> None:
        """The end."""
        ends = (time.monotonic(), time.process_time(), busy_s())
        self.seconds, self.cpu, every = (end - start for end, start in zip(ends, self._start, strict=True))
        self.others = max(every - self.cpu, 0.0)

    def told(self, megapixels: float) -> dict[str, float]:
        """Rates, and cores."""
        return {
            "megapixels_per_s": megapixels / self.seconds, "cores_used": self.cpu / self.seconds,
            "cpu_s_per_megapixel": self.cpu / megapixels, "cores_used_by_others": self.others / self.seconds,
        }  # fmt: skip


def busy_s() -> float:
    """Seconds that all cores of the machine have worked, what other guests took included."""
    fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


class Recorder:
    """An engine that keeps what it is asked."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.batches: list[np.ndarray] = []

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        self.batches.append(batch)
        return self.engine.run(batch, pair)


def batches_of(source: Path, deblurrer: Deblurrer) -> list[np.ndarray]:
    """What the network is asked over all photos of a folder."""
    recorder = Recorder(deblurrer.engine)
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        engine = cast(Engine, recorder)
        finish(restore(decode(path), engine, deblurrer.model.card, Settings())).canvas.close()
    return recorder.batches


def engines_alone(batches: list[np.ndarray], deblurrers: list[Deblurrer], megapixels: float) -> dict[str, float]:
    """What is used while engines go through the same batches and do nothing else; each takes the next that waits."""
    waiting = iter(sorted(batches, key=lambda batch: -batch.size))
    lock = threading.Lock()

    def work(engine: Engine) -> None:
        while True:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            engine.run(batch)

    threads = [threading.Thread(target=work, args=(deblurrer.engine,)) for deblurrer in deblurrers]
    used = Used()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used.stop()
    return used.told(megapixels)


def median(runs: list[dict[str, float]], key: str) -> float:
    """Of a figure over rounds."""
    return statistics.median(run[key] for run in runs)


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of every figure over rounds."""
    return {key: round(median(runs, key), 3) for key in runs[0] if key != "foretold"}


def throughput(data: Path, sets: Sequence[str], rounds: int) -> dict[str, Any]:
    """Interleaved, for each set of photos: engines alone, then batches of one and of several streams.

    The rate of engines alone is that of `Engine.run` on the very tiles of the photos, all in memory: photos' megapixels
    over the seconds, nothing decoded, gated, blended, encoded or written. A batch does all of that.
    """
    keep_freed_memory(large=False)
    cores = len(os.sched_getaffinity(0))
    whole, parts = [Deblurrer(threads=cores)], [Deblurrer(threads=1) for _ in range(cores)]
    engines = {f"1 engine of {cores} threads": whole, f"{cores} engines of 1 thread": parts}
    kinds = {
        f"1 stream of {cores} threads, 3 photos in the air": (whole, 3),
        f"{cores} streams of 1 thread, 1 photo each in the air": (parts, 1),
        f"{cores} streams of 1 thread, 2 photos each in the air": (parts, 2),
    }
    told: dict[str, Any] = {"engine": {**vars(whole[0].engine.info), "threads": cores}, "rounds": rounds, "sets": {}}
    for name in sets:
        alone: dict[str, list[dict[str, float]]] = {kind: [] for kind in engines}
        batches: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        with tempfile.TemporaryDirectory() as scratch:
            source, out = mosaics(data, Path(scratch) / "in", *SETS[name]), Path(scratch) / "out"
            pixels = sum(width * height for width, height in SETS[name][1]) / 1e6
            asked = batches_of(source, whole[0])
            for deblurrer in parts:
                deblurrer.engine.run(asked[-1])
            for _ in range(rounds):
                for kind, deblurrers in engines.items():
                    alone[kind].append(engines_alone(asked, deblurrers, pixels))
                    print(name, kind, alone[kind][-1], file=sys.stderr, flush=True)
                for kind, (deblurrers, at_once) in kinds.items():
                    batches[kind].append(run_once(source, out, deblurrers, at_once))
                    print(name, kind, batches[kind][-1], file=sys.stderr, flush=True)
        rates = {kind: median(runs, "megapixels_per_s") for kind, runs in alone.items()}
        fastest = max(rates.values())
        told["sets"][name] = {
            "photos": len(SETS[name][1]), "endings": SETS[name][0], "megapixels": round(pixels, 1), "tiles": len(asked),
            "engines_alone": {kind: medians(runs) for kind, runs in alone.items()},
            "batch": {
                kind: {
                    **medians(runs),
                    "share_by_processor_time": round(
                        min(median(found, "cpu_s_per_megapixel") for found in alone.values())
                        / median(runs, "cpu_s_per_megapixel"), 3,
                    ),
                    "share_of_fastest_engines": round(median(runs, "megapixels_per_s") / fastest, 3),
                    "share_of_one_engine": round(
                        median(runs, "megapixels_per_s") / rates[f"1 engine of {cores} threads"], 3
                    ),
                    "end_foretold_after_a_tenth": [round(run["foretold"], 3) for run in runs],
                    "of_each_round": [round(run["megapixels_per_s"], 3) for run in runs],
                }
                for kind, runs in batches.items()
            },
        }  # fmt: skip
    return told


def memory(photos: int) -> dict[str, Any]:
    """Resident memory after every fiftieth of `photos` small photos, in one process."""
    order, resident = Order(), []
    keep_freed_memory(large=False)
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

            engines = streams(order, planned.queued, planned.largest, MEGAPIXELS_AT_ONCE)
            LocalRun(journal, engines, order, "weights").run(planned.work, tell, planned.queued)
    return {
        "photos": photos,
        "engines": len(engines),
        "resident_mb": resident,
        "growth_mb_from_a_fifth_on": round(resident[-1] - resident[1], 1),
        "growth_share_from_a_fifth_on": round(resident[-1] / resident[1] - 1, 4),
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


def workers(made: Any) -> list[int]:
    """Processes in which this cluster restores photos."""
    raylets = {
        made_by.process.pid for node in made.list_all_nodes() for made_by in node.all_processes.get("raylet", ())
    }
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"ray::" in (line := (entry / "cmdline").read_bytes()) and b"Worker" in line:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                found += [int(entry.name)] if parent in raylets else []
    return found


def timed(line: list[str], variables: dict[str, str]) -> dict[str, float]:
    """Megapixels a second of a command over photos of one size: of all of it, and from its first result to its last."""
    ends, pixels = [], []
    used = Used()
    process = subprocess.Popen(
        [*line, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **variables}
    )
    assert process.stdout is not None
    for text in process.stdout:
        row = json.loads(text)
        ends.append(time.monotonic())
        pixels.append(row["width"] * row["height"] / 1e6)
    if process.wait() != 0:
        raise SystemExit(f"{line} ended with status {process.returncode}")
    used.stop()
    steady = sum(pixels[1:]) / (ends[-1] - ends[0])
    return {"with_start": round(sum(pixels) / used.seconds, 3), "steady": round(steady, 3)}


def ray_part(data: Path, count: int) -> dict[str, Any]:
    """Rates on this machine: no Ray, Ray on one node of all cores, and on one and two nodes of one core."""
    cores = len(os.sched_getaffinity(0))
    rates: dict[str, dict[str, float]] = {}
    same: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as scratch:
        source, out = mosaics(data, Path(scratch) / "in", (".jpg",), ((1200, 800),) * count), Path(scratch) / "out"
        expected: dict[str, str] = {}

        def measure(name: str, *options: str, **variables: str) -> None:
            rates[name] = timed(command(source, out, *options), variables)
            found = hashes(out)
            expected.update(expected or found)
            same[name] = found == expected
            shutil.rmtree(out)

        measure("no Ray, all cores")
        measure("no Ray, one core", ALLFOCUS_THREADS="1")
        for name, nodes, cpus in (
            ("one node of all cores", 1, cores), ("one node of one core", 1, 1), ("two nodes of one core", 2, 1)
        ):  # fmt: skip
            with cluster(nodes, cpus) as made:
                measure(name, "--cluster", made.address, "--worker-cpus", "1")

    def ratio(one: str, other: str) -> dict[str, float]:
        return {kind: round(rates[one][kind] / rates[other][kind], 3) for kind in ("with_start", "steady")}

    return {
        "cores": cores, "photos": count, "megapixels_each": 0.96, "megapixels_per_s": rates, "identical": same,
        "one node of all cores against no Ray": ratio("one node of all cores", "no Ray, all cores"),
        "one node of one core against no Ray": ratio("one node of one core", "no Ray, one core"),
        "two nodes against one": ratio("two nodes of one core", "one node of one core"),
    }  # fmt: skip


FORWARD = """
import asyncio, sys
async def serve(reader, writer):
    there, back = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    async def copy(source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        target.close()
    await asyncio.gather(copy(reader, back), copy(there, writer))
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Front:
    """The process through which moto's server is reached; it can be killed, and what is stored stays."""

    def __init__(self, behind: int) -> None:
        self.behind, self.port = behind, 0
        self.start()

    def start(self) -> None:
        """On the same port as before."""
        line = [sys.executable, "-c", FORWARD, str(self.port), str(self.behind)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """Every connection breaks off."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def s3(data: Path, megapixels: float) -> dict[str, Any]:
    """Photos from and to S3 (moto's server); what answers is killed when a third is done, and away for five seconds."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    front = Front(server.get_host_and_port()[1])
    keys = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{front.port}", "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    os.environ.update(keys)
    with tempfile.TemporaryDirectory() as scratch:
        source, straight = make_photos(data, Path(scratch) / "in", megapixels, count=30), Path(scratch) / "straight"
        subprocess.run(command(source, straight), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected = hashes(straight)
        client = boto3.client("s3")
        client.create_bucket(Bucket="lab")
        for path in source.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), "lab", f"in/{path.relative_to(source)}")
        line = [sys.executable, "-m", "allfocus", "deblur", "s3://lab/in", "-o", "s3://lab/out"]
        variables = {**os.environ, "ALLFOCUS_CACHE": str(Path(scratch) / "cache")}
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables)
        assert process.stdout is not None
        for _ in range(len(expected) // 3):
            process.stdout.readline()
        front.kill()
        time.sleep(AWAY_S)
        front.start()
        process.communicate()
        listed = client.list_objects_v2(Bucket="lab", Prefix="out/")["Contents"]
        found = {
            name: hashlib.sha256(client.get_object(Bucket="lab", Key=entry["Key"])["Body"].read()).hexdigest()
            for entry in listed
            if (name := entry["Key"].removeprefix("out/")) != NAME
        }
        uploads = client.list_multipart_uploads(Bucket="lab").get("Uploads", [])
    front.kill()
    server.stop()
    return {
        "server": "moto", "photos": len(expected), "killed_after_photos": len(expected) // 3, "away_s": AWAY_S,
        "exit_status": process.returncode, "identical": found == expected,
        "missing": len(expected.keys() - found.keys()),
        "uploads_left_open": len(uploads),
    }  # fmt: skip


def main() -> None:
    """Run one part, keep the others of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("kills", "throughput", "memory", "ray", "s3"))
    parser.add_argument("--data", type=Path, default=RESULTS.parents[2] / "shared" / "data")
    parser.add_argument("--megapixels", type=float, default=100.0, help="leave out photos larger than a third of this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=40, help="photos of the rates over Ray")
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=tuple(SETS), help="of the throughput")
    parser.add_argument("--photos", type=int, default=SMALL_PHOTOS)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    if chosen.part == "kills":
        found = kills(chosen.data, chosen.megapixels)
    elif chosen.part == "throughput":
        found = throughput(chosen.data, chosen.sets, chosen.rounds)
    elif chosen.part == "memory":
        found = memory(chosen.photos)
    elif chosen.part == "ray":
        found = ray_part(chosen.data, chosen.count)
    else:
        found = s3(chosen.data, chosen.megapixels)
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
