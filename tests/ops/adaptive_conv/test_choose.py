"""The chooser picks what can run and says why the others cannot."""

from __future__ import annotations

import pytest
import torch

import allfocus.ops.adaptive_conv.choose as module
from allfocus.errors import OptionError
from allfocus.nets.ifan import FilterHead
from allfocus.ops.adaptive_conv.choose import Choice, choose


class OnCuda:
    """Features that say they are on a CUDA device."""

    def __init__(self, dtype: torch.dtype = torch.float32, elements: int = 1000) -> None:
        self.device = torch.device("cuda", 0)
        self.dtype = dtype
        self.numel = lambda: elements


@pytest.fixture
def volta(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(module, "find_spec", lambda name: object())


def test_on_the_cpu_it_is_native_where_a_gradient_is_taken() -> None:
    choice = choose(torch.zeros(1, 1, 1, 1))
    assert choice.name == "native"
    assert str(choice) == "native (not triton: the features are on cpu, and Triton's kernels need a CUDA device)"


def test_without_a_gradient_it_is_eager_and_says_why() -> None:
    with torch.no_grad():
        choice = choose(torch.zeros(1, 1, 1, 1))
    assert choice.name == "eager"
    assert choice.reasons["native"].startswith("no gradient is taken")


def test_without_a_compiler_it_is_eager_and_says_why(monkeypatch) -> None:
    monkeypatch.setattr(module.native, "obstacle", lambda: "no C++ compiler is installed")
    choice = choose(torch.zeros(1, 1, 1, 1))
    assert (choice.name, choice.reasons["native"]) == ("eager", "no C++ compiler is installed")
    with pytest.raises(OptionError, match="backend 'native', but no C\\+\\+ compiler is installed"):
        choose(torch.zeros(1, 1, 1, 1), "native")


def test_the_interpreter_is_never_chosen_by_itself(monkeypatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose(torch.zeros(1, 1, 1, 1)).name == "native"


def test_on_cuda_it_is_triton(volta) -> None:
    assert choose(OnCuda()) == Choice("triton", {})  # type: ignore[arg-type]
    assert str(choose(OnCuda(torch.bfloat16))) == "triton"  # type: ignore[arg-type]


def test_each_reason_on_cuda(volta, monkeypatch) -> None:
    assert "do not compute in torch.complex64" in choose(OnCuda(torch.complex64)).reasons["triton"]  # type: ignore[arg-type]
    assert "work in smaller tiles" in choose(OnCuda(elements=2**29)).reasons["triton"]  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert "compute capability 6.1 is older" in choose(OnCuda()).reasons["triton"]  # type: ignore[arg-type]
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert choose(OnCuda()).reasons["triton"] == "the package triton is not installed"  # type: ignore[arg-type]
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert "being exported" in choose(OnCuda()).reasons["triton"]  # type: ignore[arg-type]


def test_asking_for_what_cannot_run_is_refused_with_the_reason(monkeypatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(OptionError, match="backend 'triton', but the features are on cpu"):
        choose(torch.zeros(1, 1, 1, 1), "triton")
    with pytest.raises(OptionError, match="backend 'cudnn'; expected auto, triton, native, eager"):
        choose(torch.zeros(1, 1, 1, 1), "cudnn")


def test_an_exported_network_has_plain_operations_only() -> None:
    class Filtered(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = FilterHead(4, 2)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return self.head.filter(features, features, False)

    program = torch.export.export(Filtered(), (torch.randn(1, 4, 3, 3),), strict=False)
    assert not [node for node in program.graph.nodes if "allfocus" in str(node.target)]
