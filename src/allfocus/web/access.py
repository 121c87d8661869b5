"""Access control: the token, the host name, and pages of other sites."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from allfocus.web.limits import is_loopback
from allfocus.web.problems import Refusal

OPEN = ("/healthz", "/readyz")
GUARDED = ("/v1/", "/metrics", "/openapi.json", "/docs")


class Access:
    """ASGI middleware that refuses before anything of a body is read.

    Without a token only this machine asks, under a name of its own: a page of another site that had its name point here
    (DNS rebinding) sends that name. With a token, every path below /v1 and /metrics needs it. The page and its files
    are for everyone.
    """

    def __init__(self, app: ASGIApp, token: SecretStr | None) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            try:
                self._check(scope["path"], Headers(scope=scope))
            except Refusal as refusal:
                await refusal.answer()(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if self.token is None and host and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise Refusal(421, f"a request for {host:.80}", "localhost or 127.0.0.1", "a token, to serve other names")
        if path in OPEN or not path.startswith(GUARDED):
            return
        origin = headers.get("origin")
        if headers.get("sec-fetch-site") == "cross-site" or (origin and urlsplit(origin).netloc != host):
            raise Refusal(403, "a request from another site's page", "the service's own page, or a program", "open /")
        if self.token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            wanted = self.token.get_secret_value().encode()
            if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), wanted):
                raise Refusal(
                    401, "no token, or a wrong one", "Authorization: Bearer TOKEN",
                    "the token that the service was started with", {"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
