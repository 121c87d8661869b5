"""Bringing the two weight files of LPIPS from where their authors publish them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from allfocus.atomic_file import AtomicFile
from allfocus.errors import OutputError, WeightsError, needs
from allfocus.metrics.lpips import FEATURES_NAME, LAYERS, LINEAR_NAME, fetched_folder


@dataclass(frozen=True)
class Download:
    """A published file: its address and how its sha256 begins."""

    url: str
    sha256: str


ALEXNET = Download("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "7be5be79")
LINEAR = Download(
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/alex.pth",
    "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
)


def fetch(folder: Path | None = None, alexnet: Download = ALEXNET, linear: Download = LINEAR) -> Path:
    """Download both files (about 244 MB), keep AlexNet's convolutions in half precision, and return their folder.

    Args:
        folder: where to put them; the user's cache when None. A folder that has both already is left alone.
        alexnet: torchvision's AlexNet for ImageNet.
        linear: the linear heads of LPIPS v0.1.
    Raises:
        WeightsError: no network, or a file that is not what it should be. OutputError: the folder cannot be written.
        MissingExtraError: torch is not installed.
    """
    with needs("LPIPS", "eval", "torch"):
        import torch
        from safetensors.torch import save_file
    place = Path(folder) if folder else fetched_folder()
    if all((place / name).is_file() for name in (FEATURES_NAME, LINEAR_NAME)):
        return place
    try:
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place) as scratch:
            heads, network = Path(scratch, LINEAR_NAME), Path(scratch, "alexnet.pth")
            _download(linear, heads)
            _download(alexnet, network)
            tensors = torch.load(network, map_location="cpu", weights_only=True)
            names = [f"features.{index}.{kind}" for index, *_ in LAYERS for kind in ("weight", "bias")]
            features = Path(scratch, FEATURES_NAME)
            save_file({name: tensors[name].half().contiguous() for name in names}, features)
            for file in (features, heads):
                AtomicFile(place / file.name, overwrite=True).take(file)
    except OSError as error:
        raise OutputError(f"{place} cannot be written ({error.strerror})", "300 MB of space", "--lpips DIR") from error
    return place


def _download(file: Download, target: Path) -> None:
    from urllib.error import URLError

    from torch.hub import download_url_to_file

    try:
        download_url_to_file(file.url, str(target), hash_prefix=file.sha256, progress=False)
    except (URLError, TimeoutError) as error:
        raise WeightsError(
            f"{file.url} cannot be reached ({getattr(error, 'reason', error)})",
            "a network",
            f"download it elsewhere and put it beside {target.name} in a folder that --lpips names",
        ) from error
    except RuntimeError as error:
        raise WeightsError(
            f"{file.url} has changed ({error})", f"sha256 {file.sha256}...", "an original copy"
        ) from error
