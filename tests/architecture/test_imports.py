"""The walls of ARCHITECTURE.md: who may import whom, and that the core never loads torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EVERYWHERE = {"errors", "atomic_file", "folders", "compiled"}
ALLOWED = {
    "errors": set(),
    "allocator": set(),
    "atomic_file": {"errors"},
    "folders": set(),
    "scratch": set(),
    "photo": {"errors"},
    "metrics": {"errors"},
    "ops": {"errors"},
    "weights": {"errors"},
    "nets": {"errors", "ops"},
    "checkpoints": {"errors", "photo", "nets", "weights", "engine", "ops"},
    "simulate": {"errors", "photo", "defocus"},
    "capture": {"errors", "photo", "metrics", "targets"},
    "data": {"errors", "photo", "simulate", "defocus"},
    "engine": {"errors", "weights", "nets", "ops", "checkpoints"},
    "train": {"errors", "allocator", "photo", "data", "nets", "checkpoints", "metrics", "simulate", "weights",
              "defocus", "scales"},
    "compiled": set(),
    "residual": {"errors", "photo"},
    "pixel_work": {"engine"},
    "need": {"photo", "scales", "defocus", "pixel_work"},
    "defocus": {"errors", "photo", "weights"},
    "scales": {"errors", "defocus"},
    "restore": {"errors", "photo", "engine", "weights", "residual", "defocus", "scales", "need",
                "pixel_work"},
    "targets": {"errors"},
    "ledger": set(),
    "sources": {"errors", "photo"},
    "speeds": {"errors", "restore", "weights"},
    "deblurrer": {"errors", "photo", "engine", "weights", "restore", "speeds", "defocus", "comparison", "sources",
                  "targets"},
    "inputs": {"errors", "photo", "deblurrer", "defocus", "ledger", "targets"},
    "comparison": {"errors", "photo"},
    "inspection": {"errors", "photo", "nets", "checkpoints", "weights", "defocus"},
    "batch": {"errors", "allocator", "photo", "engine", "restore", "deblurrer", "inputs", "ledger", "scratch"},
    "baselines": {"errors", "photo", "nets", "checkpoints", "engine", "restore", "weights"},
    "web": {"errors", "photo", "weights", "restore", "speeds", "deblurrer", "defocus", "scratch"},
    "evaluate": {"errors", "data", "metrics", "deblurrer", "restore", "baselines", "nets", "photo",
                 "weights", "engine", "checkpoints", "simulate", "defocus", "targets"},
}  # fmt: skip
HEAVY = ("torch", "safetensors", "onnx", "scipy", "matplotlib", "skimage", "lightning")


def rooms(repository: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    package = repository / "src" / "allfocus"
    for path in sorted(package.rglob("*.py")):
        found.setdefault(path.relative_to(package).parts[0].removesuffix(".py"), []).append(path)
    return found


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("allfocus."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "allfocus":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("allfocus."))
    return names


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_the_table_allows(repository: Path, room: str) -> None:
    for path in rooms(repository).get(room, []):
        forbidden = imported_rooms(path) - ALLOWED[room] - EVERYWHERE - {room}
        assert not forbidden, f"{path.relative_to(repository)} imports {sorted(forbidden)}"


def test_every_room_stands_in_the_table(repository: Path) -> None:
    assert rooms(repository).keys() - ALLOWED.keys() <= {"__init__", "__main__", "cli", "py"}


@pytest.mark.parametrize(
    "code",
    [
        "import allfocus",
        "import allfocus.deblurrer, allfocus.cli.deblur, allfocus.cli.report, allfocus.inputs, allfocus.comparison",
        "import allfocus.engine.openvino, allfocus.cli.models, allfocus.cli.doctor",
    ],
)
def test_the_core_loads_nothing_heavy(code: str) -> None:
    check = f"import sys; {code}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
