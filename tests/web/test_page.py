"""The page of the service in Chromium: everything that it is for, its accessibility, and its looks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from web.chromium import Watched, chromium, drop, needs_chromium, real_photo, sharpen, shoot, work_through
from web.conftest import blurred, jpeg, png, served

AXE = "axe-core@4.14.1"
pytestmark = [pytest.mark.browser, needs_chromium]


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


def violations(page: Any, axe: str) -> list[str]:
    """Rules of axe-core that the page breaks, with their weight."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]]


def test_a_photographer_at_the_service(axe: str, repository: Path, tmp_path: Path) -> None:
    with served() as service, chromium() as browser:
        watched = Watched.of(browser, viewport={"width": 1440, "height": 900}, color_scheme="dark")
        page = watched.open(service.url)
        assert violations(page, axe) == []
        shoot(page, "welcome-dark")
        work_through(page, real_photo(repository, 1500, 1000), tmp_path)
        assert violations(page, axe) == []
        page.reload()
        page.locator("body[data-ready=yes]").wait_for(timeout=60_000)
        names = ("coffee-simulated.jpg", "astronaut-simulated.jpg", "cat-real.png")
        page.set_input_files("#files", [str(repository / "examples/photos" / name) for name in names])
        page.locator("#line", has_text="coffee").wait_for()
        sharpen(page)
        magnify(page, 0.84, 0.4)
        shoot(page, "desktop-dark")
        magnify(page, 0.84, 0.4)
        page.emulate_media(color_scheme="light")
        page.click("#map")
        page.click("#told summary")
        page.click("#leave")
        page.locator("#bokeh").check()
        page.wait_for_timeout(300)
        assert violations(page, axe) == []
        page.locator("#bokeh").uncheck()
        page.click("#leave")
        page.click("#told summary")
        shoot(page, "desktop-light-map")
        page.set_viewport_size({"width": 390, "height": 844})
        page.click("#map")
        page.click("#fit")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(200)
            assert violations(page, axe) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            shoot(page, f"phone-{scheme}")
        watched.check()


def magnify(page: Any, across: float, down: float) -> None:
    """Switch the magnifier and point at a place of the stage."""
    page.click("#loupe")
    stage = page.locator("#view").bounding_box()
    page.mouse.move(stage["x"] + across * stage["width"], stage["y"] + down * stage["height"])
    page.wait_for_timeout(200)


def test_keys_reach_everything() -> None:
    with served() as service, chromium() as browser:
        watched = Watched.of(browser, viewport={"width": 1200, "height": 800})
        page = watched.open(service.url)
        drop(page, "a.png", png(blurred(200, 300)))
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        wanted = {"open", "theme", "view", "fit", "full", "loupe", "run", "strength", "model", "scale", "bokeh", "try"}
        assert wanted | {"leave", "sharpen"} <= reached
        page.locator("#view").focus()
        page.keyboard.press("ArrowRight")  # the magnifier
        assert page.get_attribute("#loupe", "aria-pressed") == "true"
        page.locator("#run").focus()
        page.keyboard.press("Enter")
        page.locator("#save:not([hidden])").wait_for(timeout=60_000)
        page.locator("#view").focus()
        page.keyboard.press("m")
        assert page.locator("#legend").is_visible()
        page.keyboard.press("m")
        page.locator("#leave").focus()
        page.keyboard.press("Enter")
        page.locator("#view").focus()
        page.keyboard.press("Space")
        page.locator("#run", has_text="Apply changes").wait_for()  # the dab is part of the mask
        watched.check()


def test_many_photos_and_what_cannot_be_read() -> None:
    with served() as service, chromium() as browser:
        watched = Watched.of(browser, viewport={"width": 1200, "height": 800})
        page = watched.open(service.url)
        files = [
            {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": jpeg(blurred(90, 120 + number))}
            for number in range(3)
        ]
        page.set_input_files("#files", files)
        page.locator("#strip li").nth(2).wait_for()
        page.click("#all")
        page.locator("#strip li.done").nth(2).wait_for(timeout=60_000)
        page.set_input_files("#files", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no photo"})
        page.locator("#line.bad", has_text="notes.txt").wait_for()
        assert page.locator("#strip li").count() == 3
        assert all("415" in said for said in watched.wrong)  # the browser itself notes the refusal
        assert watched.elsewhere == []
