"""Every named network has the size that its paper or the paper gives it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from allfocus.checkpoints.native import load, save
from allfocus.errors import OptionError
from allfocus.nets.ablations import DisparityOnly, FiltersOnly, Plain
from allfocus.nets.ifan import IFAN
from allfocus.nets.macs import macs_of_network
from allfocus.nets.registry import (
    ENTRIES,
    FAMILIES,
    Architecture,
    architecture,
    describe,
    describe_all,
    entry,
    network_of,
)

PUBLISHED = {  # name: (parameters, reblurring network, convolution MACs or None, MACs by the paper's rule), G at 720p
    "ifan": (10_476_996, 19_139_685, 361.507, 362.895),
    "ifan-8": (9_436_740, 9_632_040, None, 347.915),
    "ifan-26": (11_517_252, 28_235_709, None, 377.874),
    "ifan-35": (12_557_508, 37_719_141, None, 392.854),
    "ifan-44": (13_597_764, 47_008_869, None, 407.834),
    "ifan-dual": (10_477_860, 19_139_685, None, 363.691),
    "ablation-none": (10_575_811, 0, None, 364.327),
    "ablation-d": (10_577_028, 0, None, 364.349),
    "ablation-f": (10_476_868, 0, None, 362.893),
    "ablation-fd": (10_476_996, 0, 361.507, 362.895),
    "ablation-fr": (10_476_868, 19_139_685, None, 362.893),
    "ablation-fdr": (10_476_996, 19_139_685, 361.507, 362.895),
}
OURS = {  # networks that no paper has; pinned so that a change is seen
    "ifan-fast": (5_904_421, 10_843_557, 52.294, 52.559),
    "ifan-dual-fast": (5_907_013, 10_843_557, 52.891, 53.156),
    "ifan-tied": (10_476_996, 19_139_685, 349.474, 350.768),  # the horizontal half of the head is never evaluated
}


@pytest.fixture(scope="module")
def descriptions():
    return {description.name: description for description in describe_all()}


def test_every_name_is_pinned() -> None:
    assert set(PUBLISHED) | set(OURS) == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_parameters_and_macs(name: str, descriptions) -> None:
    parameters, reblurring, convolution, macs = {**PUBLISHED, **OURS}[name]
    description = descriptions[name]
    assert description.parameters == parameters
    assert description.reblurring_parameters == reblurring
    assert convolution is None or description.convolution_macs / 1e9 == pytest.approx(convolution, abs=5e-4)
    assert description.macs / 1e9 == pytest.approx(macs, abs=5e-4)


def test_rows_of_the_ablation_are_trained_by_their_losses() -> None:
    rows = {"none": (False, 0), "d": (True, 0), "f": (False, 0), "fd": (True, 0), "fr": (False, 17), "fdr": (True, 17)}
    for row, losses in rows.items():
        named = entry(f"ablation-{row}")
        assert (named.disparity_loss, named.reblurring) == losses


def test_one_class_where_one_class_is_right() -> None:
    families = {name: type(Architecture(**{**asdict(architecture(name)), "width": 4}).build()) for name in ENTRIES}
    assert families["ablation-none"] is Plain
    assert families["ablation-d"] is DisparityOnly
    assert families["ablation-f"] is families["ablation-fr"] is FiltersOnly
    assert {kind for name, kind in families.items() if name.startswith("ifan")} == {IFAN}
    assert families["ablation-fd"] is families["ablation-fdr"] is IFAN


def test_an_architecture_survives_its_card() -> None:
    for name in ENTRIES:
        assert Architecture(**asdict(architecture(name))) == architecture(name)


def test_weights_belong_to_their_namesake_or_to_the_first_of_their_shape() -> None:
    assert network_of("ablation-fd", architecture("ablation-fd")) == "ablation-fd"
    assert network_of("mine", architecture("ablation-fd")) == "ifan"
    assert network_of("ifan", architecture("ifan-fast")) == "ifan-fast"
    assert network_of("mine", Architecture(width=4)) is None


def test_the_reblurring_network_fits_the_filters() -> None:
    small = Architecture(iterations=2, width=4, tied=True)
    out = small.build()(torch.rand(1, 3, 16, 24), return_filters=True)
    reblurring = small.build_reblurring(3)
    assert reblurring.tied
    assert reblurring(torch.rand(1, 3, 2, 3), out.filters).shape == (1, 3, 2, 3)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"no network is called 'IFAN'; expected one of ifan, ifan-fast"):
        architecture("IFAN")
    with pytest.raises(OptionError, match="no network is called 'x'"):
        describe("x")
    with pytest.raises(OptionError, match="no family of networks is called 'restormer'"):
        Architecture(family="restormer").build()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_the_contract(family: str, tmp_path: Path) -> None:
    wanted = Architecture(family=family, iterations=2, width=8)
    torch.manual_seed(0)
    net = wanted.build(0.5).eval()
    for rows, columns in ((1, 1), (3, 2)):
        photo = torch.rand(2, 3, rows * net.multiple, columns * net.multiple)
        pair = torch.rand(2, 6, *photo.shape[2:]) if net.views == 2 else None
        with torch.no_grad():
            found, again = net(photo, pair), net(photo, pair)
        assert found.residual.shape == photo.shape
        assert torch.isfinite(found.residual).all() and torch.equal(found.residual, again.residual)
        torch.testing.assert_close(found.sharp, photo + found.residual)
        if found.disparity is not None:
            assert found.disparity.shape == (2, 1, rows, columns)
    save(net, wanted, tmp_path / "net.safetensors", dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "net.safetensors")(photo, pair).residual, found.residual)
    assert macs_of_network(wanted.build(), net.views).convolution > 0


def thin(width: int = 32) -> IFAN:
    """A thin one.

    More about it.
    """
    return IFAN(width=width, iterations=1)


def test_a_family_is_a_network_of_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "thin", f"{__name__}:thin")
    assert entry("thin").summary == "A thin one."
    assert network_of("mine", Architecture(family="thin")) == "thin"
    assert Architecture(family="thin", width=8, iterations=44).build().filter_head.layout.iterations == 1
