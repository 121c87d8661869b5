"""Are a folder's results the same bytes after every kill: of the process, of Ray's workers, of Ray's head?

    python benchmarks/batch_kills.py --data ../shared/data

Sixty photos of five formats: ten SIGKILLs of the process at random moments; two workers of a Ray cluster; its head.
Writes the part `kills` of results/batch.json. A busy machine does no harm. `--megapixels`, `--photos` and `--kills`
make it shorter.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from allfocus.batch.journal import SCRATCH
from batch_photos import DATA, command, hashes, make_photos, size
from batch_ray import cluster
from batch_record import arguments, record

SEED = 19
PHOTOS = 60
KILLS = 10


def kills(data: Path, megapixels: float, photos: int, times: int) -> dict[str, Any]:
    """SIGKILL at so many random moments, then Ray workers and Ray's head; each time all bytes are equal in the end."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TMPDIR"] = str(Path(scratch) / "tmp")
        Path(os.environ["TMPDIR"]).mkdir()
        source, straight = make_photos(data, Path(scratch) / "in", megapixels, photos), Path(scratch) / "straight"
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
            "process killed": process_killed(source, Path(scratch) / "killed", expected, seconds, times),
            "ray worker killed": worker_killed(source, Path(scratch) / "worker", expected),
            "ray head killed": head_killed(source, Path(scratch) / "head", expected),
        }


def outcome(out: Path, expected: dict[str, str], status: int) -> dict[str, Any]:
    """How a run ended."""
    left = [path.name for path in out.rglob("*") if path.name == SCRATCH or ".part" in path.name]
    temporary = [path.name for path in Path(os.environ["TMPDIR"]).iterdir() if path.name != "ray"]  # Ray's own stays
    return {
        "exit_status": status, "identical": hashes(out) == expected, "scratch_left": left, "temporary_left": temporary
    }  # fmt: skip


def process_killed(source: Path, out: Path, expected: dict[str, str], seconds: float, times: int) -> dict[str, Any]:
    """So many times; after each, every file under a name is whole."""
    rng, torn, moments = random.Random(SEED), 0, []
    for _ in range(times):
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


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--megapixels", type=float, default=100.0, help="leave out photos larger than a third of this")
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--kills", type=int, default=KILLS, help="of the process")
    chosen = parser.parse_args()
    found = partial(kills, chosen.data, chosen.megapixels, chosen.photos, chosen.kills)
    record("kills", found, chosen.output)


if __name__ == "__main__":
    main()
