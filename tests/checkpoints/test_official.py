"""Released checkpoints: the key map against the published list, strict reading, refusals that name the culprit."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from allfocus.checkpoints import official
from allfocus.errors import OptionError, OutputError, WeightsError
from allfocus.nets.ablations import FiltersOnly
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture


def published_names_and_shapes(iterations: int = 17, reblurring: int = 17) -> dict[str, tuple[int, ...]]:
    """The names in a released file, from their patterns and the layer table, independent of our networks."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, out: int, into: int, kernel: int = 3, transposed: bool = False) -> None:
        shapes[f"{name}.weight"] = (into, out, kernel, kernel) if transposed else (out, into, kernel, kernel)
        shapes[f"{name}.bias"] = (out,)

    def residual(name: str, channels: int, stems: int) -> None:
        for stem in range(stems):
            layer(f"{name}.stem.{stem}.0", channels, channels)
            layer(f"{name}.stem.{stem}.2", channels, channels)

    network = "Network."
    for encoder in ("conv", "kconv"):
        before = 3
        for level, channels in enumerate((32, 64, 128, 128), start=1):
            for step in (1, 2, 3):
                layer(f"{network}{encoder}{level}_{step}.0", channels, before)
                before = channels
    for name, into, stems in (("conv4_4", 256, 2), ("DME", 128, 2), ("F", 128, 2)):
        layer(f"{network}{name}.0.0", 128, into)
        residual(f"{network}{name}.1", 128, stems)
        residual(f"{network}{name}.2", 128, stems)
    layer(f"{network}conv4_4.3.0", 128, 128)
    layer(f"{network}DME.3", 1, 128)
    layer(f"{network}conv_DME.0", 128, 1)
    layer(f"{network}F.3", 896 * iterations, 128, kernel=1)
    layer(f"{network}conv_res.0.0", 128, 128)
    residual(f"{network}conv_res.1", 128, 3)
    layer(f"{network}conv_res.2.0", 128, 128)
    for level, before, after in ((3, 128, 128), (2, 128, 64), (1, 64, 32)):
        layer(f"{network}upconv{level}_u.0", after, before, kernel=4, transposed=True)
        residual(f"{network}upconv{level}_1", after, 1)
        residual(f"{network}upconv{level}_2", after, 1)
    layer(f"{network}out_res.0", 3, 32)
    layer("reblurNet.RBF.0.0", 128, 896 * iterations)
    residual("reblurNet.RBF.1", 128, 2)
    residual("reblurNet.RBF.2", 128, 2)
    layer("reblurNet.RBF.3", 21 * reblurring, 128)
    return shapes


def thin(shapes: dict[str, tuple[int, ...]]) -> OrderedDict[str, torch.Tensor]:
    """Tensors of these shapes that take no room in a file."""
    return OrderedDict((name, torch.zeros(()).expand(shape)) for name, shape in shapes.items())


def saved(path: Path, entries: object, old: bool = False) -> Path:
    torch.save(entries, path, _use_new_zipfile_serialization=not old)
    return path


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        official.read(path)
    return str(caught.value)


class Runs:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def shapes() -> dict[str, tuple[int, ...]]:
    return published_names_and_shapes(iterations=1, reblurring=1)


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(1)
    architecture = Architecture(iterations=2, tied=True)
    return architecture.build().eval(), architecture.build_reblurring(3).eval()


def test_our_names_map_onto_the_published_ones() -> None:
    with torch.device("meta"):
        net, reblurring = Architecture().build(), Architecture().build_reblurring()
    mapped = {
        f"Network.{official.official_name(name)}": tuple(tensor.shape) for name, tensor in net.state_dict().items()
    }
    assert len(mapped) == 158
    for name, tensor in reblurring.state_dict().items():
        mapped[f"reblurNet.{official.official_name(name, official.REBLURRING_PARTS)}"] = tuple(tensor.shape)
    assert len(mapped) == 158 + 20
    assert mapped == published_names_and_shapes()


def test_the_published_list_is_that_of_the_specification(repository: Path) -> None:
    listing = repository.parent / "shared" / "spec" / "ifan_state_dict.txt"
    if not listing.exists():
        pytest.skip("no ../shared/spec beside this checkout")
    lines = {line for line in listing.read_text().splitlines() if line and not line.startswith("#")}
    assert {f"{name} {shape}" for name, shape in published_names_and_shapes().items()} == lines


def test_names_go_there_and_back(networks) -> None:
    for net, parts in zip(networks, (official.PARTS, official.REBLURRING_PARTS), strict=True):
        for name in net.state_dict():
            assert official.readable_name(official.official_name(name, parts), parts) == name
    for translate in (official.official_name, official.readable_name):
        with pytest.raises(KeyError):
            translate("nothing.like.it")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("with_reblurring", [False, True])
@torch.no_grad()
def test_a_released_file_gives_the_same_answer_as_our_own_weights(
    networks, tmp_path: Path, with_reblurring: bool, wrapped: bool, old: bool
) -> None:
    net, reblurring = networks
    path = tmp_path / "IFAN.pytorch"
    official.write(net, path, reblurring=reblurring if with_reblurring else None, wrapped=wrapped)
    if old:
        saved(path, torch.load(path, weights_only=True), old=True)
    found = official.read(path)
    assert found.architecture == Architecture(iterations=2, tied=True)
    assert found.wrapped == wrapped
    photo = torch.rand(1, 3, 24, 16)
    out, wanted = found.build()(photo, return_filters=True), net(photo, return_filters=True)
    assert torch.equal(out.sharp, wanted.sharp)
    assert torch.equal(out.disparity, wanted.disparity)
    again = found.build_reblurring()
    assert (again is not None) == with_reblurring
    if again is not None:
        small = torch.rand(1, 3, 3, 2)
        assert torch.equal(again(small, out.filters), reblurring(small, wanted.filters))


def test_network_prefix_is_optional(shapes, tmp_path: Path) -> None:
    bare = {name.removeprefix("Network."): shape for name, shape in shapes.items() if name.startswith("Network.")}
    found = official.read(saved(tmp_path / "bare.pytorch", thin(bare)))
    assert (len(found.tensors), found.reblurring, found.wrapped) == (158, None, False)


@pytest.mark.parametrize("iterations, reblurring", [(8, 8), (17, 17), (26, 9), (35, 17), (44, 17)])
def test_finds_the_sizes_of_the_sweep(iterations: int, reblurring: int, tmp_path: Path) -> None:
    entries = thin(published_names_and_shapes(iterations, reblurring))
    found = official.read(saved(tmp_path / "IFAN.pytorch", entries))
    assert found.architecture == Architecture(iterations=iterations, tied=True)
    assert found.reblurring_iterations == reblurring
    assert f"N={iterations}, one view, tied filters, 158 tensors" in found.describe()
    assert f"a reblurring network of {reblurring} iterations" in found.describe()


def test_finds_two_views(shapes, tmp_path: Path) -> None:
    shapes["Network.kconv1_1.0.weight"] = (32, 6, 3, 3)
    found = official.read(saved(tmp_path / "IFAN_dual.pytorch", thin(shapes)))
    assert found.architecture.views == 2
    assert "two views" in found.describe()


def test_half_precision_becomes_float32(shapes, tmp_path: Path) -> None:
    entries = {name: tensor.half() for name, tensor in thin(shapes).items()}
    assert {t.dtype for t in official.read(saved(tmp_path / "h.pytorch", entries)).tensors.values()} == {torch.float32}


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    "name", ["Network.F.3.weight", "Network.conv4_4.1.stem.0.2.bias", "reblurNet.RBF.2.stem.1.0.bias"]
)
def test_one_tensor_missing_is_named(shapes, tmp_path: Path, name: str, prefix: str) -> None:
    entries = {f"{prefix}{key}": tensor for key, tensor in thin(shapes).items() if key != name}
    message = refused(saved(tmp_path / "short.pytorch", entries))
    assert f"lacks the tensor {name.split('.', 1)[1]}" in message
    assert "short.pytorch" in message


def test_many_missing_tensors_are_counted(shapes, tmp_path: Path) -> None:
    kept = {name: tensor for name, tensor in thin(shapes).items() if "upconv" not in name}
    message = refused(saved(tmp_path / "short.pytorch", kept))
    assert (
        "lacks the tensors upconv1_1.stem.0.0.bias, upconv1_1.stem.0.0.weight, upconv1_1.stem.0.2.bias and 27 more"
        in message
    )


@pytest.mark.parametrize("name", ["Network.conv5_1.0.weight", "reblurNet.RBF.4.bias", "optimizer.step"])
def test_one_tensor_too_many_is_named(shapes, tmp_path: Path, name: str) -> None:
    message = refused(saved(tmp_path / "long.pytorch", thin({**shapes, name: (1,)})))
    assert (
        f"holds the tensor {name.removeprefix('Network.').removeprefix('reblurNet.')}, which IFAN does not" in message
    )


@pytest.mark.parametrize(
    "name, shape, expected",
    [
        ("Network.conv3_2.0.weight", (128, 128, 1, 1), "expected (128, 128, 3, 3)"),
        ("Network.conv1_1.0.weight", (31, 3, 3, 3), "expected (32, 3, 3, 3)"),
        ("Network.F.3.weight", (900, 128, 1, 1), "K a multiple of 896"),
        ("Network.F.3.bias", (895,), "expected (896,)"),
        ("Network.kconv1_1.0.weight", (32, 4, 3, 3), "(32, 6, 3, 3) for two"),
        ("reblurNet.RBF.3.weight", (22, 128, 3, 3), "rows in a multiple of 21"),
        ("reblurNet.RBF.0.0.weight", (128, 897, 3, 3), "expected (128, 896, 3, 3)"),
    ],
)
def test_a_wrong_shape_is_named(shapes, tmp_path: Path, name: str, shape, expected: str) -> None:
    message = refused(saved(tmp_path / "odd.pytorch", thin({**shapes, name: shape})))
    assert name.split(".", 1)[1] in message
    assert f"of shape {shape}" in message
    assert expected in message


def test_values_that_are_no_weights_are_named(shapes, tmp_path: Path) -> None:
    for value, said in (
        (torch.full((3,), float("nan")), "a value in out_res.0.bias that is not a finite number"),
        (torch.zeros(3, dtype=torch.int64), "out_res.0.bias as torch.int64"),
        (torch.zeros(3).to_sparse(), "out_res.0.bias as torch.float32 (torch.sparse_coo)"),
        (3.0, "holds 'Network.out_res.0.bias', a float"),
    ):
        entries = {**thin(shapes), "Network.out_res.0.bias": value}
        assert said in refused(saved(tmp_path / "bad.pytorch", entries))


def test_a_tensor_under_two_names_is_refused(shapes, tmp_path: Path) -> None:
    twice = {**thin(shapes), "conv1_1.0.bias": torch.zeros(32)}
    assert "holds the tensor conv1_1.0.bias twice" in refused(saved(tmp_path / "twice.pytorch", twice))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    "function, arguments, named",
    [
        (os.system, ("touch executed",), "system"),
        (eval, ("open('executed', 'w')",), "eval"),
        (torch.load, ("x",), "load"),
    ],
)
def test_a_malicious_pickle_is_not_executed(
    shapes, tmp_path: Path, monkeypatch, function, arguments, named, old
) -> None:
    monkeypatch.chdir(tmp_path)
    entries = {**thin(shapes), "Network.conv1_1.0.bias": Runs(function, *arguments)}
    message = refused(saved(tmp_path / "evil.pytorch", entries, old))
    assert "asks to run" in message
    assert f"{named}, which was not run" in message
    assert not (tmp_path / "executed").exists()


def test_a_plain_malicious_pickle_is_not_executed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pytorch"
    path.write_bytes(pickle.dumps({"a": Runs(os.system, "touch executed")}, protocol=2))
    refused(path)
    assert not (tmp_path / "executed").exists()


def test_objects_other_than_tensors_are_refused(tmp_path: Path) -> None:
    assert "asks to run torch.nn.modules.linear.Linear" in refused(saved(tmp_path / "m", torch.nn.Linear(1, 1)))
    assert "asks to run numpy" in refused(saved(tmp_path / "n", {"a": np.float64(1.0)}))
    assert "holds 'state_dict', a dict" in refused(saved(tmp_path / "w", {"state_dict": {}}))
    assert "holds a list" in refused(saved(tmp_path / "l", [torch.zeros(1)]))
    assert "holds a dict, not named tensors" in refused(saved(tmp_path / "e", {}))


@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04aaaa", b"\x80\x02}q\x00."])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pytorch"
    path.write_bytes(content)
    assert "damaged.pytorch is not a readable checkpoint" in refused(path)


def test_a_truncated_and_a_missing_file_are_refused(shapes, tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.pytorch", thin(shapes))
    path.write_bytes(path.read_bytes()[:-2000])
    assert "cut.pytorch is not a readable checkpoint" in refused(path)
    assert "is not a file" in refused(tmp_path / "nowhere.pytorch")
    assert "is not a file" in refused(tmp_path)


def test_writes_only_what_the_released_code_can_compute(tmp_path: Path) -> None:
    path = tmp_path / "IFAN.pytorch"
    with torch.device("meta"):
        cannot = [
            IFAN(iterations=1),
            IFAN(iterations=1, tied=True, unshuffle=2),
            IFAN(iterations=1, tied=True, width=16),
            FiltersOnly(iterations=1, tied=True),
        ]
    for net in cannot:
        with pytest.raises(OptionError, match="the released code computes nothing else"):
            official.write(net, path)
    assert not path.exists()


def test_an_unwritable_place_leaves_nothing_behind(networks, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        official.write(networks[0], tmp_path / "nowhere" / "IFAN.pytorch")
    folder = tmp_path / "IFAN.pytorch"
    folder.mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        official.write(networks[0], folder)
    assert [path.name for path in tmp_path.iterdir()] == ["IFAN.pytorch"]
