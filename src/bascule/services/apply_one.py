"""Apply one planned migration, and tell the world."""

from __future__ import annotations

from datetime import datetime

from bascule.domain.event import Event
from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run
from bascule.errors import BasculeError
from bascule.planning.impact import impact
from bascule.services.carry_out import CarryOut, Done


def apply_one(work: CarryOut) -> Run:
    """One migration upwards, with its events. Raises as `CarryOut.perform`."""
    context, planned = work.context, work.planned
    begun = context.clock.now()
    context.publish(
        Event(name="migration.started", run_id=work.run_id, migration=planned.name, at=begun, data=_started(planned))
    )
    try:
        done = work.perform()
    except BasculeError as error:
        context.publish(
            Event(
                name="migration.failed",
                run_id=work.run_id,
                migration=planned.name,
                at=context.clock.now(),
                data={"error": error.message, "code": error.code, "state": error.state},
            )
        )
        raise
    context.publish(
        Event(
            name="migration.completed",
            run_id=work.run_id,
            migration=planned.name,
            at=context.clock.now(),
            data={
                "executionTime": done.ms,
                "notes": list(done.notes),
                "rows": sum(count for count in done.rows if count > 0),
            },
        )
    )
    return _completed(planned, work.run_id, begun, done)


def _completed(planned: PlannedMigration, run_id: str, begun: datetime, done: Done) -> Run:
    """The RUN of a migration that was applied."""
    return Run(
        id=run_id,
        name=planned.name,
        timestamp=begun,
        execution_ms=done.ms,
        status="completed",
        dependencies=planned.migration.depends or (),
        data_impact=impact(insight for step in planned.steps for insight in step.insights),
        notes=(*planned.warnings, *done.notes),
    )


def _started(planned: PlannedMigration) -> dict[str, object]:
    return {"steps": len(planned.steps), "statements": len(planned.statements), "transactional": planned.transactional}
