"""Alerts, measurements that others made, and the clean-up."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.server import examples
from bascule.server.answers import CURSOR, answer, offset_of, page, tagged
from bascule.server.controller import MigrationController
from bascule.server.describing import CHANGING, answers
from bascule.services.context import Context

Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Measure = Annotated[float, Field(ge=0, le=1e15, strict=True)]


class Record(BaseModel):
    """Times in milliseconds, sizes in bytes. Further keys are kept as they are."""

    model_config = ConfigDict(extra="allow")
    migrationName: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]  # noqa: N815
    executionTime: Measure  # noqa: N815
    runId: Short | None = None  # noqa: N815
    status: Short | None = None
    direction: Short | None = None
    host: Short | None = None


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router these endpoints."""
    asks, ask, clean = controller.doorman.asks, controller.readers.ask, controller.settings.clean

    @router.get(
        "/alerts",
        summary="Get alerts, newest first",
        dependencies=[Depends(asks("alerts"))],
        responses=answers([examples.ALERT], more={304: "As it was when you asked last (If-None-Match)"}),
    )
    async def alerts(
        *,
        request: Request,
        includeAcknowledged: bool = False,  # noqa: N803 - the contract's name
        limit: Annotated[int, Query(ge=0, le=100_000, description="0: all.")] = 100,
        cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
    ) -> Response:
        from bascule.services.alerts import alerts as kept

        offset = offset_of(cursor)

        def look(context: Context) -> list[dict[str, Any]]:
            wanted = limit + 1 if limit else 0
            found = kept(context, include_acknowledged=includeAcknowledged, limit=wanted, offset=offset)
            return [each.as_dict() for each in found]

        found = await ask(look)
        shown, more = page(found, limit, 0)
        extra = {"nextCursor": str(offset + limit)} if more else {}
        return tagged(request, answer(shown, clean=clean, more=extra))

    @router.put(
        "/alerts/{id}/acknowledge",
        summary="Acknowledge an alert",
        responses=answers(examples.ALERT, message="Alert acknowledged", also=(404, *CHANGING)),
    )
    async def acknowledge(
        *,
        request: Request,
        id: Annotated[str, Path(min_length=1, max_length=200)],  # noqa: A002 - the contract's name
        who: Principal = Depends(asks("alerts.acknowledge")),
    ) -> Response:
        from bascule.services.alerts import acknowledge as take_note

        found = await controller.change(
            "alerts.acknowledge", {"id": id}, who, request, lambda context: take_note(context, id, who.name)
        )
        return answer(found.as_dict(), "Alert acknowledged", clean=clean)

    @router.post(
        "/performance/record",
        summary="Keep what somebody else measured",
        status_code=201,
        responses=answers(examples.PERFORMANCE, message="Performance recorded", also=CHANGING, status=201),
    )
    async def record(
        *,
        request: Request,
        body: Record,
        who: Principal = Depends(asks("performance.record")),
    ) -> Response:
        from bascule.services.performance import record_performance

        what = {"migrationName": body.migrationName}
        given = body.model_dump(exclude_none=True)
        found = await controller.change(
            "performance.record", what, who, request, lambda context: record_performance(context, given)
        )
        return answer(found.as_dict(), "Performance recorded", status=201, clean=clean)

    @router.delete(
        "/cleanup",
        summary="Remove what was kept long enough",
        responses=answers(examples.CLEANED, message="Removed 0 things", also=CHANGING),
    )
    async def cleanup(*, request: Request, who: Principal = Depends(asks("cleanup"))) -> Response:
        from bascule import wiring

        found = await controller.change(
            "cleanup", {}, who, request, lambda context: wiring.clean_up(controller.settings, context)
        )
        return answer(found.as_dict(), f"Removed {found.total} things", clean=clean)
