"""The page in a real browser: Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pyvips

from web.conftest import EXIF, chunk, served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = "axe-core@4.14.1"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checker, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    done = subprocess.run([npm, "pack", AXE], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot fetch {AXE}")
    shutil.unpack_archive(next(folder.glob("*.tgz")), folder)
    return (folder / "package" / "axe.min.js").read_text()


def serious(page: playwright.Page, axe: str) -> list[str]:
    """Rules of axe-core that the page breaks seriously."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def watched(browser: playwright.Browser, **options: object) -> tuple[playwright.Page, list[str], list[str]]:
    """A page, what goes wrong on it, and what it asks for elsewhere."""
    page = browser.new_page(**options)  # type: ignore[arg-type]
    wrong: list[str] = []
    elsewhere: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    local = ("http://127.0.0.1", "blob:", "data:")
    page.on("request", lambda request: None if request.url.startswith(local) else elsewhere.append(request.url))
    return page, wrong, elsewhere


def write_real_photo(repository: Path, path: Path) -> None:
    """A real photo as a 16-bit PNG with ICC profile and EXIF."""
    image = pyvips.Image.new_from_file(str(repository / "examples/photos/cat-real.png"))
    image = (image.extract_band(0, n=3).cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    profile = pyvips.Image.black(1, 1).copy(interpretation="srgb").icc_export(output_profile="p3")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile.get("icc-profile-data"))
    data = image.pngsave_buffer(keep="icc")
    path.write_bytes(data[:33] + chunk(b"eXIf", EXIF) + data[33:])


def work_through(
    page: playwright.Page, photo: Path, folder: Path, *, tries: bool = True
) -> tuple[Path, dict[str, object]]:
    """What a photographer does; gives the file that was saved."""
    data = photo.read_bytes()
    page.evaluate(
        """([name, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, {type: 'image/png'}));
          window.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, cancelable: true}));
        }""",
        [photo.name, base64.b64encode(data).decode()],
    )
    line = page.locator("#line")
    page.locator("#view:not([hidden])").wait_for()
    if tries:
        page.locator("#strength").fill("80")
        page.click("#try")
        page.locator("#line", has_text="Tried on").wait_for(timeout=120_000)
    page.evaluate(
        """() => {
          window.lines = [];
          new MutationObserver(() => window.lines.push(document.getElementById('line').textContent))
            .observe(document.getElementById('line'), {childList: true, characterData: true, subtree: true});
        }"""
    )
    page.click("#leave")
    stage = page.locator("#view").bounding_box()
    assert stage is not None
    left, top = stage["x"] + stage["width"] * 0.42, stage["y"] + stage["height"] * 0.5
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left, top + 60, steps=5)
    page.mouse.up()
    page.click("#leave")
    page.click("#run")
    page.locator("#save:not([hidden])").wait_for(timeout=280_000)
    lines = page.evaluate("window.lines")
    assert any("tile 1 of" in said for said in lines), lines
    assert "left alone" in (line.text_content() or "")
    before = page.locator("#divider").input_value()
    page.locator("#view").focus()
    page.keyboard.press("]")
    assert page.locator("#divider").input_value() != before
    page.click("#map")
    page.locator("#legend:not([hidden])").wait_for()
    page.mouse.move(left + 90, top)
    page.locator("#reading", has_text="px blur radius").wait_for()
    page.click("#map")
    page.click("#loupe")
    with page.expect_download() as waiting:
        page.click("#save")
    saved = folder / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    return saved


def check_saved(saved: Path, photo: Path) -> None:
    """Size, depth, ICC and EXIF of a 16-bit PNG are those of the photo, and it was changed."""
    assert saved.name == "cat.sharp.png"
    one, other = (pyvips.Image.new_from_file(str(path)) for path in (photo, saved))
    assert (other.width, other.height, other.bands, other.format) == (one.width, one.height, 3, "ushort")
    assert other.get("icc-profile-data") == one.get("icc-profile-data")
    assert EXIF in saved.read_bytes()
    change = np.abs(one.numpy().astype(int) - other.numpy().astype(int))
    assert change.max() > 1000
    assert (change.max(axis=2) == 0).mean() > 0.002  # the stroke, at the least


def shoot(page: playwright.Page, name: str) -> None:
    """A screenshot for the documents, where ALLFOCUS_SCREENSHOTS names a folder."""
    folder = os.environ.get("ALLFOCUS_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.jpg"), type="jpeg", quality=82)


def test_a_photographer_at_the_service(browser: playwright.Browser, axe: str, repository: Path, tmp_path: Path) -> None:
    real_photo = tmp_path / "cat.png"
    write_real_photo(repository, real_photo)
    with served() as service:
        page, wrong, elsewhere = watched(browser, viewport={"width": 1440, "height": 900}, color_scheme="dark")
        page.goto(service.url)
        page.locator("body[data-ready=yes]").wait_for(timeout=60_000)
        assert serious(page, axe) == []
        saved = work_through(page, real_photo, tmp_path)
        check_saved(saved, real_photo)
        shoot(page, "desktop-dark")
        page.click("#loupe")
        page.click("#map")
        page.emulate_media(color_scheme="light")
        page.wait_for_timeout(300)
        assert serious(page, axe) == []
        shoot(page, "desktop-light-map")
        page.set_viewport_size({"width": 390, "height": 844})
        page.click("#map")
        page.click("#fit")
        page.wait_for_timeout(200)
        assert serious(page, axe) == []
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
        shoot(page, "phone-light")
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(200)
        shoot(page, "phone-dark")
        assert serious(page, axe) == []
        assert wrong == [] and elsewhere == []
