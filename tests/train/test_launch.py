"""Where a run computes, and in which precision."""

from __future__ import annotations

import pytest

from allfocus.errors import OptionError
from allfocus.train.config import TrainConfig
from allfocus.train.launch import open_fabric, precision_here


@pytest.mark.parametrize(
    ("kind", "features", "wanted"),
    [
        ("cpu", (), "32-true"),
        ("cpu", ("avx2", "avx512f", "avx512_vnni"), "32-true"),
        ("cpu", ("avx512f", "avx512_bf16"), "bf16-mixed"),
        ("cpu", ("amx_tile", "amx_bf16"), "bf16-mixed"),
        ("cuda", (), "bf16-mixed"),
    ],
)
def test_auto_is_bfloat16_only_where_the_device_computes_in_it(
    kind: str, features: tuple[str, ...], wanted: str
) -> None:
    assert precision_here("auto", kind, features) == wanted


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_what_was_asked_for_is_taken(precision: str) -> None:
    assert precision_here(precision, "cpu", ()) == precision


def test_float16_on_a_cpu_is_refused() -> None:
    with pytest.raises(OptionError, match="16-mixed on a CPU; expected bf16-mixed or 32-true"):
        open_fabric(TrainConfig(precision="16-mixed"), "cpu")
