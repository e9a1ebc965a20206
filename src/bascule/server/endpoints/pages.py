"""What needs no token: whether the server lives, the documentation, and the page that asks for a token."""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from bascule.errors import BasculeError
from bascule.server.controller import MigrationController
from bascule.server.problems import Problem

_DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Bascule: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><main id="swagger-ui"></main><script src="docs/swagger-ui-bundle.js"></script>
<script src="dashboard/docs.js"></script></body></html>
"""
_SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")
_CACHED = {"Cache-Control": "no-cache"}


def add(app: FastAPI, controller: MigrationController) -> None:
    """Give the application these pages."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        try:
            await controller.readers.ask(lambda context: context.target.describe())
        except BasculeError:
            return PlainTextResponse("not ready\n", 503)
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        if not controller.options.open_metrics:
            await controller.doorman.asks("metrics")(request)
        text = await controller.kept("prometheus", controller.prometheus)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_DOCS, headers=_CACHED)

    @app.get("/docs/{name}", include_in_schema=False)
    async def swagger(name: str) -> Response:
        if name not in _SWAGGER:
            raise _nothing()
        return _file("fastapi_offline", f"static/{name}")

    @app.get("/", include_in_schema=False)
    async def dashboard() -> Response:
        return _file("bascule.server", "dashboard/index.html")

    @app.get("/dashboard/{path:path}", include_in_schema=False)
    async def part(path: Annotated[str, Path(max_length=100)]) -> Response:
        if path not in _parts():
            raise _nothing()
        return _file("bascule.server", f"dashboard/{path}")


@lru_cache
def _parts() -> frozenset[str]:
    """The files of the dashboard. What is asked for is looked up among them and never made into a path."""
    home = files("bascule.server").joinpath("dashboard")
    here = [each.name for each in home.iterdir() if each.is_file()]
    views = home.joinpath("views")
    return frozenset((*here, *(f"views/{each.name}" for each in views.iterdir() if each.is_file())))


def _file(package: str, path: str) -> Response:
    place: Any = files(package)
    for name in path.split("/"):
        place = place.joinpath(name)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if path.endswith(".js"):
        kind = "text/javascript"
    return Response(
        place.read_bytes(), media_type=f"{kind}; charset=utf-8" if "text" in kind else kind, headers=_CACHED
    )


def _nothing() -> Problem:
    return Problem(404, "There is nothing at this address.", "not_found", "See /docs for what there is.")
