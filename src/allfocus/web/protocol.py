"""The protocol between service and worker: one JSON object per line."""

from __future__ import annotations

import json
from typing import Any, Literal

Message = dict[str, Any]
"""To a worker: {"do": "load", "inspect", "preview", "restore", "map" or "cancel", "job": ...}; from it: {"is": ...}."""

Last = Literal["ready", "done", "failed", "cancelled"]
LAST = ("ready", "done", "failed", "cancelled")
"""After one of these the worker waits for the next request."""


def line(message: Message) -> bytes:
    """A message as bytes, with its line's end."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def loading(model: str) -> Message:
    """The request to load a model, before the first photo needs it."""
    return {"do": "load", "job": "load", "model": model}
