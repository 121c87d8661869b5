"""`allfocus export`: a network as a file for another program, proven against torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from allfocus.checkpoints.formats import Size
    from allfocus.nets.ifan import IFAN
    from allfocus.nets.registry import Architecture


BESIDE_XML = ".bin"


def export_command(
    model: Annotated[str, typer.Argument(help="A name from `allfocus models`, a weights file, or a run's folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write: .onnx, .xml, .pt or .pytorch.")],
    format: Annotated[str, typer.Option(help="onnx, openvino, torchscript or official.")] = "onnx",
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Fix the photo size in px; without, any size works.")
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Export a network of `allfocus models --all` with random weights.")
    ] = False,
    image: Annotated[
        bool,
        typer.Option("--image", help="ONNX: from picture to picture of any size, as chaiNNer loads it."),
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
    json: Annotated[bool, typer.Option(help="Print one JSON object.")] = False,
) -> None:
    """Export a network for other programs. The file is kept only if its output agrees with torch within 1e-4."""
    from allfocus.errors import OptionError, needs

    with needs("allfocus export", "train", "torch"):
        import torch  # noqa: F401

        from allfocus.atomic_file import AtomicFile
        from allfocus.checkpoints.export import export
        from allfocus.scratch import ScratchFolder
        from allfocus.targets import check
    fixed = _size(size)
    check((output, output.with_suffix(BESIDE_XML)), _files_of(model))
    if image and (format != "onnx" or fixed is not None):
        raise OptionError("--image with another format or a --size", "--format onnx and any size", "--image alone")
    net, architecture, name = _untrained(model) if untrained else _trained(model)
    about = {"model": name}
    if image:
        from allfocus.checkpoints.image_graph import write_image_graph

        AtomicFile(output, overwrite=overwrite).check()  # before the minutes of work
        with ScratchFolder.temporary() as scratch:
            done = export(net, architecture, scratch.path / output.name, format, about=about)
            write_image_graph(done.path, output, net.multiple, overwrite=overwrite)
        done = replace(done, path=output, files=(output,))
    else:
        done = export(net, architecture, output, format, size=fixed, about=about, overwrite=overwrite)
    megabytes = sum(path.stat().st_size for path in done.files) / 1e6
    if json:
        import json as json_module

        row = {"model": name, "format": format, "files": [str(path) for path in done.files], **done.proof.facts()}
        typer.echo(json_module.dumps(row))
        return
    taken = (
        "a picture of any size"
        if image
        else f"{fixed.width}x{fixed.height} px only"
        if fixed
        else f"any size in multiples of {net.multiple} px"
    )
    typer.echo(f"{' and '.join(map(str, done.files))}: {name}, {megabytes:.1f} MB, {taken}")
    typer.echo(
        f"  differs from torch by {done.proof.random:.1e} on random pictures, {done.proof.photo:.1e} on a photo "
        f"({done.proof.checked_with}; {done.proof.tolerance:g} is let through)"
    )


def _files_of(model: str) -> list[Path]:
    """The files of a model that is there, whatever it was named by; none for a run or a network without weights."""
    from allfocus.errors import WeightsError
    from allfocus.weights import store

    path = Path(model)
    try:
        found = store.find(model)
        return [found.weights, found.graph, found.weights.with_suffix(store.CARD_SUFFIX)]
    except WeightsError:
        return [file for file in (path.iterdir() if path.is_dir() else [path]) if file.is_file()]


def _size(text: str | None) -> Size | None:
    from allfocus.checkpoints.formats import Size
    from allfocus.errors import OptionError

    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise OptionError(f"size {text!r}", "width and height in px", "--size 1280x720")
    return Size(int(parts[0]), int(parts[1]))


def _trained(model: str) -> tuple[IFAN, Architecture, str]:
    """Network, what builds it, and its name: of a run, of a file of weights alone, or of a whole model."""
    from allfocus.checkpoints import native
    from allfocus.errors import WeightsError
    from allfocus.nets.registry import ENTRIES, Architecture
    from allfocus.weights import store

    path = Path(model)
    if path.is_dir():
        return _run(path)
    if path.suffix == store.WEIGHTS_SUFFIX and not path.with_suffix(store.CARD_SUFFIX).is_file():
        return native.load(path), native.architecture_of(path), path.stem
    try:
        found = store.find(model)
    except WeightsError as error:
        if model in ENTRIES:
            raise WeightsError(
                f"{model} is a network without weights here", error.expected, "--untrained for random weights"
            ) from error
        raise
    return native.load(found.weights), Architecture(**found.card.architecture), found.card.name


def _run(folder: Path) -> tuple[IFAN, Architecture, str]:
    from allfocus.errors import OptionError
    from allfocus.train.state import load_averaged
    from allfocus.train.tasks.registry import BASELINES, ifan_architecture

    config, net, step = load_averaged(folder)
    if config.architecture in BASELINES:
        raise OptionError(f"a run of {config.architecture}", "a run of the IFAN family", "another run")
    return net, ifan_architecture(config), f"{folder.name}, step {step}"


def _untrained(model: str) -> tuple[IFAN, Architecture, str]:
    import torch

    from allfocus.nets.registry import architecture

    wanted = architecture(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return wanted.build().eval(), wanted, f"{model}, untrained"
