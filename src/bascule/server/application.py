"""The ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from bascule import __version__, wiring
from bascule.server import problems
from bascule.server.controller import MigrationController
from bascule.server.endpoints import acting, audit, looking, pages, plans, recovering, runs, session, watching
from bascule.server.guarding import Guard
from bascule.server.options import PREFIX, Options
from bascule.server.recipe import Recipe

_ABOUT = """Database migrations with a counterweight: every change carries its way back.

Each answer is `{"success", "message"?, "data"?}`, each failure
`{"success": false, "message", "error": {"code", "hint", …}}`."""


def application(recipe: Recipe, options: Options | None = None) -> FastAPI:
    """For the target and the folder of these settings. Raises ConfigError."""
    controller = MigrationController.made_of(recipe, options or Options())
    options = controller.options
    if controller.settings.monitoring_enabled:
        # What is wrong with them is said now, and not when everything else has begun.
        wiring.alert_policy(controller.settings)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        # Alerts, health checks and clean-ups, in a thread of their own which fails nobody.
        rounds = wiring.rounds(controller.settings)
        controller.work.listeners.append(lambda job: rounds.wake("ended") if job.ended.done() else None)
        controller.wake, controller.work.watched = rounds.wake, True
        rounds.start()
        yield
        await asyncio.to_thread(rounds.stop)
        await asyncio.to_thread(controller.close)

    app = FastAPI(
        title="Bascule",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.controller = controller
    problems.install(app, controller.settings.clean)
    migrations = APIRouter(prefix=PREFIX, tags=["migrations"])
    for group in (acting, plans, looking, watching, runs, recovering, audit):
        group.add(migrations, controller)
    own = APIRouter(prefix=PREFIX.rpartition("/")[0], tags=["session"])
    session.add(own, controller)
    app.include_router(migrations)
    app.include_router(own)
    pages.add(app, controller)
    _describe_credentials(app)
    app.add_middleware(_guard, options=options, controller=controller)
    return app


def _guard(app: ASGIApp, *, options: Options, controller: MigrationController) -> Guard:
    return Guard(app, options=options, clean=controller.settings.clean)


def _describe_credentials(app: FastAPI) -> None:
    make = app.openapi

    def described() -> dict[str, object]:
        document = make()
        parts = document.setdefault("components", {})
        parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "bascule_… or JWT"}}
        document["security"] = [{"bearer": []}]
        for path, methods in document["paths"].items():
            for operation in methods.values():
                # FastAPI tells of 422 for bodies that cannot be read; here that is 400.
                if "HTTPValidationError" in str(operation["responses"].get("422", "")):
                    del operation["responses"]["422"]
                if path.endswith("/session"):
                    operation["security"] = []
        for name in ("HTTPValidationError", "ValidationError"):
            parts.get("schemas", {}).pop(name, None)
        return document

    app.openapi = described  # type: ignore[method-assign]
