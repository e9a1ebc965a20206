"""One run: where it stands, and its events as they come."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bascule.access.principal import Principal
from bascule.server import examples
from bascule.server.answers import answer
from bascule.server.controller import MigrationController
from bascule.server.describing import answers
from bascule.server.runs import facts_of, run_of
from bascule.services.context import Context

RunId = Annotated[str, Path(min_length=1, max_length=300)]


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router these endpoints."""
    asks, clean = controller.doorman.asks, controller.settings.clean

    @router.get(
        "/runs/{id}",
        summary="One run",
        dependencies=[Depends(asks("runs"))],
        responses=answers(examples.RUN, also=(404,)),
    )
    async def run(id: RunId) -> Response:  # noqa: A002 - the contract's name
        def look(context: Context) -> dict[str, Any]:
            # Asked before the journal is: a worker that ends in between has written its last fact.
            here = controller.work.of(id) is not None
            return run_of(context, facts_of(context, id), here=here)

        return answer(await controller.readers.ask(look), clean=clean)

    @router.get(
        "/runs/{id}/events",
        summary="The events of a run, as they come",
        responses=answers(
            'id: 7\nevent: migration.started\ndata: {"run": "AddNewTable_1704067200000"}\n\n',
            kind="text/event-stream",
            also=(404,),
            more={204: "It is over, and all of it is known"},
        ),
    )
    async def events(
        *,
        request: Request,
        id: RunId,  # noqa: A002
        who: Principal = Depends(asks("runs")),
        last_event_id: Annotated[str | None, Header(max_length=20)] = None,
    ) -> Response:
        after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0
        told = await controller.streams.open(id, after, lambda: controller.doorman.identities.good_lately(who))
        if told is None:
            # A browser that comes again after the end stays away from then on.
            return Response(status_code=204)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(told, media_type="text/event-stream", headers=headers)
