"""What is done in a worker: execute, rollback, validate, plan, and the verification of backups."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from bascule.access.principal import Principal
from bascule.server import examples
from bascule.server.asking import place_of, trace_of
from bascule.server.controller import MigrationController
from bascule.server.describing import CHANGING, answers
from bascule.server.problems import Problem

Name = Annotated[str, Field(min_length=1, max_length=200, examples=["AddNewTable"])]
Prefer = Annotated[
    str | None, Header(max_length=200, description="`respond-async`: 202 at once, with a run to follow.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Execute(_Body):
    """Apply a migration, after what it needs."""

    migrationName: Name  # noqa: N815 - the contract's names, here and below
    validateBefore: bool = True  # noqa: N815
    createBackup: bool = True  # noqa: N815
    monitorProgress: bool = True  # noqa: N815
    rollbackOnFailure: bool = True  # noqa: N815
    acceptDataLoss: bool = False  # noqa: N815
    planId: Annotated[str, Field(min_length=1, max_length=100)] | None = None  # noqa: N815
    """Run this plan and nothing else; the migration must be in it."""


class Rollback(_Body):
    """Undo a migration, and before it those that depend on it."""

    migrationName: Name  # noqa: N815
    backupPath: Annotated[str, Field(min_length=1, max_length=1000)] | None = None  # noqa: N815
    acceptDataLoss: bool = False  # noqa: N815
    reason: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Why: needed on production where plans need approvals, kept in the audit log, and told to whoever watches."""
    dryRun: bool = False  # noqa: N815
    """Answer what would be done and lost, and do nothing."""


class Validate(_Body):
    """Ask the data rules, and what the migration needs of today's rows."""

    migrationName: Name  # noqa: N815
    context: dict[str, Any] = Field(default_factory=dict, examples=[{"environment": "production"}])


class Specific(_Body):
    """Ask some rules about some tables."""

    targets: Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=1000)] = Field(
        default_factory=list, examples=[["users"]]
    )
    ruleTypes: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=100)] = Field(  # noqa: N815
        default_factory=list, examples=[["data_integrity"]]
    )


class Plan(_Body):
    """What would run."""

    migrations: Annotated[list[Name], Field(max_length=10_000)] = Field(default_factory=list)
    to: Name | None = None
    keep: bool = True
    """Hand it in: it gets an id, by which it is approved and run. Without that it is only shown."""


def add(router: APIRouter, controller: MigrationController) -> None:
    """Give the router these endpoints."""
    asks = controller.doorman.asks
    later = {202: "It runs; `data` is its run, which GET /runs/{id} follows"}

    @router.post(
        "/execute",
        summary="Execute a migration",
        responses=answers(
            examples.RUN,
            message="Migration AddNewTable executed successfully",
            also=(404, 409, 422, *CHANGING),
            more=later,
        ),
    )
    async def execute(
        *,
        request: Request,
        body: Execute,
        who: Principal = Depends(asks("execute")),
        prefer: Prefer = None,
    ) -> Response:
        if controller.settings.environment == "production" and not (body.validateBefore and body.createBackup):
            await controller.doorman.denied(request, who.name, "execute", "protected", {"name": body.migrationName})
            raise Problem(
                409,
                "On production a migration is validated before it runs, and a verified backup is taken.",
                "protected",
                "Leave validateBefore and createBackup as they are.",
                state="unchanged",
            )
        arguments = {
            "validateBefore": body.validateBefore,
            "createBackup": body.createBackup,
            "monitorProgress": body.monitorProgress,
            "rollbackOnFailure": body.rollbackOnFailure,
            "acceptDataLoss": body.acceptDataLoss,
            "planId": body.planId,
        }
        if controller.settings.environment == "production" and controller.settings.approvals and body.planId is None:
            await controller.doorman.denied(
                request, who.name, "execute", "plan_unapproved", {"name": body.migrationName}
            )
            raise Problem(
                409,
                "On production a plan runs that others have approved.",
                "plan_unapproved",
                "POST /plan hands one in; send its id as planId once it is approved.",
                state="unchanged",
            )
        return await controller.run(
            "execute",
            body.migrationName,
            arguments,
            by=_by(who, request),
            later=is_later(prefer),
            trace=trace_of(request),
        )

    @router.post(
        "/rollback",
        summary="Roll a migration back",
        responses=answers(
            {**examples.RUN, "status": "rolled_back", "verdict": "exact", "differences": []},
            message="Migration AddNewTable rolled back successfully",
            also=(404, 409, 422, *CHANGING),
            more=later,
        ),
    )
    async def rollback(
        *,
        request: Request,
        body: Rollback,
        who: Principal = Depends(asks("rollback")),
        prefer: Prefer = None,
    ) -> Response:
        if body.dryRun:
            return await controller.done_by_worker("rollback_plan", {"name": body.migrationName})
        guarded = controller.settings.environment == "production" and controller.settings.approvals
        if guarded and not (body.reason and body.reason.strip()):
            await controller.doorman.denied(request, who.name, "rollback", "protected", {"name": body.migrationName})
            raise Problem(
                409,
                "On production, where plans need approvals, a rollback needs a reason.",
                "protected",
                "Send it as `reason`: it is kept in the audit log, and whoever watches is told.",
                state="unchanged",
            )
        arguments = {"backupPath": body.backupPath, "acceptDataLoss": body.acceptDataLoss, "reason": body.reason}
        return await controller.run(
            "rollback",
            body.migrationName,
            arguments,
            by=_by(who, request),
            later=is_later(prefer),
            trace=trace_of(request),
        )

    @router.post(
        "/validate",
        summary="Validate a migration",
        dependencies=[Depends(asks("validate"))],
        responses=answers(examples.VALIDATION, message="Migration validation passed", also=(404, 409, 422, *CHANGING)),
    )
    async def validate(body: Validate) -> Response:
        return await controller.done_by_worker("validate", {"name": body.migrationName, "context": body.context})

    @router.post(
        "/validation/specific",
        summary="Ask some rules about some tables",
        dependencies=[Depends(asks("validate"))],
        responses=answers(examples.VALIDATION, message="Validation passed", also=(404, 409, 422, *CHANGING)),
    )
    async def specific(body: Specific) -> Response:
        arguments = {"targets": body.targets, "ruleTypes": body.ruleTypes, "context": {}}
        return await controller.done_by_worker("validate", arguments)

    @router.post(
        "/plan",
        summary="Make a plan",
        responses=answers(examples.PLAN, message="Migration plan created", also=(404, 409, 422, *CHANGING)),
    )
    async def plan(*, request: Request, body: Plan, who: Principal = Depends(asks("plan"))) -> Response:
        arguments = {"migrations": body.migrations, "to": body.to, "keep": body.keep}
        return await controller.done_by_worker("plan", arguments, by=_by(who, request))

    @router.post(
        "/backups/{id}/verify",
        summary="Prove a backup by restoring it to scratch",
        responses=answers({"id": examples.BACKUP["id"], "good": True}, also=(404, 409, *CHANGING)),
    )
    async def verify(
        *,
        request: Request,
        id: Annotated[str, Path(min_length=1, max_length=200)],  # noqa: A002 - the contract's name
        who: Principal = Depends(asks("backups.verify")),
    ) -> Response:
        return await controller.done_by_worker("verify", {"backup": id}, by=_by(who, request))


def _by(who: Principal, request: Request) -> dict[str, str]:
    return {"name": who.name, "role": who.role, "how": who.how, "from": place_of(request)}


def is_later(prefer: str | None) -> bool:
    """The caller does not wait for the end."""
    return prefer is not None and "respond-async" in [each.strip().lower() for each in prefer.split(",")]
