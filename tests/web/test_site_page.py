"""The static site in Chromium, behind nothing but a file server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import pyvips

import allfocus
from allfocus.engine.processor import Processor
from allfocus.errors import InputError
from allfocus.web.site import RUNTIME, build
from web.chromium import Watched, chromium, drop, needs_chromium, real_photo, save, sharpen, work_through
from web.conftest import blurred, opened
from web.test_metadata import XMP, exif, jpeg, profile, webp
from web.test_png import encoded, with_orientation

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A built site behind Python's file server; the URL."""
    folder = tmp_path_factory.mktemp("site")
    runtime = os.environ.get("ALLFOCUS_ORT_WEB")
    try:
        build(folder / "site", runtime=Path(runtime) if runtime else None)
    except InputError as error:
        pytest.skip(f"{RUNTIME} is not to be had: {error}")
    handler = functools.partial(Quiet, directory=str(folder / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files, without a log."""

    extensions_map: ClassVar[dict[str, str]] = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
    }

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """A browser that loads the page again leaves files half sent."""
        try:
            super().copyfile(source, outputfile)
        except ConnectionError:
            self.close_connection = True


def visit(browser: Any, url: str) -> Watched:
    """The page, ready."""
    watched = Watched.of(browser, viewport={"width": 1440, "height": 900})
    watched.page.goto(url)
    watched.page.wait_for_function("crossOriginIsolated", timeout=60_000)  # loaded once more, by the service worker
    watched.page.locator("body[data-ready=yes]").wait_for(timeout=120_000)
    return watched


def agreement_db(data: bytes, saved: Path) -> float:
    """PSNR between what Python's engine makes of a photo and a saved file."""
    here = allfocus.deblur(data, engine="openvino", precision="float32")
    assert isinstance(here, bytes)
    one, other = (opened(file).numpy() for file in (here, saved.read_bytes()))
    assert one.shape == other.shape and one.dtype == other.dtype
    error = ((one.astype(float) - other) ** 2).mean()
    return float(10 * np.log10(np.iinfo(one.dtype).max ** 2 / error))


def test_a_photographer_without_a_server(site: str, repository: Path, tmp_path: Path) -> None:
    with chromium() as browser:
        watched = visit(browser, site)
        work_through(watched.page, real_photo(repository), tmp_path)
        watched.page.context.set_offline(True)  # every file was kept at the first visit
        watched.page.reload()
        watched.page.locator("body[data-ready=yes]").wait_for(timeout=120_000)
        watched.check()


def test_a_megapixel_does_not_hold_the_page_up_and_agrees_with_python(
    site: str, repository: Path, tmp_path: Path
) -> None:
    data = real_photo(repository, 1224, 816)
    with chromium() as browser:
        watched = visit(browser, site)
        page = watched.page
        drop(page, "cat.png", data)
        seconds = -time.monotonic()
        told = sharpen(page)
        seconds += time.monotonic()
        where, tried = page.inner_text("#engine"), None
        saved = save(page, tmp_path)
        assert len(set(told["shown"])) > 1  # tile by tile
        for _ in range(3):
            page.click("#try")
            page.wait_for_timeout(200)
            page.locator("#line", has_text="Tried on").wait_for(timeout=120_000)
            tried = re.search(r"Tried on (\d+ × \d+) px in ([0-9.]+) s", page.inner_text("#line"))
        watched.check()
    longest = max(told["tasks"])
    assert longest < 500
    agreement = agreement_db(data, saved)
    assert agreement > 40
    target = os.environ.get("ALLFOCUS_SITE_RESULT")
    if not target:
        return
    assert tried is not None
    python = {}
    for precision in ("float32", "auto"):
        engine = allfocus.deblurrer.Deblurrer("ifan-fast", "openvino", precision)
        engine.run(data)
        began = time.monotonic()
        done = engine.run(data)
        python[done.engine.precision] = round((time.monotonic() - began) / 0.998784, 2)
    here = Processor.here()
    row = {
        "command": "ALLFOCUS_SITE_RESULT=results/site.json make test-page",
        "photo": "examples/photos/cat-real.png, mirrored to 1224x816, 16-bit PNG, from the click to the finished file",
        "browser": where,
        "browser_s_per_megapixel": round(seconds / 0.998784, 2),
        "python_s_per_megapixel": python,
        "agreement_db": round(agreement, 1),
        "longest_task_of_the_page_ms": round(longest),
        "trial": {"piece_px": tried[1], "seconds": float(tried[2])},
        "machine": {"processor": here.name, "features": list(here.features), "threads": here.threads},
        "load_before": round(os.getloadavg()[0], 2),
        "day": time.strftime("%Y-%m-%d"),
    }
    known = json.loads(Path(target).read_text()) if Path(target).is_file() else {}
    kept = {name: known[name] for name in ("webgpu",) if name in known}
    Path(target).write_text(json.dumps(row | kept, indent=1) + "\n")


def metadata_of(saved: Path) -> dict[str, Any]:
    picture = opened(saved.read_bytes())
    wanted = ("icc-profile-data", "xmp-data", "orientation", "exif-ifd0-Make")
    return {name: picture.get(name) for name in wanted if name in picture.get_fields()}


def test_jpeg_and_webp_keep_what_the_photo_said(site: str, tmp_path: Path) -> None:
    icc = profile("p3")
    photos = {
        "a.jpg": (jpeg(icc), "image/jpeg"),
        "b.webp": (webp(icc), "image/webp"),
        "c.webp": (webp(icc, lossless=True), "image/webp"),
    }
    with chromium() as browser:
        watched = visit(browser, site)
        page = watched.page
        for name, (data, kind) in photos.items():
            drop(page, name, data, kind)
            page.locator("#strength").fill("0")
            sharpen(page)
            saved = save(page, tmp_path)
            assert saved.name == name.replace(".", ".sharp.")
            told = metadata_of(saved)
            assert told["icc-profile-data"] == icc
            turned = name == "a.jpg"  # a WebP stays as it is stored, its orientation with it
            assert told["xmp-data"] == (XMP.replace(b'"6"', b'"1"') if turned else XMP)
            assert told["orientation"] == (1 if turned else 6) and "abc" in told["exif-ifd0-Make"]
            before, other = opened(data).autorot() if turned else opened(data), opened(saved.read_bytes())
            assert (other.width, other.height) == ((96, 128) if turned else (128, 96))
            difference = before.numpy().astype(int) - other.numpy().astype(int)
            if name == "c.webp":
                assert not difference.any()  # strength 0, without loss
            else:  # encoded twice, but no colour was converted
                assert np.abs(difference).mean() < 4 and np.abs(difference.mean(axis=(0, 1))).max() < 0.7
            notes = page.inner_text("#line")
            assert ("without loss" in notes) == (name == "c.webp") and "Written by the browser" in notes
        assert exif(1) in (tmp_path / "a.sharp.jpg").read_bytes()
        watched.check()


def test_pngs_of_other_kinds(site: str, tmp_path: Path) -> None:
    wide = blurred(dtype=np.uint16)
    photos: dict[str, tuple[bytes, Callable[[pyvips.Image], None]]] = {
        "turned.png": (with_orientation(encoded(wide), 6), lambda saved: is_like(saved, (96, 128, 3), "ushort")),
        "laced.png": (encoded(wide, interlace=True), lambda saved: is_like(saved, (128, 96, 3), "ushort")),
        "grey.png": (encoded(wide[..., :1]), lambda saved: is_like(saved, (128, 96, 1), "ushort")),
        "alpha.png": (
            encoded(np.dstack([wide, wide[..., :1]])), lambda saved: is_like(saved, (128, 96, 4), "ushort"),
        ),
        "palette.png": (
            with_orientation(encoded(blurred(), palette=True), 8), lambda saved: is_like(saved, (96, 128, 3), "uchar"),
        ),
    }  # fmt: skip
    with chromium() as browser:
        watched = visit(browser, site)
        for name, (data, check) in photos.items():
            drop(watched.page, name, data)
            sharpen(watched.page)
            saved = save(watched.page, tmp_path)
            check(opened(saved.read_bytes()))
            if name in ("turned.png", "laced.png", "grey.png"):
                assert agreement_db(data, saved) > 40, name
            assert ("read by the browser" in watched.page.inner_text("#line")) == (name == "palette.png")
        watched.check()


def is_like(picture: pyvips.Image, shape: tuple[int, int, int], format: str) -> None:
    assert (picture.width, picture.height, picture.bands) == shape
    assert picture.format == format


def test_what_it_cannot_read_is_said(site: str) -> None:
    with chromium() as browser:
        watched = visit(browser, site)
        page = watched.page
        assert "the program allfocus" in page.inner_text("#promise")
        tiff = pyvips.Image.new_from_array(blurred()).tiffsave_buffer()
        page.set_input_files("#files", {"name": "a.tif", "mimeType": "image/tiff", "buffer": tiff})
        page.locator("#line.bad", has_text="a.tif").wait_for()
        assert "the program allfocus" in page.inner_text("#line")
        watched.check()


def test_webgpu_agrees_with_python(site: str, repository: Path, tmp_path: Path) -> None:
    image = pyvips.Image.new_from_file(str(repository / "examples/photos/cat-real.png")).extract_band(0, n=3)
    data = image.crop(120, 90, 128, 96).pngsave_buffer(keep="none")
    with chromium("--enable-unsafe-webgpu") as browser:
        watched = visit(browser, f"{site}?engine=webgpu")
        page = watched.page
        if "WebGPU" not in page.inner_text("#engine"):
            pytest.skip("this Chromium has no WebGPU, not even in software")
        adapter = page.evaluate(
            "navigator.gpu.requestAdapter().then(({info}) => `${info.vendor} ${info.architecture}`)"
        )
        drop(page, "cat.png", data)
        seconds = -time.monotonic()
        sharpen(page)
        seconds += time.monotonic()
        assert "webgpu" in (page.text_content("#facts") or "")
        agreement = agreement_db(data, save(page, tmp_path))
        watched.check()
    assert agreement > 40
    target = os.environ.get("ALLFOCUS_SITE_RESULT")
    if target:
        known = json.loads(Path(target).read_text()) if Path(target).is_file() else {}
        told = {
            "adapter": adapter,
            "photo": "128x96",
            "seconds": round(seconds, 1),
            "agreement_db": round(agreement, 1),
        }
        Path(target).write_text(json.dumps(known | {"webgpu": told}, indent=1) + "\n")
