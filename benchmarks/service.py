"""Load and abuse of `allfocus serve`: `python benchmarks/service.py` writes results/service.json.

Starts a service on loopback and asks: how soon is it ready, how soon does it tell progress, does it hold 8 clients for
a minute in bounded memory, does a full queue say so, and is every bad body a 4xx that leaves nothing behind.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pyvips

ROOT = Path(__file__).resolve().parents[1]
SEED = 18


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, int, float]]:
    """A service of its own: its URL, its process, and the seconds until it was ready."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "allfocus", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "ALLFOCUS_SERVE_IDLE_SECONDS": "3"},
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found, "the service did not start"
    url = found[0]
    while True:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                break
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    try:
        yield url, process.pid, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def resident_mb(pid: int) -> float:
    """Memory of a process and its children."""
    pages = 0
    for one in family(pid):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def photo(width: int = 1732, height: int = 1155) -> bytes:
    """A soft photo of 2 megapixels."""
    noise = np.random.default_rng(SEED).random((height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    image = pyvips.Image.new_from_array(noise).resize(8, kernel="cubic").crop(0, 0, width, height)
    return ((image * 255).rint().cast("uchar")).jpegsave_buffer(Q=92)


def bomb() -> bytes:
    """A PNG of 1 kB that claims 200 megapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def first_progress_ms(url: str, data: bytes) -> float:
    """From the end of the upload to the first byte of progress."""
    with httpx.Client(base_url=url, timeout=120) as client:
        sent = [0.0]

        def body() -> Iterator[bytes]:
            yield data
            sent[0] = time.perf_counter()

        headers = {"content-type": "image/jpeg", "content-length": str(len(data))}
        id = client.post("/v1/jobs", content=body(), headers=headers).json()["id"]
        with client.stream("GET", f"/v1/jobs/{id}/events") as stream:
            next(stream.iter_bytes())
            seconds = time.perf_counter() - sent[0]
        client.delete(f"/v1/jobs/{id}")
    return 1000 * seconds


def load(url: str, pid: int, data: bytes, seconds: float, clients: int) -> dict[str, object]:
    """Clients that send one photo after another."""
    end = time.perf_counter() + seconds
    statuses: collections.Counter[int] = collections.Counter()
    latencies: list[float] = []
    lock = threading.Lock()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=600) as client:
            while time.perf_counter() < end:
                started = time.perf_counter()
                answer = client.post("/v1/deblur", files={"photo": ("a.jpg", data)})
                with lock:
                    statuses[answer.status_code] += 1
                    latencies.append(time.perf_counter() - started)
                if answer.status_code == 429:
                    time.sleep(min(2.0, float(answer.headers["retry-after"])))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    memory = []
    while time.perf_counter() < end:
        time.sleep(1)
        memory.append(resident_mb(pid))
    for thread in threads:
        thread.join()
    warm, last = memory[len(memory) // 3 : 2 * len(memory) // 3], memory[2 * len(memory) // 3 :]
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "median_s": round(float(np.median(latencies)), 2),
        "memory_mb_warm": round(float(np.mean(warm)), 1),
        "memory_mb_last_third": round(float(np.mean(last)), 1),
        "memory_mb_peak": round(max(memory), 1),
    }


def mutated(random_: random.Random, seeds: list[bytes]) -> bytes:
    """A real image with a few bytes changed, cut, doubled or zeroed."""
    data = bytearray(random_.choice(seeds))
    for _ in range(random_.randint(1, 12)):
        at = random_.randrange(max(1, len(data)))
        kind = random_.randrange(4)
        if kind == 0:
            data[at] = random_.randrange(256)
        elif kind == 1:
            del data[at : at + random_.randint(1, 40)]
        elif kind == 2:
            data[at:at] = data[at : at + random_.randint(1, 40)]
        else:
            data[at : at + 8] = bytes(8)
    return bytes(data)


def small_images() -> list[bytes]:
    """One small image of each format."""
    noise = np.random.default_rng(SEED).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    image = pyvips.Image.new_from_array(noise).gaussblur(2).cast("uchar")
    writers = (image.jpegsave_buffer, image.pngsave_buffer, image.webpsave_buffer, image.tiffsave_buffer)
    return [write() for write in writers]


def abuse(url: str, count: int) -> dict[str, object]:
    """Every kind of bad body, and what was answered."""
    random_ = random.Random(SEED)
    good = small_images()[1]
    with httpx.Client(base_url=url, timeout=120) as client:

        def post(**kwargs: object) -> int:
            return client.post("/v1/deblur", **kwargs).status_code  # type: ignore[arg-type]

        cases: dict[str, Callable[[], int]] = {
            "bomb of 200 megapixels": lambda: post(files={"photo": bomb()}),
            "truncated": lambda: post(files={"photo": photo()[:50_000]}),
            "wrong content type": lambda: post(content=good, headers={"content-type": "text/html"}),
            "not a photo": lambda: post(content=b"MZ" * 500, headers={"content-type": "image/png"}),
            "1,000 parts": lambda: post(files=[("photo", good)] * 1000),
            "unknown option": lambda: post(files={"photo": good}, data={"output": "/etc/passwd"}),
            "model that is a path": lambda: post(files={"photo": good}, data={"model": "../../../etc/passwd"}),
        }
        answered = {name: ask() for name, ask in cases.items()}
        answered["file name that is a path (200: the name is made harmless)"] = post(
            files={"photo": ("../../../../tmp/x\r\nA: b.png", good)}
        )
        statuses: collections.Counter[int] = collections.Counter()
        seeds = small_images()
        for _ in range(count):
            statuses[post(files={"photo": mutated(random_, seeds)})] += 1
        slow = slow_client(url)
    return {
        "answers": answered,
        "mutated_images": count,
        "mutated_statuses": {str(status): number for status, number in sorted(statuses.items())},
        "slow_client": slow,
    }


def slow_client(url: str) -> str:
    """A client that sends two bytes and stops."""
    import socket

    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.settimeout(30)
        line.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 9\r\n\r\nab"
        )
        return line.recv(200).split(b"\r\n")[0].decode()


def fuzzed(url: str, count: int) -> dict[str, object]:
    """Schemathesis on the OpenAPI document."""
    program = shutil.which("schemathesis") or shutil.which("st")
    if program is None:
        return {"skipped": "schemathesis is not installed"}
    checks = "not_a_server_error"
    command = [
        program,
        "run",
        f"{url}/openapi.json",
        "--checks",
        checks,
        "--max-examples",
        str(count),
        "--seed",
        str(SEED),
    ]
    started = time.perf_counter()
    done = subprocess.run([*command, "--no-color"], capture_output=True, text=True, check=False, timeout=1500)
    told = [text for text in done.stdout.splitlines() if re.search(r"generated|passed|failed|Test cases|errored", text)]
    return {"exit_status": done.returncode, "seconds": round(time.perf_counter() - started), "said": told[-8:]}


def crash(url: str, pid: int) -> dict[str, object]:
    """The worker dies natively in the middle of a job; the next photo is restored."""
    with httpx.Client(base_url=url, timeout=120) as client:
        id = client.post("/v1/jobs", files={"photo": photo()}).json()["id"]
        while client.get(f"/v1/jobs/{id}").json()["state"] == "queued":
            time.sleep(0.02)
        time.sleep(0.3)
        largest = max(family(pid)[1:], key=lambda one: int(Path(f"/proc/{one}/statm").read_text().split()[1]))
        os.kill(largest, signal.SIGSEGV)
        while (state := client.get(f"/v1/jobs/{id}").json())["state"] == "running":
            time.sleep(0.05)
        after = client.post("/v1/deblur", files={"photo": photo()}).status_code
    return {"job": state["state"], "status": (state["problem"] or {}).get("status"), "next_photo": after}


def main() -> None:
    """Run everything and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--mutated", type=int, default=1000)
    parser.add_argument("--examples", type=int, default=40, help="of schemathesis, for each operation")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "results" / "service.json")
    asked = parser.parse_args()
    data = photo()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with service(folder):
            pass  # the compiled network is kept from here on
        with service(folder) as (url, pid, ready_s):
            httpx.post(f"{url}/v1/deblur", files={"photo": data}, timeout=300)
            progress = sorted(first_progress_ms(url, data) for _ in range(5))
            found: dict[str, object] = {
                "command": "python benchmarks/service.py",
                "photo": f"1732x1155 JPEG, {len(data)} bytes",
                "ready_s": round(ready_s, 2),
                "first_progress_ms": round(progress[2], 1),
                "load": load(url, pid, data, asked.seconds, 8),
                "crowd": load(url, pid, data, min(20, asked.seconds), 16),
                "abuse": abuse(url, asked.mutated),
                "crash": crash(url, pid),
                "schemathesis": fuzzed(url, asked.examples),
            }
            time.sleep(3)
            left = [str(path) for path in folder.rglob("*") if path.is_file()]
            unfinished = [
                path for path in left if "/cells.json" not in path and "/sharp." not in path and "/tiles/" not in path
            ]
            found["files_of_unfinished_jobs"] = len(unfinished)
            found["ready_at_the_end"] = httpx.get(f"{url}/readyz").status_code
        found["files_after_the_end"] = len([path for path in folder.rglob("*") if path.is_file()])
    found["machine"] = {"threads": os.cpu_count(), "load_average": os.getloadavg()[0]}
    asked.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
