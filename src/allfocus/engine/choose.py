"""The choice of an engine, and the reasons against the others."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from allfocus.engine import openvino_device
from allfocus.engine.base import PRECISIONS, Engine
from allfocus.errors import EngineError, OptionError
from allfocus.weights.store import Model

ENGINES = ("openvino", "onnxruntime", "torch")
"""Of these "auto" chooses; those of `openvino_device.DEVICES` are taken when they are named."""


class Finding(NamedTuple):
    """One engine on this machine: whether it can run, whether "auto" takes it, in which precision, and why (not)."""

    name: str
    available: bool
    chosen: bool
    precision: str
    reason: str


def survey(precision: str = "auto", model: Model | None = None) -> list[Finding]:
    """A finding for each of `ENGINES`; without a model, int8 counts as possible. OptionError: another precision."""
    _check_precision(precision)
    reasons = {name: _module_of(name).unavailable(precision, model) for name in ENGINES}
    chosen = _preferred(reasons)
    findings = []
    for name in ENGINES:
        missing = reasons[name]
        used = "" if missing else (_module_of(name).best_precision(model) if precision == "auto" else precision)
        findings.append(Finding(name, missing is None, name == chosen, used, missing or _why(name, chosen)))
    return findings


def choose(model: Model, engine: str = "auto", precision: str = "auto", threads: int | None = None) -> Engine:
    """Load a model on an engine.

    Args:
        model: found and verified.
        engine: "auto" (torch on a GPU, else OpenVINO, else ONNX Runtime), one of `ENGINES`, or "openvino-gpu" or
            "openvino-npu".
        precision: "auto" (what the processor is fast in), "float32", "bfloat16" or "int8".
        threads: that it computes with; when None, as the variable `ALLFOCUS_THREADS` says, else as many as there are.
            torch has one number for the whole process and uses that.

    Raises:
        OptionError: another engine or precision.
        EngineError: the engine is not here, or not in this precision; each one's reason is in the text.
    """
    check_choice(engine, precision)
    if engine == "auto":
        reasons = {name: _module_of(name).unavailable(precision, model) for name in ENGINES}
        chosen = _preferred(reasons)
        if chosen is None:
            why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise EngineError(f"no engine can run {model.card.name} here ({why})", "one that can", "allfocus doctor")
        return _module_of(chosen).start(model, precision, threads)
    device = engine in openvino_device.DEVICES
    if device:
        reason = openvino_device.unavailable(engine, precision)
    else:
        reason = _module_of(engine).unavailable(precision, model)
    if reason is not None:
        raise EngineError(f"{engine} cannot run here: {reason}", "one that can", "allfocus doctor")
    if device:
        return openvino_device.start(engine, model, precision, threads)
    return _module_of(engine).start(model, precision, threads)


def check_choice(engine: str, precision: str) -> None:
    """Refuse another engine or precision than there are; see `choose`."""
    _check_precision(precision)
    known = (*ENGINES, *openvino_device.DEVICES)
    if engine not in ("auto", *known):
        raise OptionError(f"engine {engine!r}", f"auto or one of {', '.join(known)}", "allfocus doctor")


def _module_of(name: str) -> ModuleType:
    return import_module(f"allfocus.engine.{name}")


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise OptionError(f"precision {precision!r}", f"one of {', '.join(PRECISIONS)}", "--precision auto")


def _preferred(reasons: dict[str, str | None]) -> str | None:
    """A GPU first, then the fastest on a CPU."""
    if reasons["torch"] is None and _module_of("torch").has_gpu():
        return "torch"
    return next((name for name in ENGINES if reasons[name] is None), None)


def _why(name: str, chosen: str | None) -> str:
    if name == chosen:
        return "a GPU is here" if name == "torch" else "the fastest here"
    if name == "torch":
        return "no GPU is here, and on a CPU it is the slowest; good as a second opinion"
    return f"{chosen} is faster here"
