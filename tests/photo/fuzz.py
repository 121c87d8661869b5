"""Fuzzing of the decoders: files of the corpus, damaged at random, may be restored or refused, nothing else.

    python tests/photo/fuzz.py --seconds 3600          what `make fuzz` runs: all decoders in turn
    python tests/photo/fuzz.py --seconds 60 --only png

Each file is decoded in a worker with bounded memory, so that a native crash or a file that takes too long is found as
well. What is found is written to tests/photo/findings, where test_fuzz.py decodes it for ever after.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import resource
import struct
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from allfocus.errors import AllfocusError
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode
from allfocus.photo.tiling import Box

HERE = Path(__file__).resolve().parent
CORPUS, FINDINGS = HERE / "corpus", HERE / "findings"
PATIENCE_SECONDS = 20
MEMORY_BYTES = 4 * 2**30
MAX_PIXELS = 4_000_000
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)


def corpus(decoder: str | None = None) -> list[Path]:
    """The files to start from; the first word of a name is its decoder."""
    return [path for path in sorted(CORPUS.iterdir()) if decoder in (None, path.name.split("-")[0])]


def damaged(data: bytes, dice: random.Random) -> bytes:
    """The data with one to four of: bits turned, a span cut, zeroed, doubled or exchanged, a number set, an end cut."""
    file = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(file)) if dice.random() < 0.6 else dice.randrange(min(len(file), 256))
        size = min(len(file) - at, dice.choice((1, 2, 4, 8, 32, 256)))
        kind = dice.randrange(7)
        if kind == 0:
            file[at] ^= 1 << dice.randrange(8)
        elif kind == 1 and len(file) > size:
            del file[at : at + size]
        elif kind == 2:
            file[at : at + size] = bytes(size)
        elif kind == 3:
            file[at:at] = file[at : at + size]
        elif kind == 4:
            other = dice.randrange(len(file) - size + 1)
            file[at : at + size] = file[other : other + size]
        elif kind == 5 and at + 4 <= len(file):
            value, order = dice.choice(INTERESTING), dice.choice("<>")
            letter = dice.choice("BHI")
            struct.pack_into(order + letter, file, at, value & (256 ** struct.calcsize(letter) - 1))
        elif kind == 6 and at:
            del file[at:]
    return bytes(file)


def mutants(seed: int, decoder: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Endless damaged files with the names of those that they were made from."""
    dice = random.Random(seed)
    files = {path.name: path.read_bytes() for path in corpus(decoder)}
    while True:
        name = dice.choice(list(files))
        yield name, damaged(files[name], dice)


def verdict(data: bytes, allow_damaged: bool) -> str:
    """ "restored" or "refused"; anything else that happens is an exception."""
    try:
        photo = decode(data, max_pixels=MAX_PIXELS, allow_damaged=allow_damaged)
    except AllfocusError as refusal:
        assert refusal.got and refusal.expected and refusal.hint
        return "refused"
    whole = Box(0, 0, photo.width, photo.height)
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(whole, photo.read(whole))
        try:
            out = encode(photo, canvas, None)
        except AllfocusError:
            return "refused"  # too large for its format, say
    assert out is not None
    again = decode(out)
    assert (again.width, again.height) == (photo.width, photo.height)
    return "restored"


def _work(pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    while True:
        data, allow_damaged = pipe.recv()
        try:
            pipe.send(verdict(data, allow_damaged))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")


class Worker:
    """A process that decodes one file after another and is replaced when it dies or takes too long."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()

    def run(self, data: bytes, allow_damaged: bool) -> str:
        """The verdict, an exception as text, "crash" or "hang"."""
        self.pipe.send((data, allow_damaged))
        try:
            if self.pipe.poll(PATIENCE_SECONDS):
                return self.pipe.recv()
            outcome = "hang"
        except EOFError:
            outcome = "crash"
        self.process.kill()
        self.process.join()
        self._start()
        return outcome


def main() -> None:
    """Fuzz until the time is over; exit with 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", help="one decoder: jpeg, png, tiff, webp, avif, heic or raw")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    FINDINGS.mkdir(exist_ok=True)
    worker, started, counts, found = Worker(), time.monotonic(), {"restored": 0, "refused": 0}, 0
    for number, (name, data) in enumerate(mutants(arguments.seed, arguments.only)):
        if time.monotonic() - started > arguments.seconds:
            break
        outcome = worker.run(data, allow_damaged=number % 2 == 1)
        if outcome in counts:
            counts[outcome] += 1
            continue
        found += 1
        place = FINDINGS / f"{name.split('-')[0]}-{hashlib.sha256(data).hexdigest()[:12]}"
        place.write_bytes(data)
        print(f"{place.name} from {name}: {outcome}", flush=True)
    print(f"seed {arguments.seed}: {counts['restored']} restored, {counts['refused']} refused, {found} found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
