"""A file that libvips writes into while its head is rewritten: metadata byte for byte, without a second copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import pyvips


class Splice:
    """A file that libvips writes into, whose head is rewritten on the way.

    `rewritten` makes the new head from the bytes so far, or None while they are too few.
    """

    def __init__(self, file: BinaryIO, rewritten: Callable[[bytes], bytes | None]):
        self.file = file
        self.rewritten = rewritten
        self.head: bytes | None = b""
        self.error: BaseException | None = None

    def run(self, save: Callable[[pyvips.TargetCustom], None]) -> None:
        """Let libvips save into it."""
        target = pyvips.TargetCustom()
        target.on_write(self._write)
        try:
            save(target)
        except pyvips.Error:
            if self.error:
                raise self.error from None
            raise
        if self.error:
            raise self.error

    def _write(self, data: Any) -> int:
        piece = bytes(data)
        try:
            if self.head is None:
                self.file.write(piece)
                return len(piece)
            self.head += piece
            finished = self.rewritten(self.head)
            if finished is not None:
                self.file.write(finished)
                self.head = None
        except BaseException as error:  # it would get lost in libvips
            self.error = error
            return -1
        return len(piece)
