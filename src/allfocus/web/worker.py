"""The process that touches photos: it decodes, restores and encodes; a crash does not affect the service.

`python -m allfocus.web.worker` reads requests on standard input and writes what happens to standard output, as JSON
lines (see `protocol`). Pixels travel through files in the job's folder. It ends when its input ends.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from allfocus.errors import AllfocusError, EngineError
from allfocus.web import protocol
from allfocus.web.problems import Refusal
from allfocus.web.protocol import Message

if TYPE_CHECKING:
    from allfocus.restore import Progress

LOADED_MODELS = 2
TILE_QUALITY = 88


class Cancelled(Exception):
    """The service has cancelled this job."""


class Desk:
    """Requests in, events out; nothing else may write to `out`."""

    def __init__(self, out: IO[bytes], options: Message) -> None:
        self.out = out
        self.options = options
        self.requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.cancelled: set[str] = set()
        self.models: OrderedDict[str, Any] = OrderedDict()

    def say(self, **event: Any) -> None:
        """Send one event."""
        self.out.write(protocol.line(event))
        self.out.flush()

    def listen(self, lines: IO[bytes]) -> None:
        """Take requests in; runs in a thread of its own so that a job can be cancelled while it runs."""
        import json

        for text in lines:
            message = json.loads(text)
            if message["do"] == "cancel":
                self.cancelled.add(message["job"])
            else:
                self.requests.put(message)
        os._exit(0)  # the service is gone: nobody waits for what runs

    def work(self) -> None:
        """Answer requests one by one."""
        handlers: dict[str, Callable[[Message], Message]] = {
            "load": self.load,
            "inspect": self.inspect,
            "preview": self.preview,
            "restore": self.restore,
            "map": self.map,
        }
        while (request := self.requests.get()) is not None:
            job = request["job"]
            try:
                self.check(job)
                event = handlers[request["do"]](request)
            except Cancelled:
                event = {"is": "cancelled"}
            except AllfocusError as error:
                event = {"is": "failed", "problem": _problem(error, request)}
            except MemoryError:
                event = {"is": "failed", "problem": _problem(_no_memory(), request)}
            except Exception as error:
                import traceback

                traceback.print_exc()
                event = {"is": "failed", "problem": _problem(_unexpected(error), request)}
            self.cancelled.discard(job)
            self.say(job=job, **event)

    def check(self, job: str) -> None:
        """Stop a job that is no longer wanted."""
        if job in self.cancelled:
            raise Cancelled

    def load(self, request: Message) -> Message:
        """The engine, before the first photo needs it."""
        info = self.deblurrer(request["model"]).engine.info
        return {"is": "ready", "engine": {"name": info.name, "precision": info.precision, "device": info.device}}

    def deblurrer(self, model: str) -> Any:
        """A model on its engine; the last two stay loaded."""
        from allfocus.deblurrer import Deblurrer

        if model not in self.models:
            self.models[model] = Deblurrer(model, self.options["engine"], self.options["precision"])
        self.models.move_to_end(model)
        while len(self.models) > LOADED_MODELS:
            self.models.popitem(last=False)
        return self.models[model]

    def inspect(self, request: Message) -> Message:
        """Format and size, from the header alone."""
        from allfocus.photo.codecs import header

        found = header(request["photo"], max_pixels=request["pixels"])
        return {"is": "done", "facts": found._asdict()}

    def preview(self, request: Message) -> Message:
        """The photo as a PNG that every browser shows: 8 bit, sRGB."""
        from allfocus.photo.codecs import decode
        from allfocus.web.pictures import write_preview

        photo = decode(request["photo"], max_pixels=request["pixels"])
        write_preview(photo, Path(request["output"]))
        return {"is": "done", "facts": {"width": photo.width, "height": photo.height, "depth": photo.depth}}

    def restore(self, request: Message) -> Message:
        """Deblur a photo; tiles are reported as they finish."""
        from allfocus.photo import formats
        from allfocus.photo.codecs import header
        from allfocus.restore import Settings
        from allfocus.speeds import BALANCED, SPEEDS, speed_of
        from allfocus.web.pictures import write_cells

        job, options, folder = request["job"], dict(request["options"]), Path(request["folder"])
        started = time.perf_counter()
        quality, speed = options.pop("quality"), speed_of(options.pop("speed"))
        named = options.pop("model") or (request["model"] if speed == SPEEDS[BALANCED] else speed.model)
        model = self.deblurrer(named)
        format = header(request["photo"], max_pixels=request["pixels"]).format
        target = folder / f"sharp{formats.extension(format)}"
        self.say(job=job, **{"is": "started"})
        teller = TileTeller(self, job, folder / "tiles" if request["tiles"] else None)
        done = model.run(
            request["photo"],
            target,
            speed.settings(Settings(**options, with_map=True, with_tiles=request["tiles"])),
            quality=quality,
            mask=request["mask"],
            overwrite=True,
            pixel_limit=request["pixels"],
            progress=teller,
        )
        if done.defocus_map is not None:
            write_cells(done.defocus_map, folder / "cells.json")
        facts = done.facts() | {"format": format, "seconds": round(time.perf_counter() - started, 3)}
        return {"is": "done", "result": target.name, "facts": facts}

    def map(self, request: Message) -> Message:
        """The defocus map of a finished job as a file, from its cells."""
        from allfocus.web.pictures import write_map

        write_map(Path(request["cells"]), Path(request["output"]), request["model"])
        return {"is": "done"}


class TileTeller:
    """Reports each tile to the service, with a picture if requested; stops a cancelled job."""

    def __init__(self, desk: Desk, job: str, folder: Path | None) -> None:
        self.desk, self.job, self.folder = desk, job, folder
        self.count = 0
        if folder is not None:
            folder.mkdir()

    def __call__(self, step: Progress) -> None:
        self.desk.check(self.job)
        if not step.done:
            return
        self.count += 1
        event = {"is": "tile", "scale": step.scale, "done": step.done, "total": step.total}
        if self.folder is not None and step.tile is not None and step.sharp is not None:
            from allfocus.web.pictures import write_tile

            write_tile(step.sharp, self.folder / f"{self.count}.jpg", TILE_QUALITY)
            box = step.tile.target
            event |= {"box": [box.x, box.y, box.width, box.height], "tile": self.count}
        self.desk.say(job=self.job, **event)


def _problem(error: AllfocusError, request: Message) -> Message:
    """The refusal, with the name that the client gave instead of our path."""
    problem = Refusal.of(error).to_json()
    for part in ("got", "expected", "try"):
        if "photo" in request:
            problem[part] = problem[part].replace(request["photo"], request["name"])
        if "folder" in request:
            problem[part] = problem[part].replace(request["folder"], "the service")
    return problem


def _no_memory() -> AllfocusError:
    return EngineError("no memory for this photo", "a photo that fits", "a smaller photo or tile")


def _unexpected(error: Exception) -> AllfocusError:
    return AllfocusError(f"{type(error).__name__} inside allfocus", "a result", "report it, with the service's log")


def main() -> None:
    """Work until the input ends."""
    import json

    faulthandler.enable()  # a native crash says where
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print does not mix with the events
    desk = Desk(out, json.loads(sys.argv[1]))
    threading.Thread(target=desk.listen, args=(sys.stdin.buffer,), daemon=True).start()
    desk.work()


if __name__ == "__main__":
    main()
