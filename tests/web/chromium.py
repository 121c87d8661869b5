"""A photographer's hands in a real browser: Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from web.conftest import EXIF, chunk

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
STROKE_PX = 60  # downwards, on the screen


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A browser."""
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, what goes wrong on it, and what it asks for elsewhere."""

    page: Any
    wrong: list[str]
    elsewhere: list[str]

    @classmethod
    def of(cls, browser: Any, **options: object) -> Watched:
        """A new page of a browser."""
        found = cls(browser.new_page(**options), [], [])
        local = ("http://127.0.0.1", "blob:", "data:")
        page, wrong, elsewhere = found.page, found.wrong, found.elsewhere
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(local) else elsewhere.append(request.url))
        return found

    def open(self, url: str, timeout: float = 60_000) -> Any:
        """The page at an address, once it is ready."""
        self.page.goto(url)
        self.page.locator("body[data-ready=yes]").wait_for(timeout=timeout)
        return self.page

    def check(self) -> None:
        """No error in the console, no request to another place."""
        assert self.wrong == [] and self.elsewhere == []


def real_photo(repository: Path, width: int = 0, height: int = 0) -> bytes:
    """A real photo as a 16-bit PNG with a wide profile and EXIF; continued by its mirror image to a size."""
    image = pyvips.Image.new_from_file(str(repository / "examples/photos/cat-real.png"))
    if width:
        left, top = (width - image.width) // 2, (height - image.height) // 2
        image = image.embed(left, top, width, height, extend="mirror")
    image = (image.extract_band(0, n=3).cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    profile = pyvips.Image.black(1, 1).copy(interpretation="srgb").icc_export(output_profile="p3")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile.get("icc-profile-data"))  # type: ignore[arg-type]
    data = image.pngsave_buffer(keep="icc")
    return data[:33] + chunk(b"eXIf", EXIF) + data[33:]


def drop(page: Any, name: str, data: bytes, kind: str = "image/png") -> None:
    """Drop a file on the page, and wait until it is shown."""
    page.evaluate(
        """([name, text, type]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, {type}));
          window.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, cancelable: true}));
        }""",
        [name, base64.b64encode(data).decode(), kind],
    )
    page.locator("#line", has_text=name).wait_for(timeout=30_000)


def sharpen(page: Any) -> dict[str, Any]:
    """Press the button and wait: what was said, what the canvas showed at each tile, tasks that held the page up."""
    page.evaluate(
        """() => {
          const line = document.getElementById('line'), view = document.getElementById('view');
          const small = new OffscreenCanvas(64, 64), told = {lines: [], shown: [], tasks: [0]};
          const look = () => requestAnimationFrame(() => requestAnimationFrame(() => {
            const context = small.getContext('2d', {willReadFrequently: true});
            context.drawImage(view, 0, 0, 64, 64);
            const {data} = context.getImageData(0, 0, 64, 64);
            told.shown.push(data.reduce((sum, value, at) => (31 * sum + value * (at % 97)) % 1000003, 7));
          }));
          const note = (list) => list.getEntries().forEach((one) => told.tasks.push(one.duration));
          new PerformanceObserver(note).observe({type: 'longtask'});
          window.told = told;
          const said = () => { told.lines.push(line.textContent); if (/tile \\d/.test(line.textContent)) look(); };
          new MutationObserver(said).observe(line, {childList: true, characterData: true, subtree: true});
        }"""
    )
    page.click("#run")
    page.locator("#save:not([hidden])").wait_for(timeout=550_000)
    assert "left alone" in page.inner_text("#line")
    return page.evaluate("window.told")


def save(page: Any, folder: Path) -> Path:
    """Download the result."""
    with page.expect_download() as waiting:
        page.click("#save")
    saved = folder / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    return saved


def shown(page: Any) -> bytes:
    """What the canvas shows."""
    page.wait_for_timeout(100)
    return page.locator("#view").screenshot()


def work_through(page: Any, data: bytes, folder: Path) -> Path:
    """All that the page is for, on one 16-bit photo; gives the file that was saved, checked."""
    photo = pyvips.Image.new_from_buffer(data, "")
    drop(page, "cat.png", data)
    page.locator("#strength").fill("80")
    page.click("#try")
    page.locator("#line", has_text="Tried on").wait_for(timeout=120_000)
    tried = shown(page)
    page.locator("#strength").fill("20")
    assert shown(page) != tried  # strength changes at once
    page.locator("#strength").fill("80")
    x, y = stroke(page, photo.width, photo.height)
    told = sharpen(page)
    assert any("tile 1 of" in said for said in told["lines"]), told["lines"]
    tiles = max(int(said.rpartition(" ")[2]) for said in told["lines"] if "tile 1 of" in said)
    assert len(set(told["shown"])) >= min(tiles, 2)  # the picture changed tile by tile
    before = page.locator("#divider").input_value(), shown(page)
    page.locator("#view").focus()
    for _ in range(4):
        page.keyboard.press("]")
    assert page.locator("#divider").input_value() != before[0] and shown(page) != before[1]
    plain = shown(page)
    page.click("#map")
    page.locator("#legend:not([hidden])").wait_for()
    page.mouse.move(x + 90, y)
    page.locator("#reading", has_text="px blur radius").wait_for()
    assert shown(page) != plain
    page.click("#map")
    saved = save(page, folder)
    check_saved(saved, data, *place(page, photo.width, photo.height, x, y + STROKE_PX / 2))
    page.locator("#strength").fill("30")
    assert not page.locator("#save").is_visible()  # what would be saved is not what is shown
    assert page.inner_text("#run") == "Apply changes"
    page.locator("#strength").fill("80")
    assert page.locator("#save").is_visible()
    page.click("#loupe")
    return saved


def stroke(page: Any, width: int, height: int) -> tuple[float, float]:
    """Paint a line that is to be left alone; gives its upper end on the screen."""
    stage = page.locator("#view").bounding_box()
    x, y = stage["x"] + stage["width"] * 0.42, stage["y"] + stage["height"] * 0.5
    page.click("#leave")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + STROKE_PX, steps=5)
    page.mouse.up()
    page.click("#leave")
    return x, y


def place(page: Any, width: int, height: int, x: float, y: float) -> tuple[int, int]:
    """Where in the photo a point of the screen lies, while the whole photo is shown."""
    stage = page.locator("#view").bounding_box()
    zoom = min(stage["width"] / width, stage["height"] / height) * 0.94
    return (
        round(width / 2 + (x - stage["x"] - stage["width"] / 2) / zoom),
        round(height / 2 + (y - stage["y"] - stage["height"] / 2) / zoom),
    )


def check_saved(saved: Path, data: bytes, x: int, y: int) -> None:
    """Size, depth, ICC and EXIF of a 16-bit PNG are those of the photo; it was changed, but not under the brush."""
    assert saved.name == "cat.sharp.png"
    one, other = pyvips.Image.new_from_buffer(data, ""), pyvips.Image.new_from_file(str(saved))
    assert (other.width, other.height, other.bands, other.format) == (one.width, one.height, 3, "ushort")
    assert other.get("icc-profile-data") == one.get("icc-profile-data")
    assert EXIF in saved.read_bytes()
    change = np.abs(one.numpy().astype(int) - other.numpy().astype(int)).max(axis=2)
    assert change.max() > 1000
    assert change[y - 3 : y + 4, x - 3 : x + 4].max() == 0
    assert change[y - 40 : y + 41, x - 80 : x + 81].max() > 0  # beside the stroke it was


def shoot(page: Any, name: str) -> None:
    """A screenshot for the documents, where ALLFOCUS_SCREENSHOTS names a folder."""
    folder = os.environ.get("ALLFOCUS_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.jpg"), type="jpeg", quality=82)
