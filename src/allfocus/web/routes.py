"""The endpoints under /v1, health checks and metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from allfocus.photo import formats
from allfocus.web.jobs import Job
from allfocus.web.options import MapOptions, Options, parse
from allfocus.web.problems import MEDIA_TYPE, Refusal
from allfocus.web.process import WorkerDied
from allfocus.web.service import Service
from allfocus.web.upload import Upload, receive
from allfocus.weights import store

REPORT_HEADER = "Allfocus-Report"
BINARY = {"type": "string", "format": "binary"}
IMAGE = {"image/*": {"schema": BINARY}}
MAP: dict[str, Any] = {
    "description": "The defocus map.",
    "content": {"image/tiff": {"schema": BINARY}, "image/png": {"schema": BINARY}, "application/json": {}},
}


class Problem(BaseModel):
    """What a refusal says."""

    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    got: str = Field(examples=["strength 2"])
    expected: str = Field(examples=["a number from 0 to 1"])
    hint: str = Field(alias="try", examples=["strength=1"])


REFUSED = {
    400: "the form cannot be read",
    401: "no token, or a wrong one",
    403: "a page of another site",
    404: "no such job, or expired",
    408: "the body came too slowly",
    409: "not done",
    413: "too many bytes or pixels",
    415: "no photo of a known format",
    422: "a photo or an option that cannot be used",
    429: "the queue is full; Retry-After says when to come again",
    500: "the worker failed on this photo",
    503: "the service is starting or ending",
    504: "the photo took too long",
    507: "no disk",
}


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": REFUSED[status], "model": Problem, "content": content} for status in statuses}


def _upload_body(kind: type[BaseModel] | None) -> dict[str, Any]:
    """The OpenAPI description of a photo's body."""
    options = {} if kind is None else kind.model_json_schema()["properties"]
    fields = {name: {**field, "title": name} for name, field in options.items()}
    photo = {**BINARY, "description": "JPEG, PNG, TIFF, WebP, AVIF, and with extras HEIC and camera raw."}
    mask = {**BINARY, "description": "Grey picture of the photo's shape: black leaves, white sharpens."}
    form = {
        "type": "object",
        "properties": {"photo": photo, "mask": mask, **fields},
        "required": ["photo"],
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": BINARY}, **IMAGE}
    return {"requestBody": {"required": True, "content": content}}


class JobView(BaseModel):
    """A job as clients see it."""

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    events: str = Field(description="Server-sent events.")
    result: str | None = Field(None, description="The finished photo.")
    map: str | None = Field(None, description="Its defocus map; ?format=tiff, png or cells.")
    facts: dict[str, Any] | None = Field(None, description="As `allfocus deblur --json` gives them.")
    problem: dict[str, Any] | None = None

    @classmethod
    def of(cls, job: Job) -> JobView:
        """What there is to say of a job."""
        here = f"/v1/jobs/{job.id}"
        done = job.state == "done"
        return cls(
            id=job.id,
            state=job.state,
            events=f"{here}/events",
            result=f"{here}/result" if done else None,
            map=f"{here}/map" if done and _cells(job).is_file() else None,
            facts=job.facts,
            problem=None if job.problem is None else job.problem.to_json(),
        )


class ModelView(BaseModel):
    """A model as `allfocus models` lists it."""

    name: str
    default: bool
    parameters: int
    licence: str
    tells_radius: bool
    known_failures: list[str]


router = APIRouter()
WORK = _refusals(400, 401, 403, 408, 413, 415, 422, 429, 500, 503, 504, 507)


def _service(request: Request) -> Service:
    return request.app.state.service


@router.post(
    "/v1/deblur",
    response_class=Response,
    responses={200: {"description": "The photo, in its own format.", "content": IMAGE}, **WORK},
    openapi_extra=_upload_body(Options),
)
async def deblur(request: Request, query: Annotated[Options, Query()]) -> Response:
    """Deblur a photo: same format, size, depth and metadata. `Allfocus-Report` reports what was done, as JSON."""
    service = _service(request)
    job = await _take(request, service, query, tiles=False)
    await _finished(request, service, job)
    assert job.result is not None  # it is done
    return _file(job, BackgroundTask(service.jobs.forget, job))


@router.post(
    "/v1/map",
    response_class=Response,
    responses={200: MAP, **WORK},
    openapi_extra=_upload_body(MapOptions),
)
async def map_photo(request: Request, query: Annotated[MapOptions, Query()]) -> Response:
    """How blurred a photo is at each place, in px."""
    service = _service(request)
    job, wanted = await _take_map(request, service, query)
    await _finished(request, service, job)
    answer = await _map(service, job, wanted.format)
    answer.background = BackgroundTask(service.jobs.forget, job)
    return answer


@router.post(
    "/v1/preview",
    response_class=Response,
    responses={200: {"description": "8-bit sRGB PNG.", "content": {"image/png": {"schema": BINARY}}}, **WORK},
    openapi_extra=_upload_body(None),
)
async def preview(request: Request) -> Response:
    """A photo as a picture that every browser shows."""
    service = _service(request)
    with service.jobs.place() as folder:
        upload = await _received(request, service, folder)
        output = folder / "preview.png"
        asked = {"do": "preview", "photo": str(upload.photo), "output": str(output), "name": upload.name}
        event = await _asked(service, asked, folder)
        data = await asyncio.to_thread(output.read_bytes)
    report = json.dumps(event["facts"])
    return Response(data, media_type="image/png", headers={REPORT_HEADER: report, "Cache-Control": "no-store"})


@router.post("/v1/jobs", status_code=202, responses=WORK, openapi_extra=_upload_body(Options))
async def create_job(request: Request, response: Response, query: Annotated[Options, Query()]) -> JobView:
    """Put a photo into the queue; the answer comes at once."""
    service = _service(request)
    job = await _take(request, service, query, tiles=True)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobView.of(job)


GONE = _refusals(401, 403, 404, 422)


@router.get("/v1/jobs/{id}", responses=GONE)
async def job_state(request: Request, id: str) -> JobView:
    """How a job stands."""
    return JobView.of(_service(request).jobs.find(id))


@router.delete("/v1/jobs/{id}", status_code=204, response_class=Response, responses=GONE)
async def cancel_job(request: Request, id: str) -> Response:
    """Stop a job and drop what it made."""
    jobs = _service(request).jobs
    job = jobs.find(id)
    await jobs.cancel(job)
    if job.over:
        await jobs.forget(job)
    return Response(status_code=204)


@router.get(
    "/v1/jobs/{id}/events",
    response_class=StreamingResponse,
    responses={200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}, **GONE},
)
async def job_events(request: Request, id: str) -> StreamingResponse:
    """Server-sent events: queued, started, tile (done, total, scale, box, picture), then done, failed or cancelled.

    A client that leaves the stream and does not ask again stops its job.
    """
    job = _service(request).jobs.find(id)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() else 0
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(job, after), media_type="text/event-stream", headers=headers)


async def _stream(job: Job, after: int) -> AsyncIterator[str]:
    async for numbered in job.follow(after):
        if numbered is None:
            yield ": still here\n\n"
            continue
        number, event = numbered
        data = {key: value for key, value in event.items() if key != "is"}
        if "tile" in data:
            data["picture"] = f"/v1/jobs/{job.id}/tiles/{data.pop('tile')}"
        yield f"id: {number}\nevent: {event['is']}\ndata: {json.dumps(data)}\n\n"


@router.get(
    "/v1/jobs/{id}/result",
    response_class=FileResponse,
    responses={200: {"content": IMAGE}, **GONE, **_refusals(409)},
)
async def job_result(request: Request, id: str) -> Response:
    """The finished photo."""
    job = _done(request, id)
    return _file(job, BackgroundTask(_collected, job))


@router.get(
    "/v1/jobs/{id}/map",
    response_class=FileResponse,
    responses={200: MAP, **GONE, **_refusals(409)},
)
async def job_map(
    request: Request, id: str, format: Annotated[Literal["tiff", "png", "cells"], Query()] = "tiff"
) -> Response:
    """The defocus map of a finished photo."""
    return await _map(_service(request), _done(request, id), format)


@router.get(
    "/v1/jobs/{id}/tiles/{number}",
    response_class=FileResponse,
    responses={200: {"content": {"image/jpeg": {"schema": BINARY}}}, **GONE},
)
async def job_tile(request: Request, id: str, number: int) -> FileResponse:
    """One finished tile, as a picture, while the rest is processed."""
    path = _service(request).jobs.find(id).folder / "tiles" / f"{number}.jpg"
    if not path.is_file():
        raise Refusal(404, f"no tile {number}", "a tile that an event named", "follow the events")
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get("/v1/models", responses=_refusals(401, 403))
async def models(request: Request) -> list[ModelView]:
    """The models that are installed."""
    return [
        ModelView(
            name=model.card.name,
            default=model.card.name == _service(request).name,
            parameters=model.card.parameters,
            licence=model.card.licence,
            tells_radius="disparity" in model.card.outputs,
            known_failures=list(model.card.known_failures),
        )
        for model in store.installed()
    ]


@router.get("/healthz", response_class=JSONResponse)
async def healthz() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}


@router.get("/readyz", response_class=JSONResponse, responses=_refusals(503))
async def readyz(request: Request) -> dict[str, Any]:
    """The engine is loaded and the service takes photos."""
    return _service(request).ready()


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **_refusals(401, 403)}
)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(_service(request).metrics(), media_type="text/plain; version=0.0.4")


async def _take(request: Request, service: Service, query: Options, *, tiles: bool) -> Job:
    """The upload as a job in the queue."""
    with service.jobs.place() as folder:
        upload = await _received(request, service, folder)
        options = parse(Options, query.model_dump(exclude_unset=True), upload.fields)
        return await _submit(service, folder, upload, options, tiles)


async def _take_map(request: Request, service: Service, query: MapOptions) -> tuple[Job, MapOptions]:
    with service.jobs.place() as folder:
        upload = await _received(request, service, folder)
        wanted = parse(MapOptions, query.model_dump(exclude_unset=True), upload.fields)
        options = Options(model=wanted.model, scale=wanted.scale)
        return await _submit(service, folder, upload, options, tiles=False), wanted


async def _submit(service: Service, folder: Path, upload: Upload, options: Options, tiles: bool) -> Job:
    asked: dict[str, Any] = {
        "do": "restore",
        "photo": str(upload.photo),
        "name": upload.name,
        "mask": None if upload.mask is None else str(upload.mask),
        "options": options.model_dump(),
        "model": service.model,
        "pixels": service.limits.pixels,
        "tiles": tiles,
    }
    return await service.jobs.submit(folder, upload, asked)


async def _received(request: Request, service: Service, folder: Path) -> Upload:
    """The upload, whose header says that it is a photo of a size that is let in."""
    upload = await receive(request, service.limits, folder)
    for path in (upload.photo, upload.mask):
        if path is not None:
            await _asked(service, {"do": "inspect", "photo": str(path), "name": upload.name}, folder)
    return upload


async def _asked(service: Service, asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The answer of the inspecting worker, which reads headers and makes previews, and is never busy for long."""
    request = {**asked, "job": folder.name, "folder": str(folder), "pixels": service.limits.pixels}
    try:
        async with asyncio.timeout(service.limits.job_seconds):
            event = await service.inspector.answer(request)
    except WorkerDied as death:
        raise Refusal(500, f"a worker that ended with status {death.status}", "a photo", "another file") from None
    except TimeoutError:
        raise Refusal(504, "a photo that takes too long to read", "a photo", "another file") from None
    if event["is"] == "failed":
        raise Refusal.from_json(event["problem"])
    return event


async def _finished(request: Request, service: Service, job: Job) -> None:
    """Wait for a job; stop it when the client leaves. Refusal: it failed."""
    end = asyncio.ensure_future(job.end())
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({end, left}, return_when=asyncio.FIRST_COMPLETED)
        if not job.over:
            await service.jobs.cancel(job)
    finally:
        end.cancel()
        left.cancel()
        if not job.over:  # the service itself is being stopped
            await service.jobs.cancel(job)
    if job.state != "done":
        await service.jobs.forget(job)
        raise job.problem or Refusal(499, "a client that left", "a client that waits", "send it again")


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _done(request: Request, id: str) -> Job:
    job = _service(request).jobs.find(id)
    if job.state != "done":
        raise job.problem or Refusal(409, f"a job that is {job.state}", "a job that is done", "follow its events")
    return job


async def _collected(job: Job) -> None:
    job.collected = True


def _file(job: Job, background: BackgroundTask) -> FileResponse:
    assert job.result is not None and job.facts is not None  # it is done
    stem = Path(job.upload.name).stem or "photo"
    name = f"{stem}.sharp{job.result.suffix}"
    headers = {
        REPORT_HEADER: json.dumps(job.facts),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "no-store",
    }
    media = formats.FORMATS[formats.of_name(job.result) or "png"].media
    return FileResponse(job.result, media_type=media, headers=headers, background=background)


async def _map(service: Service, job: Job, format: str) -> Response:
    cells = _cells(job)
    if not cells.is_file():
        raise Refusal(422, "a model that does not tell the blur radius", "one that does", "GET /v1/models")
    headers = {"Cache-Control": "no-store"}
    if format == "cells":
        return Response(await asyncio.to_thread(cells.read_bytes), media_type="application/json", headers=headers)
    output = job.folder / f"map.{format}"
    if not output.is_file():
        asked = {"do": "map", "cells": str(cells), "output": str(output), "model": service.name}
        await _asked(service, asked, job.folder)
    data = await asyncio.to_thread(output.read_bytes)
    return Response(data, media_type=f"image/{format}", headers=headers)


def _cells(job: Job) -> Path:
    return job.folder / "cells.json"
