"""Plans that were handed in: shown, and approved by somebody else than their author."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.server import examples
from bascule.server.answers import answer
from bascule.server.controller import MigrationController
from bascule.server.describing import CHANGING, answers

PlanId = Annotated[str, Path(min_length=1, max_length=100)]


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router these endpoints."""
    asks, clean = controller.doorman.asks, controller.settings.clean

    @router.get(
        "/plans",
        summary="The plans that were handed in, may still run, and have something pending, newest first",
        dependencies=[Depends(asks("plan.read"))],
        responses=answers([examples.KEPT_PLAN]),
    )
    async def listed() -> Response:
        from bascule.services.approvals import waiting

        found = await controller.readers.ask(waiting)
        return answer([each.as_dict() for each in found], clean=clean)

    @router.get(
        "/plans/{id}",
        summary="A plan that was handed in",
        dependencies=[Depends(asks("plan.read"))],
        responses=answers(examples.KEPT_PLAN, also=(404,)),
    )
    async def plan(id: PlanId) -> Response:  # noqa: A002 - the contract's name
        from bascule.services.approvals import stands

        found = await controller.readers.ask(lambda context: stands(context, id))
        return answer(found.as_dict(), clean=clean)

    @router.post(
        "/plans/{id}/approve",
        summary="Approve a plan of somebody else's",
        responses=answers(examples.KEPT_PLAN, message="Plan approved", also=(404, 409, *CHANGING)),
    )
    async def approve(
        *,
        request: Request,
        id: PlanId,  # noqa: A002
        who: Principal = Depends(asks("plan.approve")),
    ) -> Response:
        from bascule.services.approvals import approve as give_word

        found = await controller.change(
            "plan.approve", {"plan": id}, who, request, lambda context: give_word(context, id, who.name)
        )
        return answer(found.as_dict(), "Plan approved", clean=clean)
