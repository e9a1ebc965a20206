"""The look after a rollback, and the mending, where the process that owed them was killed in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.domain.run import Run
from bascule.ports.database import Lease
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.domain.history import Fact
    from bascule.domain.plan import PlannedMigration

_KINDS = ("run_started", "run_completed", "rolled_back", "verdict", "mended", "mending_ended")


def owed_look(context: Context) -> Fact | None:
    """The rollback that came last, if nobody has finished looking at what it reached. Nothing ran since."""
    if not context.target.describe().prepared:
        return None
    facts = context.target.journal(kinds=_KINDS, limit=1)
    if not facts or facts[-1].direction != "down" or facts[-1].kind in ("run_started", "mending_ended"):
        return None
    last = facts[-1]
    if last.kind == "verdict" and (last.data.get("final") or not last.data.get("differences")):
        return None
    return last


def finish_look(context: Context, lease: Lease) -> Run | None:
    """Look, mend, and report it; None where nothing is owed, or where it would no longer be fair: something was applied
    after that migration, its file or what was kept of before is gone.
    """
    owed = owed_look(context)
    if owed is None:
        return None
    before, planned = context.target.before(owed.migration), _planned(context, owed.migration)
    if before is None or planned is None or _others_since(context, owed.migration):
        return None
    from bascule.services.mending import mended
    from bascule.services.undo import judged

    context.say(f"Looking at what the rollback of {owed.migration} reached, which was killed before it could.")
    begun = context.clock.now()
    reached, differences = judged(context, planned, owed.run_id, before, None)
    mends: tuple[str, ...] = ()
    if differences:
        mends = mended(context, lease, planned, owed.run_id, before)
        if mends:
            reached, differences = judged(context, planned, owed.run_id, before, None, mended=True)
    return Run(
        id=owed.run_id,
        name=owed.migration,
        timestamp=begun,
        execution_ms=round((context.clock.now() - begun).total_seconds() * 1000),
        status="rolled_back",
        direction="down",
        dependencies=planned.migration.depends or (),
        verdict=reached,
        differences=differences,
        notes=("it was rolled back by a run that was killed before it had looked at the outcome", *mends),
    )


def _planned(context: Context, name: str) -> PlannedMigration | None:
    from bascule.services.planned import plan_one

    for ref in context.source.listing():
        if ref.name == name:
            migration = context.source.read(ref)
            return plan_one(context, migration, "down") if migration.down is not None else None
    return None


def _others_since(context: Context, name: str) -> bool:
    """It is on the ledger again, or something was applied after it: others may have changed the same objects."""
    ups = context.target.journal(migration=name, kinds=("run_completed",), limit=1)
    begun = ups[-1].at if ups else None
    return begun is None or any(
        entry.name == name or (entry.applied_at > begun and not entry.repeatable) for entry in context.target.ledger()
    )
