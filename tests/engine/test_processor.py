from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.engine.processor import TELLING, THREADS_VARIABLE, Processor
from allfocus.errors import OptionError


def test_it_reads_what_linux_tells(tmp_path: Path) -> None:
    text = (
        "processor : 0\nmodel name\t: Some CPU 9\nflags\t\t: fpu avx2 amx_bf16 avx512f\n\nprocessor : 1\nflags : none\n"
    )
    (tmp_path / "cpuinfo").write_text(text)
    found = Processor.here(tmp_path / "cpuinfo")
    assert found.name == "Some CPU 9"
    assert found.features == ("avx2", "avx512f", "amx_bf16")
    assert found.threads >= 1


def test_it_reads_what_arm_linux_tells(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nFeatures\t: fp asimd bf16 i8mm\n")
    assert Processor.here(tmp_path / "cpuinfo").features == ("asimd", "bf16", "i8mm")


def test_elsewhere_it_has_a_name_and_no_features(tmp_path: Path) -> None:
    found = Processor.here(tmp_path / "nothing")
    assert found.features == ()
    assert isinstance(found.name, str)


def test_here(tmp_path: Path) -> None:
    assert set(Processor.here().features) <= set(TELLING)


def test_a_variable_allows_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    assert Processor.here().threads == 1
    monkeypatch.setenv(THREADS_VARIABLE, "two")
    with pytest.raises(OptionError, match="ALLFOCUS_THREADS=two"):
        Processor.here()
