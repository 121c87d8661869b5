"""docs/simulator.md names every setting with its default, and shows pictures that are there."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from allfocus.simulate.lens import LensConfig
from allfocus.simulate.scene import SceneConfig
from allfocus.simulate.sensor import SensorConfig
from allfocus.simulate.simulator import SimulatorConfig


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("config", [SimulatorConfig, SceneConfig, LensConfig, SensorConfig])
def test_every_setting_is_explained_with_its_default(page: str, config: type) -> None:
    rows = {
        name: (names, values)
        for names, values in re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    for field in dataclasses.fields(config):
        default = getattr(config(), field.name)
        if dataclasses.is_dataclass(default):
            continue
        assert field.name in rows, f"docs/simulator.md does not explain {field.name}"
        names, values = rows[field.name]
        written = [float(number) for number in re.findall(r"-?\d[\d.]*(?:e-?\d+)?", values)]
        for part in default if isinstance(default, tuple) else (default,):
            stated = str(part).lower() in values if isinstance(part, bool | str) else part in written
            assert stated, f"{field.name} {part} is not in '{values}' of {names}"


def test_pictures_are_there_and_small(page: str, repository: Path) -> None:
    found = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert len(found) >= 8
    sizes = [(repository / "docs" / name).stat().st_size for name in found]
    assert sum(sizes) < 300_000
