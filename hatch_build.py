"""Compiles `src/allfocus/compiled.c` when the package is built or installed.

Without a compiler there is a note, and numpy does the same (`allfocus/compiled.py`). ALLFOCUS_PURE=1 leaves it out, for
a wheel that fits every machine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ENDINGS = {"win32": "dll", "darwin": "dylib"}
# no contraction: the values are those of numpy; the other two let whole rows be computed at once
OPTIONS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared"]


class Loops(BuildHookInterface):
    """The library beside the module that loads it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is put together."""
        folder = Path(self.root, "src", "allfocus")
        library = folder / f"_compiled.{ENDINGS.get(sys.platform, 'so')}"
        library.unlink(missing_ok=True)
        if os.environ.get("ALLFOCUS_PURE") == "1" or not self._compiled(folder / "compiled.c", library):
            return
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform()}"

    def _compiled(self, source: Path, library: Path) -> bool:
        compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
        if compiler is None:
            self.app.display_warning("no C compiler: allfocus uses numpy where it would use compiled loops")
            return False
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        part = library.with_suffix(f".{os.getpid()}.part")
        command = [*compiler.split(), *OPTIONS, f'-DSOURCE_DIGEST="{digest}"', str(source), "-o", str(part)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
            part.replace(library)
        except (OSError, subprocess.CalledProcessError) as error:
            part.unlink(missing_ok=True)
            said = getattr(error, "stderr", None) or error
            self.app.display_warning(f"allfocus uses numpy where it would use compiled loops: {said}")
            return False
        return True


def platform() -> str:
    """The wheel's platform: the machine that it was compiled on."""
    if sys.platform == "darwin":  # Python may be for two processors, the compiler's output is for this one
        from packaging.tags import mac_platforms

        return next(mac_platforms())
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
