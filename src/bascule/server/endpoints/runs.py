"""One run: where it stands, and its events as they come."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bascule.access.principal import Principal
from bascule.errors import Refused
from bascule.server import examples
from bascule.server.aborting import Aborter, over, words_of
from bascule.server.answers import answer
from bascule.server.controller import MigrationController
from bascule.server.describing import CHANGING, answers
from bascule.server.runs import facts_of, is_over, run_of
from bascule.services.context import Context

RunId = Annotated[str, Path(min_length=1, max_length=300)]

CONTROLS: Final = ("pause", "resume", "tune", "complete")
"""What the contract has for online operations under way."""


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

    for verb in CONTROLS:
        _add_control(router, controller, verb)
    _add_abort(router, controller)

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


def _add_control(router: APIRouter, controller: MigrationController, verb: str) -> None:
    @router.post(
        f"/runs/{{id}}/{verb}",
        summary=f"{verb.capitalize()} an online operation under way",
        description="No run of this version can be steered so: the answer is 409, and the run goes on as it was.",
        operation_id=f"{verb}_run",
        responses=answers(examples.RUN, also=(404, 409, *CHANGING)),
    )
    async def control(
        *,
        request: Request,
        id: RunId,  # noqa: A002 - the contract's name
        who: Principal = Depends(controller.doorman.asks("control")),
    ) -> Response:
        def refuse(context: Context) -> Response:
            facts = facts_of(context, id)
            if is_over(context, facts, here=controller.work.of(id) is not None):
                raise over(id, verb)
            raise _uncontrollable(id, verb)

        return await controller.change("control", {"run": id, "verb": verb}, who, request, refuse)


def _add_abort(router: APIRouter, controller: MigrationController) -> None:
    aborter, clean = Aborter(work=controller.work), controller.settings.clean

    @router.post(
        "/runs/{id}/abort",
        summary="End a run under way",
        description="Its statement is cancelled and undone, and it ends as `failed`. 409 where its process is out of "
        "the server's reach.",
        operation_id="abort_run",
        responses=answers(
            {**examples.RUN, "status": "failed"},
            message="AddNewTable_1704067200000 was aborted. The database is as it was before.",
            also=(404, 409, *CHANGING),
            more={202: "It was asked to end and has not yet; GET /runs/{id} follows it"},
        ),
    )
    async def abort(
        *,
        request: Request,
        id: RunId,  # noqa: A002 - the contract's name
        who: Principal = Depends(controller.doorman.asks("control")),
    ) -> Response:
        def end(context: Context) -> Response:
            run = aborter.abort(context, id)
            words = words_of(context, run)
            return answer(run, words, status=200 if run["status"] == "failed" else 202, clean=clean)

        return await controller.change("control", {"run": id, "verb": "abort"}, who, request, end)


def _uncontrollable(run: str, verb: str) -> Refused:
    """What runs in one go has no place where it could be halted and gone on with."""
    return Refused(
        f"{run} is no online operation, so nobody can {verb} it. It goes on as it was.",
        code="not_controllable",
        hint="It ends by itself; POST /runs/{id}/abort ends it before, and GET /runs/{id}/events tells how far it is.",
    )
