"""A service that listens on loopback, for the tests of this folder."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
httpx = pytest.importorskip("httpx")
pyvips = pytest.importorskip("pyvips")

from allfocus.web.limits import Limits  # noqa: E402
from allfocus.web.server import Patient, configured, listen  # noqa: E402
from allfocus.web.service import Service  # noqa: E402


@dataclass
class Served:
    """A running service and a client of it."""

    url: str
    service: Service
    client: httpx.Client

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.url.rpartition(":")[2])

    def files(self) -> list[str]:
        """What lies on the service's disk; folders may vanish meanwhile, which `Path.rglob` does not bear."""
        return [f"{folder}/{name}" for folder, _, names in os.walk(self.service.folder) for name in names]

    def wait_for(self, met: Callable[[], bool], seconds: float = 20) -> None:
        """Until something is so."""
        end = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)


@contextmanager
def served(**limits: object) -> Iterator[Served]:
    """A service with limits of its own, in a thread."""
    service = Service(Limits(**limits), engine="openvino", precision="float32")  # type: ignore[arg-type]
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Patient(configured(service), service)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    token = service.limits.token
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
        running = Served(url, service, client)
        try:
            running.wait_for(lambda: server.started and client.get("/readyz").status_code == 200, 60)
            yield running
        finally:
            server.should_exit = True
            thread.join(15)
    assert not thread.is_alive()
    assert not service.folder.exists()  # nothing is left behind


@pytest.fixture(scope="session")
def shared_service() -> Iterator[Served]:
    """One service for tests that leave it as it was."""
    with served(pixels=30_000_000, body_bytes=40_000_000, idle_seconds=1.0) as running:
        yield running


@pytest.fixture
def service(shared_service: Served) -> Iterator[Served]:
    """The shared service; after each test it holds no file, no job, and still works."""
    yield shared_service
    shared_service.wait_for(lambda: not shared_service.service.jobs.coming)
    for id in list(shared_service.service.jobs.known):
        shared_service.client.delete(f"/v1/jobs/{id}")
    shared_service.wait_for(lambda: not shared_service.files())
    assert shared_service.client.get("/readyz").status_code == 200


def blurred(height: int = 96, width: int = 128, dtype: type = np.uint8) -> np.ndarray:
    """A soft random picture, (h, w, 3)."""
    noise = np.random.default_rng(3).random((height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    image = pyvips.Image.new_from_array(noise).resize(8, kernel="cubic").crop(0, 0, width, height)
    pixels = np.clip(image.numpy(), 0, 1) * np.iinfo(dtype).max
    return np.rint(pixels).astype(dtype)


EXIF = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4s", 0x010F, 2, 4, b"abc\0") + bytes(4)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, exif: bytes | None = EXIF, icc: bytes | None = None) -> bytes:
    """A PNG file with metadata."""
    interpretation = "rgb16" if pixels.dtype == np.uint16 else "srgb"
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)
    if icc is not None:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    data = image.pngsave_buffer(keep="icc")  # libvips would add EXIF of its own
    return data[:33] + (chunk(b"eXIf", exif) if exif else b"") + data[33:]


def jpeg(pixels: np.ndarray) -> bytes:
    """A JPEG file."""
    return pyvips.Image.new_from_array(pixels).jpegsave_buffer(Q=92)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def opened(data: bytes) -> pyvips.Image:
    """An encoded picture."""
    return pyvips.Image.new_from_buffer(data, "")


__all__ = ["EXIF", "Served", "blurred", "bomb", "jpeg", "opened", "png", "served"]
