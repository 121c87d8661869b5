from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from allfocus.folders import cache_folder, models_folder

VARIABLES = ("ALLFOCUS_CACHE", "ALLFOCUS_MODELS", "XDG_CACHE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "cache", "models"),
    [
        ("linux", ".cache/allfocus", ".local/share/allfocus/models"),
        ("darwin", "Library/Caches/allfocus", "Library/Application Support/allfocus/models"),
        ("win32", "AppData/Local/allfocus/cache", "AppData/Local/allfocus/models"),
    ],
)
def test_each_platform_has_its_own_places(
    monkeypatch: pytest.MonkeyPatch, home: Path, platform: str, cache: str, models: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == home / cache
    assert models_folder() == home / models


@pytest.mark.parametrize(
    ("platform", "variable", "folder", "inside"),
    [
        ("linux", "XDG_CACHE_HOME", cache_folder, "allfocus"),
        ("linux", "XDG_DATA_HOME", models_folder, "allfocus/models"),
        ("win32", "LOCALAPPDATA", cache_folder, "allfocus/cache"),
        ("win32", "LOCALAPPDATA", models_folder, "allfocus/models"),
    ],
)
def test_the_platforms_own_variables_are_followed(
    monkeypatch: pytest.MonkeyPatch, home: Path, platform: str, variable: str, folder: Callable[[], Path], inside: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(home / "elsewhere"))
    assert folder() == home / "elsewhere" / inside


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_our_own_variables_come_first(monkeypatch: pytest.MonkeyPatch, home: Path, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("ALLFOCUS_CACHE", str(home / "a"))
    monkeypatch.setenv("ALLFOCUS_MODELS", str(home / "b"))
    assert (cache_folder(), models_folder()) == (home / "a", home / "b")
