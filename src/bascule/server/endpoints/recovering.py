"""Going on with a run that was killed, or that failed half way."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.server import examples
from bascule.server.asking import place_of, trace_of
from bascule.server.controller import MigrationController
from bascule.server.describing import CHANGING, answers
from bascule.server.endpoints.acting import Prefer, is_later
from bascule.server.problems import Problem
from bascule.server.runs import facts_of, is_over
from bascule.services.context import Context


class Recover(BaseModel):
    """Finish what the run has begun."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answer: Literal["done", "again"] | None = None
    """To the question that only a person can answer: the statement ran, or it did not."""


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router this endpoint."""
    asks = controller.doorman.asks

    @router.post(
        "/runs/{id}/recover",
        summary="Go on with a run that was killed or failed half way",
        responses=answers(
            examples.RUN,
            message="Recovered: AddNewTable.",
            also=(404, 409, 422, *CHANGING),
            more={202: "It runs; `data` is its run, which GET /runs/{id} follows"},
        ),
    )
    async def recover(
        *,
        request: Request,
        id: Annotated[str, Path(min_length=1, max_length=300)],  # noqa: A002 - the contract's name
        body: Recover | None = None,
        who: Principal = Depends(asks("execute")),
        prefer: Prefer = None,
    ) -> Response:
        name = await controller.readers.ask(lambda context: _ended(controller, context, id))
        by = {"name": who.name, "role": who.role, "how": who.how, "from": place_of(request)}
        arguments = {"answer": body.answer if body is not None else None}
        later, trace = is_later(prefer), trace_of(request)
        return await controller.go_on("recover", name, arguments, run_id=id, by=by, later=later, trace=trace)


def _ended(controller: MigrationController, context: Context, run_id: str) -> str:
    """The migration of a run that nobody is at. Raises `UsageError` (``unknown_run``), `Problem` (409)."""
    facts = facts_of(context, run_id)
    if not is_over(context, facts, here=controller.work.of(run_id) is not None):
        raise Problem(
            409,
            f"The run {run_id} is at work.",
            "run_under_way",
            "Wait for its end: GET /runs/{id} and its events tell of it.",
            state="unchanged",
        )
    return next((fact.migration for fact in facts if fact.migration), run_id.rpartition("_")[0])
