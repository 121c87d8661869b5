"""ICC profiles (ICC.1:2001-04, version 2) made from the few numbers that a PNG states instead of one."""

from __future__ import annotations

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def rgb_profile(gamma: float, chromaticities: tuple[float, ...]) -> bytes:
    """A profile of an RGB space with the decoding curve light = code ** gamma (2.2 is usual).

    `chromaticities` are x and y of white, red, green and blue (CIE 1931); ValueError: they span no colour space.
    """
    white, *primaries = [
        np.array([x, y, 1 - x - y]) / y if y else np.full(3, np.nan) for x, y in _pairs(chromaticities)
    ]
    matrix = np.stack(primaries, axis=1)  # (XYZ, RGB)
    if not np.isfinite(matrix).all() or not np.isfinite(white).all() or abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("chromaticities that span no colour space")
    matrix = matrix * np.linalg.solve(matrix, white)
    adapted = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / (BRADFORD @ white)) @ BRADFORD @ matrix
    tags = {b"%cXYZ" % letter: _xyz(adapted[:, index]) for index, letter in enumerate(b"rgb")}
    tags |= {b"%cTRC" % letter: _curve(gamma) for letter in b"rgb"}
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    """A profile of a grey space with a pure power curve, light = code ** gamma."""
    return _profile(b"GRAY", {b"kTRC": _curve(gamma)})


def _pairs(values: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    name = b"from PNG gAMA and cHRM"
    description = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(78)
    tags = {b"desc": description, b"cprt": b"text" + bytes(4) + b"CC0\0", b"wtpt": _xyz(D50)} | tags
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for kind, data in tags.items():
        table += struct.pack(">4sII", kind, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, start + len(body), bytes(4), 0x02100000, b"mntr", space, b"XYZ ")
    struct.pack_into(">4s", head, 36, b"acsp")
    head[68:80] = _xyz(D50)[8:]
    return bytes(head) + table + body


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, min(65_535, max(1, round(gamma * 256)))) + bytes(2)
