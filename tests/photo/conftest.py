"""Photos of every kind, made without allfocus by benchmarks/roundtrip.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def roundtrip() -> ModuleType:
    """The module benchmarks/roundtrip.py."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "roundtrip.py"
    spec = importlib.util.spec_from_file_location("roundtrip_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
