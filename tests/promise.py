"""The promise to a photographer, as a property: whatever is asked for, no original changes, every result is whole, and
what could not be kept is said.

A case is a folder of files and one command line; the file system is the model: what it held before is compared with
what it holds afterwards. A stand-in for the network makes a case take some hundredths of a second.
"""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from allfocus import ledger
from allfocus.cli.main import main
from allfocus.deblurrer import Deblurrer
from allfocus.photo.codecs import decode
from allfocus.photo.formats import PHOTO_EXTENSIONS
from allfocus.weights.store import Model
from engines import LocalEngine, card
from map_files import read_tiff

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="promise"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
JOURNAL = "allfocus-journal"
SIZE = (19, 13)
FORMATS = ("jpg", "png", "tif", "webp", "avif")
STEMS = ("a", "b", "A", "a b", "ä", "bad\udcff", "-x", "a[1]", "new\nline", "n" * 246, "a.heic")
FOLDERS = ("", "deep", "deep/er", "out", ".hidden")
DAMAGE = ("none", "none", "none", "none", "none", "cut", "empty", "text")
ITEMS = ("exif", "xmp", "icc")
WORDS = {"alpha": "transparency", "exif": "EXIF", "xmp": "XMP", "icc": "profile", "depth": "bit"}


@dataclass(frozen=True)
class File:
    """A file of the tree.

    Attributes:
        folder, stem, format: where it lies; the format is also its ending, sometimes in capitals.
        mode: "L", "RGB" or "RGBA"; "16" and "float" are TIFF and PNG only.
        items: what it carries, of `ITEMS`.
        turned: an EXIF orientation of 6 instead of 1.
        damage: "none", "cut", "empty" or "text".
        permissions: its permission bits.
        link: "soft" or "hard" makes it a link to the file before it, "nowhere" a link to nothing.
    """

    folder: str
    stem: str
    format: str
    mode: str
    items: frozenset[str]
    turned: bool
    damage: str
    permissions: int
    link: str

    @property
    def place(self) -> str:
        """Its path below the root."""
        return os.path.join(self.folder, f"{self.stem}.{self.format}")  # noqa: PTH118


@dataclass(frozen=True)
class Case:
    """A tree and what is asked of it; paths are relative to the root."""

    files: tuple[File, ...]
    inputs: tuple[str, ...]
    output: str | None
    flags: tuple[str, ...]


files = st.builds(
    File,
    folder=st.sampled_from(FOLDERS),
    stem=st.sampled_from(STEMS),
    format=st.sampled_from((*FORMATS, "JPG")),
    mode=st.sampled_from(("L", "RGB", "RGB", "RGBA", "16", "float")),
    items=st.sets(st.sampled_from(ITEMS)).map(frozenset),
    turned=st.booleans(),
    damage=st.sampled_from(DAMAGE),
    permissions=st.sampled_from((0o644, 0o600, 0o444, 0o640)),
    link=st.sampled_from(("", "", "", "", "soft", "hard", "nowhere")),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Trees of one to five files, and a command line about them."""
    tree = tuple(draw(st.lists(files, min_size=1, max_size=5, unique_by=lambda file: file.place)))
    places = [file.place for file in tree]
    named = st.lists(st.sampled_from([*places, "", "deep", "out", "gone.jpg", "*.png"]), min_size=1, max_size=3)
    inputs = draw(st.one_of(st.just([""]), named))
    outputs = st.sampled_from([None, None, "out", "out", "", "deep", "new", "new/", "new.jpg", "new.tif", *places])
    flags = draw(
        st.lists(
            st.sampled_from(["--map", "--compare", "--overwrite", "--overwrite", "--allow-damaged", "--quality=97"]),
            max_size=3,
            unique=True,
        )
    )
    return Case(tree, tuple(inputs), draw(outputs), tuple(flags))


@lru_cache(maxsize=512)
def encoded(format: str, mode: str, items: frozenset[str], turned: bool) -> bytes:
    """The bytes of a photo that carries these items."""
    rng = np.random.default_rng(len(items))
    bands = {"L": 1, "RGBA": 4}.get(mode, 3)
    pixels = rng.integers(0, 255, (SIZE[1], SIZE[0], bands), dtype=np.uint8)
    file = io.BytesIO()
    icc = PROFILE if "icc" in items and bands > 1 else None
    if format == "tif" and mode in ("16", "float"):
        deep = pixels / 255 if mode == "float" else pixels.astype(np.uint16) * 257
        deep = deep.astype(np.float32 if mode == "float" else np.uint16)
        tifffile.imwrite(file, deep, photometric="rgb", iccprofile=icc)
        return file.getvalue()
    if format == "jpg" and bands == 4:
        pixels = pixels[..., :3]
    image = Image.fromarray(pixels.squeeze())
    exif = Image.Exif()
    exif[0x013B] = "promise"
    exif[0x0112] = 6 if turned else 1
    named: dict[str, Any] = {"exif": exif} if "exif" in items else {}
    if icc:
        named["icc_profile"] = icc
    if "xmp" in items:
        if format == "png":
            named["pnginfo"] = PngImagePlugin.PngInfo()
            named["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
        elif format != "tif":
            named["xmp"] = XMP
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(format, format.upper())
    image.save(file, kind, **named)
    return file.getvalue()


def build(case: Case, root: Path) -> None:
    """Lay out the tree."""
    before: Path | None = None
    for file in case.files:
        path = root / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.link == "nowhere":
            path.symlink_to(root / "nothing.jpg")
            continue
        if file.link and before is not None:
            path.symlink_to(before) if file.link == "soft" else path.hardlink_to(before)
            continue
        data = encoded(file.format.lower(), file.mode, file.items, file.turned)
        if file.damage == "cut":
            data = data[: len(data) * 2 // 3]
        elif file.damage != "none":
            data = b"" if file.damage == "empty" else b"a list of things to buy " * 9
        path.write_bytes(data)
        path.chmod(file.permissions)
        before = path


def state(root: Path) -> dict[str, tuple[object, ...]]:
    """What every file holds: bytes, time of change and permissions; for links where they lead."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(JOURNAL):
                continue
            path = Path(folder) / name
            about = path.lstat()
            data = str(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[str(path.relative_to(root))] = (data, about.st_mtime_ns, about.st_mode)
    return found


def stand_in() -> Deblurrer:
    """A deblurrer without a network."""
    deblurrer = Deblurrer.__new__(Deblurrer)
    deblurrer.model = Model(card(), Path(), Path())
    deblurrer.engine = LocalEngine(disparity=0.02)  # type: ignore[assignment]
    return deblurrer


def run(case: Case, root: Path) -> tuple[int, list[dict[str, Any]], str]:
    """The command's exit code, its lines of JSON, and what it said to people."""
    line = ["deblur", *(f"{root}/{one}" for one in case.inputs), *case.flags, "--json"]
    if case.output is not None:
        line += ["-o", f"{root}/{case.output}"]
    told, said = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch("allfocus.cli.deblur._deblurrer", lambda *_: stand_in()),
        patch("allfocus.batch.work.Order.deblurrer", lambda self, *_: stand_in()),
        redirect_stdout(told),
        redirect_stderr(said),
    ):
        try:
            main(line)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, [json.loads(row) for row in told.getvalue().splitlines()], said.getvalue()


def check(case: Case, root: Path) -> dict[str, int]:
    """Run a case twice and hold the promise against what it did.

    Returns:
        How many photos were done, skipped and failed in the first run.

    Raises:
        AssertionError: a line of the promise is broken.
    """
    build(case, root)
    before = state(root)
    counts = _check_run(case, root, before)
    if "--overwrite" not in case.flags:
        middle = state(root)
        again = _check_run(case, root, middle)
        new = {name for name in state(root).keys() - middle.keys() if Path(name).name != ledger.NAME}
        assert not new, f"a second run wrote {sorted(new)}"
        assert not again["done"]
    return counts


def _check_run(case: Case, root: Path, before: dict[str, tuple[object, ...]]) -> dict[str, int]:
    code, rows, said = run(case, root)
    after = state(root)
    assert "unexpected error" not in said + json.dumps(rows), said
    read = {os.path.relpath(row["source"], root) for row in rows}
    for name, held in before.items():
        assert name in after, f"{name} is gone"
        if "--overwrite" not in case.flags or name in read:
            assert after[name] == held or Path(name).name == ledger.NAME, f"{name} changed"
    assert not [name for name in after if ".part" in name], "a temporary file stayed"
    assert rows, "no line of JSON"
    counts = {"done": 0, "skipped": 0, "failed": 0}
    for row in rows:
        counts[row["status"]] += 1
        if row["status"] == "done":
            _check_result(row, new=os.path.relpath(row["output"], root) not in before)
    assert (code == 0) == (counts["failed"] == 0), (code, counts)
    for name in after.keys() - before.keys():
        _check_whole(root / name)
    return counts


def _check_whole(path: Path) -> None:
    """A file that a run made can be read to its last pixel."""
    if path.name == ledger.NAME:
        return
    if path.name.endswith(".map.tiff"):
        assert read_tiff(path).size
    elif path.suffix.lower() in PHOTO_EXTENSIONS:
        decode(path)
    else:
        raise AssertionError(f"{path} was made by nobody")


def _check_result(row: dict[str, Any], *, new: bool) -> None:
    """A result has everything that its photo has, or a note says what it lacks."""
    source, output = Path(row["source"]), Path(row["output"])
    notes = " ".join(row["notes"])
    photo, result = decode(source, allow_damaged=True), decode(output)
    assert (result.width, result.height) == (photo.width, photo.height)
    lost = {
        "alpha": photo.alpha is not None and result.alpha is None,
        "depth": result.depth < photo.depth,
        **{item: bool(getattr(photo, item)) and not getattr(result, item) for item in ITEMS},
    }
    for item, is_lost in lost.items():
        assert not is_lost or WORDS[item] in notes, f"{item} of {source} is lost without a note: {notes}"
    if photo.icc and result.icc:
        assert photo.icc == result.icc or "profile" in notes
    if new:  # a file that is replaced keeps its own
        assert output.stat().st_mode & 0o777 == source.stat().st_mode & 0o777 | 0o200
    for name in (row["map"], row["comparison"]):
        assert name is None or Path(name).is_file()
