"""What `allfocus serve` promises, in one command: `python benchmarks/service.py` writes results/service.json.

Starts services on loopback and asks: how soon does one start, how soon does it tell progress and answer a trial, does
it hold 8 clients for a minute in bounded memory, does a full queue say so, is every bad body a 4xx that leaves nothing
behind, and does a worker's native crash cost one photo. Ends with status 1 if a promise is broken. Parts can be asked
for alone (`--only start load`); the others keep what the file holds. Times want an idle machine.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pyvips

from allfocus.engine.processor import Processor

ROOT = Path(__file__).resolve().parents[1]
SEED = 18
PHOTO_PX = (1732, 1155)
TRIAL_PX = 560  # as `trialPx` in static/js/service.js
CROWD_SECONDS = 15
WARM_PHOTOS = 16  # two for each client
IDLE_SECONDS, READER_SECONDS, KEEP_SECONDS = 3, 5, 20
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@dataclass(frozen=True)
class Running:
    """A service of its own, its process, and the seconds until each thing was so."""

    url: str
    pid: int
    healthy_s: float
    ready_s: float

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def waiting(self) -> float:
        """Photos that wait or run."""
        found = re.search(r"^allfocus_jobs_waiting (\S+)", httpx.get(f"{self.url}/metrics").text, re.MULTILINE)
        return float(found[1]) if found else -1.0


@contextlib.contextmanager
def service(folder: Path, cache: Path | None = None, **variables: object) -> Iterator[Running]:
    """A service whose files lie in a folder; `cache` replaces the user's cache of compiled networks."""
    limits = {"IDLE_SECONDS": IDLE_SECONDS, "READER_SECONDS": READER_SECONDS, "KEEP_SECONDS": KEEP_SECONDS} | variables
    environment = {**os.environ, "TMPDIR": str(folder)} | {f"ALLFOCUS_SERVE_{k}": str(v) for k, v in limits.items()}
    if cache is not None:
        environment["ALLFOCUS_CACHE"] = str(cache)
    began = time.perf_counter()
    command = [sys.executable, "-m", "allfocus", "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert process.stdout is not None  # it was asked for
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found, "the service did not start"
    seconds = {path: _since(began, found[0] + path) for path in ("/healthz", "/readyz")}
    try:
        yield Running(found[0], process.pid, seconds["/healthz"], seconds["/readyz"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def _since(began: float, url: str) -> float:
    while True:
        try:
            if httpx.get(url).status_code == 200:
                return round(time.perf_counter() - began, 2)
        except httpx.TransportError:
            pass
        time.sleep(0.01)


def photo(width: int = PHOTO_PX[0], height: int = PHOTO_PX[1]) -> bytes:
    """A photo of 2 megapixels: an example, continued by its mirror image."""
    image = pyvips.Image.new_from_file(str(ROOT / "examples/photos/coffee-simulated.jpg"))
    left, top = (width - image.width) // 2, (height - image.height) // 2
    return image.embed(left, top, width, height, extend="mirror").jpegsave_buffer(Q=92, keep="none")


def start(folder: Path) -> dict[str, object]:
    """Seconds from the command to the first healthy and the first ready answer: without a cache, then with one."""
    with service(folder, folder / "cache") as first:
        cold = first.ready_s
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    warm = []
    for _ in range(5):
        with service(folder, folder / "cache") as again:
            warm.append((again.healthy_s, again.ready_s))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
    healthy, ready = zip(*warm, strict=True)
    return {
        "without_cache_ready_s": cold,
        "healthy_s": statistics.median(healthy),
        "ready_s": statistics.median(ready),
        "ready_s_worst_of_5": max(ready),
        "processor_s": round(processor / len(warm), 2),
    }


def progress(folder: Path) -> dict[str, object]:
    """From the end of the upload to the first byte of progress, in ms: nine uploads of 2 megapixels, one by one."""
    data = photo()
    found = []
    with service(folder) as here, httpx.Client(base_url=here.url, timeout=120) as client:
        for _ in range(9):
            sent = [0.0]

            def body(sent: list[float] = sent) -> Iterator[bytes]:
                yield data
                sent[0] = time.perf_counter()

            headers = {"content-type": "image/jpeg", "content-length": str(len(data))}
            id = client.post("/v1/jobs", content=body(), headers=headers).json()["id"]
            with client.stream("GET", f"/v1/jobs/{id}/events") as stream:
                next(stream.iter_bytes())
                found.append(1000 * (time.perf_counter() - sent[0]))
            client.delete(f"/v1/jobs/{id}")
    return {
        "photo": f"{PHOTO_PX[0]}x{PHOTO_PX[1]} JPEG, {len(data)} bytes",
        "first_byte_ms": round(statistics.median(found), 1),
        "first_byte_ms_first_upload": round(found[0], 1),
        "first_byte_ms_worst": round(max(found), 1),
    }


def trial(folder: Path) -> dict[str, object]:
    """Seconds for the visible crop, asked as the page asks: the first after the start, then every setting."""
    whole = pyvips.Image.new_from_buffer(photo(), "")
    left, top = (whole.width - TRIAL_PX) // 2, (whole.height - TRIAL_PX) // 2
    piece = whole.crop(left, top, TRIAL_PX, TRIAL_PX).pngsave_buffer()
    seconds: dict[str, float] = {}
    with service(folder) as here, httpx.Client(base_url=here.url, timeout=120) as client:
        asked: dict[str, dict[str, str]] = {
            "first": {},
            "again": {},
            "from half size": {"scale": "2"},
            "from quarter size": {"scale": "4"},
            "keeping the bokeh": {"keep_bokeh": "8"},
            "model ifan, first": {"model": "ifan"},
            "model ifan, again": {"model": "ifan"},
        }
        for name, options in asked.items():
            began = time.perf_counter()
            answer = client.post("/v1/deblur", files={"photo": ("piece.png", piece)}, data=options)
            assert answer.status_code == 200, answer.text
            seconds[name] = round(time.perf_counter() - began, 2)
        page = _in_the_page(here.url)
    return {"piece": f"{TRIAL_PX}x{TRIAL_PX} PNG", "seconds": seconds, "in_the_page_s": page}


def _in_the_page(url: str) -> float | str:
    """What the page itself says of a trial on 2 megapixels, in Chromium; or why there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "playwright is not installed"
    if chromium is None:
        return "Chromium is not installed"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        page.locator("body[data-ready=yes]").wait_for(timeout=60_000)
        page.set_input_files("#files", {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo()})
        page.click("#try")
        line = page.locator("#line", has_text="Tried on")
        line.wait_for(timeout=60_000)
        found = re.search(r"in ([0-9.]+) s", line.inner_text())
        browser.close()
    assert found, "the page names no seconds"
    return float(found[1])


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def memory_mb(pid: int) -> float:
    """What a process and its children hold, pages that they share counted once."""
    total = 0
    for one in family(pid):
        try:
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE)
        except OSError:  # it ended meanwhile
            continue
        total += int(found[1]) if found else 0
    return total / 1000


def load(folder: Path, seconds: float) -> dict[str, object]:
    """8 clients, one photo of 2 megapixels after another; memory before and after the warm-up."""
    with service(folder) as here:
        found = _crowd(here, photo(), seconds, 8)
    memory = found.pop("memory")
    assert isinstance(memory, list)
    warm = [megabytes for photos, megabytes in memory if photos >= WARM_PHOTOS]
    part = max(1, len(warm) // 4)
    first, last = statistics.mean(warm[:part]) if warm else 0.0, statistics.mean(warm[-part:]) if warm else 0.0
    series = [[photos, round(megabytes)] for photos, megabytes in memory[:: max(1, len(memory) // 20)]]
    return found | {
        "warm_after_photos": WARM_PHOTOS,
        "memory_mb_first_quarter": round(first, 1),
        "memory_mb_last_quarter": round(last, 1),
        "memory_growth_percent": round(100 * (last / first - 1), 1) if first else None,
        "memory_mb_by_photos": series,
    }


def crowd(folder: Path, seconds: float) -> dict[str, object]:
    """16 clients at a queue of 8."""
    with service(folder) as here:
        found = _crowd(here, photo(), seconds, 16)
    del found["memory"]
    return found


def _crowd(here: Running, data: bytes, seconds: float, clients: int) -> dict[str, object]:
    end = time.perf_counter() + seconds
    statuses: collections.Counter[int] = collections.Counter()
    latencies: list[float] = []
    retry: set[bool] = set()
    lock = threading.Lock()

    def ask() -> None:
        with httpx.Client(base_url=here.url, timeout=600) as client:
            while time.perf_counter() < end:
                began = time.perf_counter()
                answer = client.post("/v1/deblur", files={"photo": ("a.jpg", data)})
                with lock:
                    statuses[answer.status_code] += 1
                    if answer.status_code == 200:
                        latencies.append(time.perf_counter() - began)
                if answer.status_code == 429:
                    retry.add(int(answer.headers.get("retry-after", 0)) > 0)
                    time.sleep(1)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    memory: list[tuple[int, float]] = []
    while time.perf_counter() < end:
        time.sleep(0.5)
        memory.append((statuses[200], memory_mb(here.pid)))
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "retry_after_in_each_429": retry <= {True},
        "median_s": round(statistics.median(latencies), 2) if latencies else None,
        "memory": memory,
    }


def bomb() -> bytes:
    """A PNG of 1 kB that claims 200 megapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def small_images() -> dict[str, bytes]:
    """One small image of each format."""
    noise = np.random.default_rng(SEED).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    image = pyvips.Image.new_from_array(noise).gaussblur(2).cast("uchar")
    writers = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}
    return {name: image.write_to_buffer(ending) for name, ending in writers.items()}


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


def abuse(folder: Path, count: int) -> dict[str, object]:
    """Every kind of bad body and bad client; what was answered, and what was left behind."""
    random_ = random.Random(SEED)
    images = small_images()
    good = images["PNG"]
    with service(folder) as here, httpx.Client(base_url=here.url, timeout=120) as client:

        def post(path: str = "/v1/deblur", **sent: object) -> int:
            return client.post(path, **sent).status_code  # type: ignore[arg-type]

        cases: dict[str, Callable[[], int]] = {
            "a PNG that claims 200 megapixels": lambda: post(files={"photo": bomb()}),
            "the same as a mask": lambda: post(files={"photo": good, "mask": bomb()}),
            "a body of type text/html": lambda: post(content=good, headers={"content-type": "text/html"}),
            "a program called image/png": lambda: post(content=b"MZ" * 500, headers={"content-type": "image/png"}),
            "a form of 1,000 files": lambda: post(files=[("photo", good)] * 1000),
            "a form of 1,000 fields": lambda: post(files={"photo": good}, data={f"f{n}": "1" for n in range(1000)}),
            "a field of 1 MB": lambda: post(files={"photo": good}, data={"strength": "1" * 1_000_000}),
            "an option that is none": lambda: post(files={"photo": good}, data={"output": "/etc/passwd"}),
            "a model that is a path": lambda: post(files={"photo": good}, data={"model": "../../../etc/passwd"}),
            "a model that is a URL": lambda: post(files={"photo": good}, data={"model": "http://127.0.0.1/x"}),
            "headers that do not end": lambda: _told(here, b"GET / HTTP/1.1\r\nhost: loc"),
            "a body that stops": lambda: _told(here, _head(9) + b"ab"),
            "headers of 1 MB": lambda: _told(here, b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 1_000_000),
        }
        for name, data in {**images, "2-megapixel JPEG": photo()}.items():
            cases[f"half of a {name}"] = lambda data=data: post(files={"photo": data[: len(data) // 2]})
        answered = {name: ask() for name, ask in cases.items()}
        named = client.post("/v1/deblur", files={"photo": ("../../../../tmp/x\r\nA: b.png", good)})
        leaving = [_leaves(here, _head(100_000) + good[:50]) for _ in range(20)]
        statuses: collections.Counter[int] = collections.Counter()
        seeds = list(images.values())
        for _ in range(count):
            statuses[post(files={"photo": mutated(random_, seeds)})] += 1
        unread = _never_reads(here)
        time.sleep(1)
        left = {
            "files": len(_files(folder)),
            "waiting": here.waiting(),
            "ready": client.get("/readyz").status_code,
            "next_photo": post(files={"photo": good}),
        }
    return {
        "answers": answered,
        "file_name_that_is_a_path": {
            "status": named.status_code,
            "named": named.headers["content-disposition"].partition("''")[2],
            "outside": Path("/tmp/x").exists(),
        },
        "clients_that_left_inside_the_body": len(leaving),
        "client_that_reads_nothing": unread,
        "mutated_images": count,
        "mutated_statuses": {str(status): number for status, number in sorted(statuses.items())},
        "left_behind": left,
    }


def _files(folder: Path) -> list[Path]:
    """What lies below a folder, but for the lock that a running service holds."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


def _head(length: int) -> bytes:
    return (
        f"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def _told(here: Running, sent: bytes) -> int:
    """The status that a raw connection is answered with after it sent this and no more."""
    with socket.create_connection(("127.0.0.1", here.port)) as line:
        line.settimeout(30)
        with contextlib.suppress(OSError):  # the service may answer, and close, before all of it was sent
            line.sendall(sent)
        with line.makefile("rb") as answer:
            return int(answer.readline().split()[1])


def _leaves(here: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", here.port)) as line:
        line.sendall(sent)


def _never_reads(here: Running) -> str:
    """A client that asks on and on and reads nothing."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(8 * READER_SECONDS)
        line.connect(("127.0.0.1", here.port))
        end = time.monotonic() + 8 * READER_SECONDS
        while time.monotonic() < end:
            try:
                line.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 10)
            except TimeoutError:
                break
            except OSError:
                return "cut off"
            time.sleep(0.01)
    return "still connected"


def crash(folder: Path) -> dict[str, object]:
    """The worker dies natively in the middle of a job; the next photo is restored."""
    with service(folder) as here, httpx.Client(base_url=here.url, timeout=120) as client:
        id = client.post("/v1/jobs", files={"photo": photo(3464, 2310)}).json()["id"]
        while client.get(f"/v1/jobs/{id}").json()["state"] == "queued":
            time.sleep(0.02)
        time.sleep(0.3)
        largest = max(family(here.pid)[1:], key=lambda one: int(Path(f"/proc/{one}/statm").read_text().split()[1]))
        os.kill(largest, signal.SIGSEGV)
        while (state := client.get(f"/v1/jobs/{id}").json())["state"] == "running":
            time.sleep(0.05)
        after = client.post("/v1/deblur", files={"photo": photo()}).status_code
    return {"job": state["state"], "status": (state["problem"] or {}).get("status"), "next_photo": after}


def fuzz(folder: Path, examples: int) -> dict[str, object]:
    """Schemathesis on the OpenAPI document; what it found wrong, and what was left behind."""
    program = shutil.which("schemathesis") or shutil.which("st")
    if program is None:
        return {"skipped": "schemathesis is not installed"}
    with service(folder) as here:
        command = [program, "run", f"{here.url}/openapi.json", "--checks", CHECKS, "--max-examples", str(examples)]
        command += ["--seed", str(SEED), "--no-color", "--request-timeout", "60"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500, cwd=folder)
        seconds = time.perf_counter() - began
        counts = re.search(r"(\d+) generated, (.*)", done.stdout)
        if done.returncode:
            print(done.stdout[-6000:], file=sys.stderr)
        time.sleep(KEEP_SECONDS + 4)
        spared = (".hypothesis", ".schemathesis")
        left = [path for path in _files(folder) if not set(spared) & set(path.parts)]
        return {
            "checks": CHECKS.split(","),
            "cases": int(counts[1]) if counts else 0,
            "said": counts[0] if counts else done.stdout[-300:],
            "exit_status": done.returncode,
            "seconds": round(seconds),
            "left_behind": {"files": len(left), "waiting": here.waiting()},
            "ready": httpx.get(f"{here.url}/readyz").status_code,
        }


def promises(found: dict[str, dict]) -> dict[str, bool]:
    """What issue and pages promise, of the parts that were run."""
    kept: dict[str, bool] = {}
    if part := found.get("start"):
        kept["ready in under 2 s with a warm cache"] = part["ready_s_worst_of_5"] < 2
    if part := found.get("progress"):
        kept["first byte of progress within 300 ms"] = part["first_byte_ms_worst"] <= 300
    if part := found.get("trial"):
        kept["a trial within 2 s"] = max(part["seconds"].values()) <= 2
    if part := found.get("load"):
        kept["8 clients: every photo restored"] = set(part["statuses"]) == {"200"}
        kept["8 clients: memory flat within 10 %"] = abs(part["memory_growth_percent"] or 0) <= 10
    if part := found.get("crowd"):
        kept["a full queue says 429 and nothing worse"] = set(part["statuses"]) == {"200", "429"}
        kept["Retry-After with each 429"] = part["retry_after_in_each_429"]
    if part := found.get("abuse"):
        statuses = [*part["answers"].values(), *map(int, part["mutated_statuses"])]
        kept["bad bodies get 4xx"] = all(400 <= one < 500 for one in part["answers"].values())
        kept["mutated images get 200 or 4xx"] = all(one == 200 or 400 <= one < 500 for one in statuses)
        kept["abuse leaves nothing"] = part["left_behind"] == {
            "files": 0, "waiting": 0.0, "ready": 200, "next_photo": 200,
        }  # fmt: skip
        kept["who reads nothing is cut off"] = part["client_that_reads_nothing"] == "cut off"
    if part := found.get("crash"):
        kept["a crash costs its own photo"] = part == {"job": "failed", "status": 500, "next_photo": 200}
    if (part := found.get("fuzz")) and "skipped" not in part:
        kept["1,000 fuzzed requests or more, none wrong"] = part["cases"] >= 1000 and part["exit_status"] == 0
        kept["fuzzing leaves nothing"] = part["left_behind"] == {"files": 0, "waiting": 0.0} and part["ready"] == 200
    return kept


def main() -> None:
    """Run the parts, write the result, and fail if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="parts to run")
    parser.add_argument("--seconds", type=float, default=60, help="of load")
    parser.add_argument("--mutated", type=int, default=1000, help="images")
    parser.add_argument("--examples", type=int, default=80, help="of schemathesis, for each operation and phase")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "results" / "service.json")
    asked = parser.parse_args()
    parts: dict[str, Callable[[Path], dict[str, object]]] = {
        "start": start,
        "progress": progress,
        "trial": trial,
        "load": lambda folder: load(folder, asked.seconds),
        "crowd": lambda folder: crowd(folder, min(CROWD_SECONDS, asked.seconds)),
        "abuse": lambda folder: abuse(folder, asked.mutated),
        "crash": crash,
        "fuzz": lambda folder: fuzz(folder, asked.examples),
    }
    kept: dict[str, bool] = {}
    found: dict = json.loads(asked.output.read_text()) if asked.only and asked.output.is_file() else {}
    for name in asked.only or parts:
        with tempfile.TemporaryDirectory() as scratch:
            before = os.getloadavg()[0]
            told = parts[name](Path(scratch))
            left = [str(path) for path in Path(scratch).rglob("allfocus-*")]
        conditions = {"load_before": round(before, 2), "day": time.strftime("%Y-%m-%d")}
        found[name] = told | {"files_after_the_end": len(left), "conditions": conditions}
        print(f"{name}: {json.dumps(told)}", flush=True)
        kept = write(found, [name for name in parts if name in found], asked.output)
    print(json.dumps(kept, indent=1))
    if not all(kept.values()):
        sys.exit(1)


def write(found: dict, parts: list[str], output: Path) -> dict[str, bool]:
    """What is known so far, and the promises that it keeps."""
    measured = {name: {k: v for k, v in found[name].items() if k not in CONDITIONS} for name in parts}
    kept = promises(measured)
    kept["nothing is left after the end"] = not any(found[name]["files_after_the_end"] for name in parts)
    here = Processor.here()
    result = {
        "command": "python benchmarks/service.py",
        "machine": {"processor": here.name, "features": list(here.features), "threads": here.threads},
        "promises": kept,
        **{name: found[name] for name in parts},
    }
    output.write_text(json.dumps(result, indent=1) + "\n")
    return kept


CONDITIONS = ("files_after_the_end", "conditions")

if __name__ == "__main__":
    main()
