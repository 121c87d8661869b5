"""The options of a request: those of `allfocus deblur`, under the same names, checked in advance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from allfocus.restore import MOST_STRENGTH
from allfocus.web.problems import Refusal
from allfocus.weights import store


class Options(BaseModel):
    """How a photo is to be deblurred."""

    model_config = ConfigDict(extra="forbid")

    speed: Literal["fast", "balanced", "best"] = Field(
        default="balanced", description="Model, scales and mirror images; a model that is named goes before."
    )
    model: str | None = Field(default=None, max_length=100, description="A name that GET /v1/models lists.")
    strength: float = Field(
        default=1.0,
        ge=0,
        le=MOST_STRENGTH,
        allow_inf_nan=False,
        description="0 keeps the photo, above 1 is crisper.",
    )
    scale: Literal["auto", "1", "2", "4"] = Field(default="auto", description="Coarsest working scale.")
    tile: int = Field(default=0, ge=0, le=8192, description="Side of a tile in px; 0 chooses.")
    keep_bokeh: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        description="Leave alone what is blurred by this radius, px.",
    )
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Of a JPEG, WebP or AVIF; the source's, and at least 90, when absent."
    )


class MapOptions(BaseModel):
    """How a defocus map is to be made."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, max_length=100, description="A name that GET /v1/models lists.")
    scale: Literal["auto", "1", "2", "4"] = Field(default="auto", description="Coarsest working scale.")
    format: Literal["tiff", "png", "cells"] = Field(
        default="tiff", description="tiff: 16 bit, 0.01 px a step; png: colours and a legend; cells: JSON."
    )


Kind = TypeVar("Kind", bound=BaseModel)


def parse(kind: type[Kind], *sources: Mapping[str, Any]) -> Kind:
    """Options from the query and the form; each name at most once.

    Raises:
        Refusal: 422, an option that is unknown, given twice, or outside what it may be.
    """
    given: dict[str, Any] = {}
    for source in sources:
        for name, value in source.items():
            if name in given:
                raise Refusal(422, f"{name} twice", "each option once", "give it in the query or in the form")
            given[name] = value
    try:
        options = kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"])) or "options"
        got = f"an option called {name!r}" if first["type"] == "extra_forbidden" else f"{name} {first['input']!r:.80}"
        expected = f"one of {', '.join(kind.model_fields)}" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refusal(422, got, expected, "GET /openapi.json lists the options") from None
    check_model(getattr(options, "model", None))
    return options


def check_model(name: str | None) -> None:
    """Refuse what is not the name of a model here: a path from a request never reaches the file system.

    Raises:
        Refusal: 422.
    """
    names = [model.card.name for model in store.installed()]
    if name is not None and name not in names:
        raise Refusal(422, f"no model is called {name!r:.80}", f"one of {', '.join(names)}", "GET /v1/models")
