"""The audit log. Reading it is written down there."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.errors import Refused
from bascule.server.answers import answer, tagged
from bascule.server.asking import place_of
from bascule.server.controller import MigrationController
from bascule.server.describing import answers

LOG = logging.getLogger("bascule.server")


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router this endpoint."""
    asks, clean = controller.doorman.asks, controller.settings.clean
    example = [{"number": 1, "timestamp": "2024-01-01T00:00:00.000000Z", "who": "ann", "action": "up", "mac": "h1:…"}]

    @router.get(
        "/audit",
        summary="Who did what, newest first",
        responses=answers(example, more={304: "As it was when you asked last (If-None-Match)"}),
    )
    async def audit(
        *,
        request: Request,
        who: Principal = Depends(asks("audit")),
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
        cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    ) -> Response:
        def read() -> list[dict[str, Any]]:
            from bascule.services.audit import shown
            from bascule.state.audit import newest

            asked = {"action": "audit", "what": {"limit": limit, "cursor": cursor}, "decision": "allowed"}
            try:
                controller.doorman.trail(who.name, place_of(request)).write({**asked, "outcome": "done"})
            except Refused as problem:
                # Nobody is kept from reading a log that nothing can be added to, on a standby for one.
                if problem.code != "read_only":
                    raise
                LOG.warning("%s reads the audit log, which cannot be written: %s", ascii(who.name), problem.message)
            door = controller.doorman.identities.door()
            return [shown(each) for each in newest(door, limit=limit + 1, before=cursor)]

        found = await asyncio.to_thread(read)
        extra = {"nextCursor": str(found[limit - 1]["number"])} if len(found) > limit else {}
        return tagged(request, answer(found[:limit], clean=clean, more=extra))
