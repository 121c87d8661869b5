"""The ASGI application: routes, refusals, the page, and what is counted."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allfocus.web.access import Access
from allfocus.web.problems import Refusal
from allfocus.web.routes import router
from allfocus.web.service import Service
from allfocus.web.telemetry import Telemetry

log = logging.getLogger("allfocus.web")
PAGE = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def create_app(service: Service) -> FastAPI:
    """The application of a service, which it opens and closes."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        async with service.open():
            yield

    app = FastAPIOffline(
        title="allfocus",
        version=version("allfocus"),
        summary="A photo that is out of focus in, a photo that is sharp everywhere out.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(router)
    app.mount("/", Page(directory=PAGE, html=True), name="page")
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Access, token=service.limits.token)
    app.add_middleware(Counted, telemetry=service.telemetry)
    return app


class Page(StaticFiles):
    """The page's files, which may reach nothing but this service."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """See StaticFiles."""
        answer = await super().get_response(path, scope)
        answer.headers.update({"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", **HEADERS})
        return answer


class Counted:
    """ASGI middleware: one more answer of this route and status."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "page" if scope["method"] == "GET" else "other")
                self.telemetry.requests.labels(route, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, sent)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # it is registered for these
    return error.answer()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # it is registered for these
    first = error.errors()[0]
    name = str(first["loc"][-1])
    got = f"an option called {name!r:.80}" if first["type"] == "extra_forbidden" else f"{name} {first['input']!r:.80}"
    return Refusal(422, got, first["msg"], "GET /openapi.json lists the options").answer()


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # it is registered for these
    refusal = Refusal(
        error.status_code, f"{request.method} {request.url.path[:80]}", "a path of this service", "GET /docs"
    )
    refusal.headers = dict(error.headers or {})
    return refusal.answer()


async def _failed(_: Request, error: Exception) -> Response:
    return Refusal(500, f"{type(error).__name__} in the service", "an answer", "report it; the log has more").answer()
