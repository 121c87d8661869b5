"""XMP packets as far as the pixels concern them: the orientation they state."""

from __future__ import annotations

import re

_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))([1-8])(?=["'\s<])""")


def upright(packet: bytes) -> tuple[bytes, int | None]:
    """A packet whose tiff:Orientation, if it states one, is 1, with nothing else changed; and what it was.

    >>> upright(b'<a tiff:Orientation="6"/>')
    (b'<a tiff:Orientation="1"/>', 6)
    >>> upright(b"<a/>")
    (b'<a/>', None)
    """
    stated = _ORIENTATION.search(packet)
    return _ORIENTATION.sub(rb"\g<1>1", packet), int(stated[2]) if stated else None
