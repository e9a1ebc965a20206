"""What only looks: status, health, metrics, performance, rules, report, export, logs, backups."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from bascule.errors import UsageError
from bascule.server import examples
from bascule.server.answers import CURSOR, answer, offset_of, page, tagged
from bascule.server.controller import MigrationController
from bascule.server.describing import answers
from bascule.services.context import Context
from bascule.services.doing import doing

Limit = Annotated[int, Query(ge=0, le=100_000, description="Entries of each list; 0: all.")]
Cursor = Annotated[str | None, Query(pattern=CURSOR, description="`nextCursor` of the answer before.")]


def _looks_like_one(given: Any) -> Any:
    """Seconds since 1970, which the library would take for a day, are none here."""
    if isinstance(given, str) and not re.match(r"\d{4}-\d{2}-\d{2}", given, re.ASCII):
        raise ValueError("write 2026-11-23, or 2026-11-23T14:30:00Z")
    return given


Day = Annotated[
    date | datetime | None, BeforeValidator(_looks_like_one), Query(description="A day or a moment, in UTC.")
]


_UNCHANGED = {304: "As it was when you asked last (If-None-Match)"}


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router these endpoints."""
    _now(router, controller)
    _measured(router, controller)
    _past(router, controller)


def _now(router: APIRouter, controller: MigrationController) -> None:
    asks, clean = controller.doorman.asks, controller.settings.clean

    @router.get(
        "/status",
        summary="Get migration status",
        dependencies=[Depends(asks("status"))],
        responses=answers(examples.STATUS, more=_UNCHANGED),
    )
    async def status(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
        offset = offset_of(cursor)
        found = await controller.kept("status", _status)
        lists = ("pending", "running", "completed", "failed", "rolledBack")
        data, following = dict(found), None
        for name in lists:
            data[name], more = page(found[name], limit, offset)
            following = more or following
        if data["running"]:
            data["running"] = await _with_progress(controller, data["running"])
        extra = {"nextCursor": following} if following else {}
        return tagged(request, answer(data, clean=clean, more=extra))

    @router.get(
        "/health",
        summary="Get system health",
        dependencies=[Depends(asks("health"))],
        responses=answers(examples.HEALTH, more=_UNCHANGED),
    )
    async def health(request: Request) -> Response:
        found = await controller.kept("health", lambda context: _health(controller, context))
        return tagged(request, answer(found, clean=clean))

    @router.get(
        "/metrics",
        summary="Get metrics and performance",
        dependencies=[Depends(asks("metrics"))],
        responses=answers(examples.METRICS),
    )
    async def metrics() -> Response:
        return answer(await controller.kept("metrics", lambda context: _metrics(controller, context)), clean=clean)


def _measured(router: APIRouter, controller: MigrationController) -> None:
    asks, ask, clean = controller.doorman.asks, controller.readers.ask, controller.settings.clean

    @router.get(
        "/performance",
        summary="Get performance records, newest first",
        dependencies=[Depends(asks("performance"))],
        responses=answers([]),
    )
    async def performance(limit: Limit = 100) -> Response:
        from bascule.services.performance import performance as records

        found = await ask(lambda context: [each.as_dict() for each in records(context, limit=limit)])
        return answer(found, clean=clean)

    @router.get(
        "/validation/rules",
        summary="Get the data rules",
        dependencies=[Depends(asks("rules"))],
        responses=answers([examples.RULE]),
    )
    async def rules(category: Annotated[str | None, Query(max_length=100)] = None) -> Response:
        return await controller.done_by_worker("rules", {"category": category})

    @router.get(
        "/report",
        summary="Report of a period",
        dependencies=[Depends(asks("report"))],
        responses=answers({"runs": []}),
    )
    async def report(startDate: Day = None, endDate: Day = None) -> Response:  # noqa: N803 - the contract's names
        found = await ask(lambda context: _report(controller, context, startDate, endDate).as_dict())
        return answer(found, clean=clean)

    @router.get(
        "/export",
        summary="Export the stored history",
        dependencies=[Depends(asks("export"))],
        responses=answers({"runs": []}, texts=("text/csv", "text/html")),
    )
    async def export(
        format: Annotated[Literal["json", "csv", "html"], Query()] = "json",  # noqa: A002 - the contract's name
        startDate: Day = None,  # noqa: N803
        endDate: Day = None,  # noqa: N803
    ) -> Response:
        from bascule import wiring

        def make(context: Context) -> str:
            return wiring.exported(controller.settings, _report(controller, context, startDate, endDate), format)

        if format == "json":
            found = await ask(lambda context: _report(controller, context, startDate, endDate).as_dict())
            return answer(found, clean=clean)
        kind = {"csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}[format]
        name = f'attachment; filename="bascule-export.{format}"'
        return Response(await ask(make), media_type=kind, headers={"Content-Disposition": name})


def _past(router: APIRouter, controller: MigrationController) -> None:
    asks, ask, clean = controller.doorman.asks, controller.readers.ask, controller.settings.clean

    @router.get(
        "/runs",
        summary="Past runs, newest first",
        dependencies=[Depends(asks("runs"))],
        responses=answers([examples.RUN], more=_UNCHANGED),
    )
    async def runs(request: Request, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Response:
        from bascule.services.history import history

        found = await ask(lambda context: [run.as_dict() for run in history(context, limit=limit)])
        return tagged(request, answer(found, clean=clean))

    @router.get(
        "/logs",
        summary="The journal, newest fact first",
        dependencies=[Depends(asks("logs"))],
        responses=answers([], more=_UNCHANGED),
    )
    async def logs(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
        from bascule.services.logs import log_line
        from bascule.services.logs import logs as facts

        offset = offset_of(cursor)

        def make(context: Context) -> list[dict[str, Any]]:
            wanted = offset + limit + 1 if limit else 0
            return [log_line(each) for each in reversed(facts(context, limit=wanted))]

        found, following = page(await ask(make), limit, offset)
        extra = {"nextCursor": following} if following else {}
        return tagged(request, answer(found, clean=clean, more=extra))

    @router.get(
        "/backups",
        summary="All backups, newest first",
        dependencies=[Depends(asks("backups"))],
        responses=answers([examples.BACKUP], more=_UNCHANGED),
    )
    async def backups(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
        from bascule.services.backup_list import list_all

        offset = offset_of(cursor)
        found = await ask(lambda context: [each.as_dict() for each in reversed(list_all(context))])
        shown, following = page(found, limit, offset)
        extra = {"nextCursor": following} if following else {}
        return tagged(request, answer(shown, clean=clean, more=extra))


async def _with_progress(controller: MigrationController, running: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what another process has begun the database is asked; the server's own workers tell it by their streams."""
    if any(controller.work.of(run["id"]) is not None for run in running):
        return running
    progress = await controller.readers.ask(doing)
    return running if progress is None else [{**run, "progress": progress} for run in running]


def _status(context: Context) -> dict[str, Any]:
    from bascule.services.status import status

    return status(context, limit=0, fingerprints=_fingerprints(context)).as_dict()


def _fingerprints(context: Context) -> dict[str, str]:
    from bascule.sources.cache import FingerprintCache, fingerprints_cached

    listed = (ref for ref in context.source.listing() if not ref.repeatable)
    return fingerprints_cached(listed, FingerprintCache(str(context.source.folder)))


def _health(controller: MigrationController, context: Context) -> dict[str, Any]:
    from bascule import wiring
    from bascule.services.alerts import outlived

    found = wiring.health(controller.settings, context, fingerprints=_fingerprints(context))
    if outlived(context, found):
        # An alert stands for what is well again: the server's own check ends it, now and not at its next turn.
        controller.wake("well")
    return found.as_dict()


def _metrics(controller: MigrationController, context: Context) -> dict[str, Any]:
    from bascule.services.metrics import metrics
    from bascule.services.performance import performance

    found = metrics(context, kept=controller.tallies)
    return {"metrics": found.as_dict(), "performance": [each.as_dict() for each in performance(context, limit=100)]}


def _report(controller: MigrationController, context: Context, start: date | None, end: date | None) -> Any:
    from bascule import wiring
    from bascule.services.period import period_report, read_date

    first = read_date(start.isoformat(), name="startDate") if start else None
    last = read_date(end.isoformat(), name="endDate", end=True) if end else None
    if first is not None and last is not None and first > last:
        raise UsageError("startDate is after endDate.", code="bad_request", hint="Exchange the two.")
    health = wiring.health(controller.settings, context, fingerprints=_fingerprints(context))
    return period_report(context, start=first, end=last, health=health)
