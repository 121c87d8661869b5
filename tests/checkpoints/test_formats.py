"""Every registered export format keeps the contract of `checkpoints.formats`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from allfocus.checkpoints.export import export
from allfocus.checkpoints.formats import FORMATS, Size, format_class
from allfocus.errors import OptionError
from allfocus.nets.registry import Architecture


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_keeps_the_contract(format: str, tmp_path: Path) -> None:
    wanted = Architecture(iterations=1, tied=True)  # what the released code computes, so that every format can hold it
    torch.manual_seed(0)
    net = wanted.build().eval()
    target = tmp_path / f"net{FORMATS[format].endings[0]}"
    try:
        done = export(net, wanted, target, format, about={"told": "by a test"})
    except OptionError:  # a format of fixed sizes only
        done = export(net, wanted, target, format, size=Size(96, 64), about={"told": "by a test"})
    assert done.path == target
    assert {path.stem for path in tmp_path.iterdir()} == {"net"} == {path.stem for path in done.files}
    assert done.proof.difference <= done.proof.tolerance
    assert format_class(format).read_facts(target).items() >= {"told": "by a test", **done.proof.facts()}.items()
    with pytest.raises(OptionError, match="a name ending in"):
        export(net, wanted, tmp_path / "net.wrong", format)
