"""Sizes of photos from their headers, or from a sample of the headers if there are many."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median

import pyvips

from allfocus.batch.entries import PhotoTask
from allfocus.batch.store import Item, Store, is_url, plain
from allfocus.deblurrer import written_suffix
from allfocus.errors import AllfocusError, InputError
from allfocus.inputs import MADE_HERE
from allfocus.photo.formats import PHOTO_EXTENSIONS, USUAL

HEADERS = 2000
"""With more photos than this, only this many headers are read; the other sizes are estimated from file sizes."""

READERS = 16
SEED = 5


@dataclass(frozen=True)
class Asked:
    """One photo of a run, before its size is known.

    Attributes:
        source: its path or URL.
        name: of the result, below the output folder.
        item: from a listing; None if it has to be looked up.
        numbers: name of the defocus map, or None.
        comparison: name of the before/after picture, or None.
    """

    source: str
    name: str
    item: Item | None = None
    numbers: str | None = None
    comparison: str | None = None


def photos_at(url: str, store: Store) -> list[Asked]:
    """The photos at a URL: one, or all below a folder, named as the folder has them.

    Raises:
        InputError: nothing is there, or no photo. StoreError: the store does not answer.
    """
    url = plain(url)
    if PurePosixPath(url.split("?", 1)[0]).suffix.lower() in PHOTO_EXTENSIONS:
        item = store.item(url)
        if item is None:
            raise InputError(f"{url} does not exist", "a photo or a folder of photos", "check the address")
        name = PurePosixPath(url.split("?", 1)[0]).name
        return [Asked(url, _result_name(name), item)]
    found = []
    for item in store.walk(url):
        name = item.location[len(url) :].lstrip("/")
        path = PurePosixPath(name)
        hidden = any(part.startswith(".") for part in path.parts)
        made_here = PurePosixPath(path.stem).suffix in MADE_HERE
        if path.suffix.lower() in PHOTO_EXTENSIONS and not hidden and not made_here:
            found.append(Asked(item.location, _result_name(name), item))
    if not found:
        raise InputError(f"no photo at {url}", f"files ending in {USUAL}", "another folder")
    return found


def tasks(asked: Sequence[Asked], store: Store) -> Iterator[PhotoTask]:
    """Each photo with its size; a photo that no longer exists has size 0 and fails later.

    With more than `HEADERS` photos, megapixels come from the bytes and the median ratio of a sample of each format.
    """
    items = [photo.item or store.item(photo.source) or Item(photo.source, 0, "gone") for photo in asked]
    sampled = range(len(asked))
    if len(asked) > HEADERS:
        sampled = sorted(random.Random(SEED).sample(sampled, HEADERS))
    with ThreadPoolExecutor(READERS if any(is_url(photo.source) for photo in asked) else 1) as pool:
        sizes = dict(zip(sampled, pool.map(lambda index: megapixels(asked[index].source, store), sampled), strict=True))
    ratios: dict[str, list[float]] = {}
    for index, size in sizes.items():
        if size and items[index].bytes > 0:
            ratios.setdefault(_ending(asked[index].source), []).append(size / items[index].bytes)
    every = [ratio for ratios_of_one in ratios.values() for ratio in ratios_of_one]
    for index, (photo, item) in enumerate(zip(asked, items, strict=True)):
        size = sizes.get(index)
        if not size:
            known = ratios.get(_ending(photo.source)) or every
            size = max(item.bytes, 0) * median(known) if known else 0.0
        yield PhotoTask(
            source=photo.source, name=photo.name, bytes=max(item.bytes, 0), stamp=item.stamp, megapixels=size,
            numbers=photo.numbers, comparison=photo.comparison,
        )  # fmt: skip


def megapixels(location: str, store: Store) -> float:
    """From the header, reading as little of it as the format allows; 0 if it is unknown."""
    try:
        if not is_url(location):
            image = pyvips.Image.new_from_file(location, access="sequential")
            return image.width * image.height / 1e6
        with store.open(location) as file:
            source = pyvips.SourceCustom()
            source.on_read(file.read)
            source.on_seek(file.seek)
            image = pyvips.Image.new_from_source(source, "", access="sequential")
            size = image.width * image.height / 1e6
            del image, source  # reads no more
            return size
    except (pyvips.Error, AllfocusError, OSError, ValueError):
        return 0.0


def _result_name(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(written_suffix(Path(name))))


def _ending(location: str) -> str:
    return Path(location.split("?", 1)[0]).suffix.lower()
