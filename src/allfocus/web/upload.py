"""Uploads: a request body written to disk, limited in size and time."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from allfocus.photo.formats import PHOTO_EXTENSIONS
from allfocus.web.limits import MIB, Limits
from allfocus.web.problems import Refusal

FILES, FIELDS, FIELD_BYTES = 2, 16, 4096
NAME_CHARACTERS = 80


@dataclass(frozen=True)
class Upload:
    """What a client sent: the photo's file, its name made harmless, a mask's file, and the form's options."""

    photo: Path
    name: str
    mask: Path | None = None
    fields: dict[str, str] = field(default_factory=dict)


async def receive(request: Request, limits: Limits, folder: Path) -> Upload:
    """Write the photo of a body (multipart/form-data with a part `photo`, or bytes alone) and its mask into a folder.

    Refusal: 400 a damaged form, 408 too slow, 413 too long, 415 another kind of body, 422 no photo in it.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body_bytes:
        raise _too_long(f"{int(length):,}", limits)
    if kind == "multipart/form-data":
        return await _form(request, limits, folder)
    if kind.startswith("image/") or kind == "application/octet-stream":
        name = harmless(_disposition_name(request.headers.get("content-disposition", "")))
        path = folder / f"photo{_suffix(name)}"
        with path.open("wb") as file:
            async for chunk in _body(request, limits):
                file.write(chunk)
        if path.stat().st_size == 0:
            raise _nothing()
        return Upload(path, name)
    raise Refusal(
        415,
        f"a body of type {kind or 'none'!r:.80}",
        "multipart/form-data with a part photo, or image/* or application/octet-stream",
        "curl -F photo=@photo.jpg ...",
    )


async def _form(request: Request, limits: Limits, folder: Path) -> Upload:
    parser = MultiPartParser(
        request.headers, _body(request, limits), max_files=FILES, max_fields=FIELDS, max_part_size=FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise _damaged_form(error.message) from None
    except (ValueError, KeyError, LookupError) as error:  # a boundary or character set that is none
        raise _damaged_form(str(error) or type(error).__name__) from None
    try:
        fields: dict[str, str] = {}
        files: dict[str, UploadFile] = {}
        for name, value in form.multi_items():
            if name in fields or name in files:
                raise Refusal(422, f"{name!r:.80} twice", "each part once", "one photo per request")
            if isinstance(value, UploadFile):
                files[name] = value
            else:
                fields[name] = value
        unknown = sorted(files.keys() - {"photo", "mask"})
        if unknown:
            raise Refusal(422, f"a file called {unknown[0]!r:.80}", "files called photo and mask", "rename the part")
        photo = files.get("photo")
        if photo is None or photo.size == 0:
            raise _nothing()
        name = harmless(photo.filename or "")
        path = folder / f"photo{_suffix(name)}"
        mask = folder / "mask" if "mask" in files else None
        await asyncio.to_thread(_save, photo, path)
        if mask is not None:
            await asyncio.to_thread(_save, files["mask"], mask)
        return Upload(path, name, mask, fields)
    finally:
        await form.close()


async def _body(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body's chunks; see `receive` for what is refused."""
    loop = asyncio.get_running_loop()
    end, received = loop.time() + limits.upload_seconds, 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(max(0.0, min(limits.idle_seconds, end - loop.time()))):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refusal(
                408,
                f"{received:,} bytes, and then nothing",
                f"a body within {limits.upload_seconds:g} s without a pause of {limits.idle_seconds:g} s",
                "send it again",
                {"Connection": "close"},
            ) from None
        except ClientDisconnect:
            raise Refusal(400, f"a client gone after {received:,} bytes", "a whole body", "send it again") from None
        received += len(chunk)
        if received > limits.body_bytes:
            raise _too_long(f"more than {limits.body_bytes:,}", limits)
        yield chunk


def harmless(name: str) -> str:
    """A client's file name as plain text: no folders, no control characters, not hidden, at most 80 characters.

    >>> harmless("../../etc/passwd"), harmless("C:\\\\photos\\\\a b.jpg"), harmless("")
    ('passwd', 'a b.jpg', 'photo')
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*%;').strip(". ")
    stem, dot, ending = kept.rpartition(".")
    return f"{stem[:NAME_CHARACTERS]}.{ending[:10]}" if dot else kept[:NAME_CHARACTERS] or "photo"


def _suffix(name: str) -> str:
    """The name's ending where it is a photo's; camera raw files can be told only by it."""
    ending = Path(name).suffix.lower()
    return ending if ending in PHOTO_EXTENSIONS else ""


def _disposition_name(header: str) -> str:
    message = Message()
    message["content-disposition"] = header
    return message.get_filename() or ""


def _save(part: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(part.file, file, MIB)


def _nothing() -> Refusal:
    return Refusal(
        422,
        "no photo in the body",
        "a photo, in multipart/form-data as a file in the part photo",
        "-F photo=@photo.jpg",
    )


def _too_long(got: str, limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"a body of {got} bytes",
        f"at most {limits.body_bytes:,}",
        "a smaller file, or ALLFOCUS_SERVE_BODY_BYTES",
        {"Connection": "close"},
    )


def _damaged_form(cause: str) -> Refusal:
    return Refusal(
        400,
        f"a form that cannot be read ({cause:.120})",
        "multipart/form-data",
        "curl -F photo=@photo.jpg",
        {"Connection": "close"},
    )
