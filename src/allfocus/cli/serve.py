"""`allfocus serve`: the page and the HTTP service."""

from __future__ import annotations

from typing import Annotated

import typer

from allfocus.cli.options import EngineName, Precision

NEEDED = ("fastapi", "fastapi_offline", "prometheus_client", "pydantic_settings", "python_multipart", "uvicorn")


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8765,
    model: Annotated[str, typer.Option(help="Model for requests that name none.")] = "ifan-fast",
    engine: EngineName = "auto",
    precision: Precision = "auto",
) -> None:
    """Serve the page and the HTTP API; limits and the token come from ALLFOCUS_SERVE_... variables."""
    import asyncio
    from importlib.util import find_spec

    from allfocus.errors import MissingExtraError

    for needed in NEEDED:
        if find_spec(needed) is None:
            raise MissingExtraError("allfocus serve", "serve", needed)
    asyncio.run(_serve(host, port, model, engine, precision))


async def _serve(host: str, port: int, model: str, engine: str, precision: str) -> None:
    """The worker loads its network while this process still imports what answers requests: a start in half the time."""
    from allfocus.web import protocol
    from allfocus.web.process import WorkerProcess

    worker = WorkerProcess({"engine": engine, "precision": precision})
    await worker.begin(protocol.loading(model))
    try:
        from pydantic import ValidationError

        from allfocus.errors import OptionError
        from allfocus.web.limits import Limits
        from allfocus.web.server import serve
        from allfocus.web.service import Service

        try:
            limits = Limits()  # type: ignore[call-arg]
        except ValidationError as error:
            first = error.errors()[0]
            name = f"ALLFOCUS_SERVE_{'_'.join(map(str, first['loc'])).upper()}"
            raise OptionError(f"{name} {first['input']!r:.80}", first["msg"], "another value, or none") from None
        await serve(Service(limits, model, engine, precision, worker), host, port)
    finally:
        await worker.close()
