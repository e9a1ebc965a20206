"""The dashboard's session: a token is exchanged for a cookie that no script can read."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.domain.run import iso
from bascule.errors import BasculeError
from bascule.server import examples
from bascule.server.answers import answer
from bascule.server.asking import own_origin
from bascule.server.controller import MigrationController
from bascule.server.describing import CHANGING, answers
from bascule.server.identities import COOKIE, Unauthenticated
from bascule.server.problems import Problem, status_of, told


class LogIn(BaseModel):
    """The token to be exchanged."""

    model_config = ConfigDict(extra="forbid", strict=True)
    token: Annotated[str, Field(min_length=1, max_length=16_384)]


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router these endpoints."""
    identities = controller.doorman.identities

    @router.get("/session", summary="Who is logged in", responses=answers(examples.SESSION))
    async def who(request: Request) -> Response:
        try:
            session = await asyncio.to_thread(controller.doorman.session, request)
        except Unauthenticated:
            raise _nobody() from None
        return answer(_shown(controller, session.principal, session.csrf))

    @router.post("/session", summary="Log in with a token", responses=answers(examples.SESSION, also=CHANGING))
    async def log_in(request: Request, body: LogIn) -> Response:
        if request.headers.get("origin") is not None and not own_origin(request):
            raise Problem(403, "A page of another server cannot log in here.", "csrf", "Log in at / of this server.")
        try:
            principal = await asyncio.to_thread(identities.authenticate, body.token)
        except Unauthenticated as stranger:
            raise await controller.doorman.refused(request, stranger, "log in") from None
        request.state.principal = principal.name
        await controller.doorman.admitted(request, principal, "log in")
        cookie, session, seconds = identities.begin_session(principal)
        response = answer(_shown(controller, session.principal, session.csrf), "Logged in")
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=seconds,
            path=request.scope.get("root_path", "") or "/",
            httponly=True,
            samesite="strict",
            secure=_must_be_secure(request),
        )
        return response

    @router.delete("/session", summary="Log out", responses=answers(None, also=CHANGING))
    async def log_out(request: Request) -> Response:
        session = await controller.doorman.leaving(request)
        try:
            await asyncio.to_thread(identities.end_session, session)
            response = answer(None, "Logged out")
        except BasculeError as problem:
            # The browser and this server forget it all the same.
            response = told(status_of(problem), problem.message, problem.as_dict(), controller.settings.clean)
        await controller.doorman.admitted(request, session.principal, "log out")
        response.delete_cookie(COOKIE, path=request.scope.get("root_path", "") or "/", httponly=True, samesite="strict")
        return response


def _must_be_secure(request: Request) -> bool:
    """Off loopback the cookie is for TLS alone."""
    return request.url.scheme == "https" or request.url.hostname not in ("127.0.0.1", "localhost", "::1")


def _nobody() -> Problem:
    return Problem(
        401,
        "The credentials are missing or no good.",
        "unauthenticated",
        "Log in with a token of `bascule token create`.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _shown(controller: MigrationController, principal: Principal, csrf: str) -> dict[str, Any]:
    address = controller.settings.address
    return {
        "name": principal.name,
        "role": principal.role,
        "environment": controller.settings.environment,
        "target": controller.settings.target or (address.url.database if address is not None else ""),
        "approvals": controller.settings.approvals if controller.settings.environment == "production" else 0,
        "csrf": csrf,
        "expiresAt": iso(principal.expires_at) if principal.expires_at else None,
    }
