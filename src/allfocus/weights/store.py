"""Finding a model by name or path, and checking its weights against its card."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from allfocus.errors import WeightsError
from allfocus.folders import models_folder
from allfocus.weights.card import Card
from allfocus.weights.ranges import Ranges

DEFAULT = "ifan-fast"
SHIPPED = Path(__file__).parent
WEIGHTS_SUFFIX, GRAPH_SUFFIX, CARD_SUFFIX, INT8_SUFFIX = ".safetensors", ".onnx", ".json", ".int8"


@dataclass(frozen=True)
class Model:
    """Three files beside each other: NAME.json, NAME.safetensors and NAME.onnx, which refers to the safetensors file.

    A fourth, NAME.int8, lets engines compute in int8 (see `Ranges`); a model is whole without it.

    Attributes:
        card: what the model is.
        weights: the tensors (safetensors).
        graph: the network as ONNX; its tensors are byte ranges of the weights file.
    """

    card: Card
    weights: Path
    graph: Path

    @classmethod
    def beside(cls, card: Path) -> Model:
        """The model of a card file, unverified. WeightsError: the card cannot be read."""
        return cls(Card.read(card), card.with_suffix(WEIGHTS_SUFFIX), card.with_suffix(GRAPH_SUFFIX))

    def ranges(self) -> Ranges | None:
        """The ranges for int8; None where there are none, or none of these weights. WeightsError: a damaged file."""
        path = self.weights.with_suffix(INT8_SUFFIX)
        ranges = Ranges.read(path) if path.is_file() else None
        return ranges if ranges is not None and ranges.sha256 == self.card.sha256 else None

    def verify(self) -> None:
        """Check that both files are there and that the weights are the ones of the card (some 10 ms for 20 MB).

        Raises:
            WeightsError: a missing file, or one whose sha256 differs.
        """
        for path in (self.weights, self.graph):
            if not path.is_file():
                raise WeightsError(
                    f"{self.card.name} lacks its file {path}",
                    "card, weights and graph in one folder",
                    "copy the model's three files again, or reinstall allfocus",
                )
        found = sha256(self.weights)
        if found != self.card.sha256:
            raise WeightsError(
                f"{self.weights} is damaged or another file (sha256 {found[:12]}...)",
                f"sha256 {self.card.sha256[:12]}..., as its card says",
                "copy the model's three files again, or reinstall allfocus",
            )


def sha256(path: Path) -> str:
    """Digest of a file: 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed() -> list[Model]:
    """Every model here, by name; one in the user's folder replaces a shipped one of the same name. Not verified.

    Raises:
        WeightsError: a card that cannot be read.
    """
    cards = {card.stem: card for folder in (SHIPPED, models_folder()) for card in folder.glob(f"*{CARD_SUFFIX}")}
    return [Model.beside(cards[name]) for name in sorted(cards)]


def find(name_or_path: str | Path = DEFAULT) -> Model:
    """The model of a name, or of the path of its card, weights or graph; verified.

    WeightsError: nothing of that name, a missing file, a damaged one, or a card that this version cannot read.
    """
    card = _card_of(name_or_path)
    if not card.is_file():
        raise WeightsError(
            f"no card {card} for {name_or_path}",
            "card, weights and graph in one folder",
            "copy the model's three files, or release it with this allfocus",
        )
    model = Model.beside(card)
    model.verify()
    return model


def _card_of(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (WEIGHTS_SUFFIX, GRAPH_SUFFIX, CARD_SUFFIX):
        if not path.is_file():
            raise WeightsError(f"there is no file {path}", "a weights file, its card or its graph", "check the path")
        return path.with_suffix(CARD_SUFFIX)
    for folder in (models_folder(), SHIPPED):
        card = folder / f"{name_or_path}{CARD_SUFFIX}"
        if card.is_file():
            return card
    names = [card.stem for folder in (SHIPPED, models_folder()) for card in sorted(folder.glob(f"*{CARD_SUFFIX}"))]
    here = ", ".join(sorted(set(names))) or "none here"
    raise WeightsError(
        f"no model is called {str(name_or_path)!r}",
        f"one of: {here}",
        f"allfocus models, or put its three files into {models_folder()}",
    )
