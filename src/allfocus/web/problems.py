"""Errors as HTTP responses: the three parts of the command line's errors, and a status (RFC 9457)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from allfocus.errors import (
    AllfocusError,
    EngineError,
    InputError,
    OptionError,
    OutputError,
    PhotoSizeError,
    UnknownFormatError,
)

if TYPE_CHECKING:
    from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
_ONLY_THERE = re.compile(", or .*--(allow-damaged|pixel-limit).*")  # options that a request does not have


class Refusal(Exception):
    """An HTTP refusal: status, the three parts, and headers such as Retry-After."""

    def __init__(
        self, status: int, got: str, expected: str, hint: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(got)
        self.status, self.got, self.expected, self.hint = status, got, expected, hint
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: AllfocusError) -> Refusal:
        """The refusal for an error of the library; what it suggests is what a request can say, too."""
        hint = re.sub(r"--([a-z-]+)", _field, _ONLY_THERE.sub("", error.hint))
        return cls(status_of(error), error.got, error.expected, hint)

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "got": self.got,
            "expected": self.expected,
            "try": self.hint,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Refusal:
        """What `to_json` wrote."""
        return cls(body["status"], body["got"], body["expected"], body["try"])

    def answer(self) -> JSONResponse:
        """The HTTP answer."""
        from starlette.responses import JSONResponse  # the worker, which has no HTTP, starts without it

        return JSONResponse(self.to_json(), self.status, self.headers, media_type=MEDIA_TYPE)


def _field(option: re.Match[str]) -> str:
    """--keep-bokeh as a request has it: keep_bokeh."""
    return option[1].replace("-", "_")


def status_of(error: AllfocusError) -> int:
    """413 too large, 415 not a photo, 422 a photo or option that cannot be used, 507 no disk, 500 our own fault."""
    if isinstance(error, PhotoSizeError):
        return 413
    if isinstance(error, UnknownFormatError):
        return 415
    if isinstance(error, InputError | OptionError):
        return 422
    if isinstance(error, OutputError):
        return 507
    return 503 if isinstance(error, EngineError) else 500
