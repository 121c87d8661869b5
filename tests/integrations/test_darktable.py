"""The darktable script, in a Lua interpreter with a stand-in for darktable: it really runs the command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips


@pytest.fixture
def darktable(repository: Path):
    """What the script registers, and what it did."""
    lupa = pytest.importorskip("lupa.lua54", reason="lupa is not installed")
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    said: dict[str, list] = {"commands": [], "imported": [], "printed": []}

    def execute(command: str) -> int:
        said["commands"].append(command)
        arguments = shlex.split(command)
        assert arguments[0] == "allfocus"
        environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
        return subprocess.run([sys.executable, "-m", *arguments], env=environment, check=False).returncode

    lua.globals().python = {"execute": execute, "imported": said["imported"].append, "printed": said["printed"].append}
    lua.execute("""
        darktable = {
          new_widget = function(kind) return function(settings) return settings end end,
          print = function(text) python.printed(text) end,
          control = { execute = function(command) return python.execute(command) end },
          database = { import = function(path) python.imported(path) end },
          register_storage = function(name, label, store)
            registered = { name = name, label = label, store = store }
          end,
        }
        package.preload["darktable"] = function() return darktable end
    """)
    lua.execute((repository / "integrations/darktable.lua").read_text())
    return lua, said


def test_an_export_is_deblurred_and_imported(darktable, repository: Path, tmp_path: Path) -> None:
    lua, said = darktable
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    exported = tmp_path / "export $(touch x).tif"
    image = pyvips.Image.new_from_file(str(repository / "examples/photos/cat-real.png")).extract_band(0, n=3)
    (image.crop(0, 0, 96, 64).cast("ushort") * 257).cast("ushort").tiffsave(str(exported))
    registered = lua.globals().registered
    assert (registered.name, registered.label) == ("allfocus", "deblur with allfocus")
    photo = lua.table_from({"path": str(folder), "filename": "IMG_1.CR2"})
    registered.store(None, photo, None, str(exported), 1, 1, False, None)
    target = folder / "IMG_1.sharp.tif"
    assert said["imported"] == [str(target)]
    sharp = pyvips.Image.new_from_file(str(target))
    assert (sharp.width, sharp.height, sharp.format) == (96, 64, "ushort")
    assert not exported.exists()
    assert not Path("x").exists()


def test_a_failure_is_said_and_nothing_is_imported(darktable, tmp_path: Path) -> None:
    lua, said = darktable
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0")
    photo = lua.table_from({"path": str(tmp_path), "filename": "IMG_1.CR2"})
    lua.globals().registered.store(None, photo, None, str(broken), 1, 1, False, None)
    assert said["imported"] == []
    assert said["printed"][-1] == "allfocus could not deblur IMG_1.CR2"
