"""Roll one migration back by its down script, and look at what that reached."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Sequence
from typing import Any

from bascule.domain.event import Event
from bascule.domain.history import Fact
from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run
from bascule.domain.schema import Difference, Snapshot, Verdict
from bascule.domain.statement import Touch
from bascule.errors import BasculeError
from bascule.ports.database import Lease, WorkFailed
from bascule.ports.dump import are_among, words_of
from bascule.rollback.ignore import leave_out
from bascule.rollback.verdict import compare, verdict
from bascule.services.carry_out import CarryOut
from bascule.services.context import Context
from bascule.services.preimages import CameBack, came_back, with_data


def undo_one(
    context: Context,
    lease: Lease,
    planned: PlannedMigration,
    run_id: str,
    *,
    resuming: bool = False,
    why_not: str | None = None,
) -> Run:
    """One migration downwards: the down script, then the look at the schema that says how exact it was.

    `why_not`: the reason, in words, why the comparison would not be fair (others have changed the same objects
    since); the verdict
    is then ``unverified``. Raises as `CarryOut.perform`.
    """
    begun = context.clock.now()
    before = context.target.before(planned.name)
    work = CarryOut(context=context, lease=lease, planned=planned, run_id=run_id, resuming=resuming)
    _publish(context, "migration.rollback_started", work.run_id, planned.name)
    try:
        done = work.perform()
    except BasculeError as error:
        _publish(
            context,
            "migration.rollback_failed",
            work.run_id,
            planned.name,
            error=error.message,
            code=error.code,
            state=error.state,
        )
        raise
    reached, differences = judged(context, planned, work.run_id, before, why_not)
    mends: tuple[str, ...] = ()
    if differences and before is not None and why_not is None:
        from bascule.services.mending import mended

        mends = mended(context, lease, planned, work.run_id, before)
        if mends:
            reached, differences = judged(context, planned, work.run_id, before, why_not, mended=True)
    schema = reached
    came = came_back(context, planned, work.run_id)
    if came.lost or came.unknown:
        reached, differences = with_data(reached, differences, came)
        _remember_quietly(context, planned, work.run_id, reached, differences)
    _publish(context, "migration.rollback_completed", work.run_id, planned.name, verdict=reached, executionTime=done.ms)
    return Run(
        id=work.run_id,
        name=planned.name,
        timestamp=begun,
        execution_ms=done.ms,
        status="rolled_back",
        direction="down",
        dependencies=planned.migration.depends or (),
        verdict=reached,
        differences=differences,
        notes=(*planned.warnings, *done.notes, *((why_not,) if why_not else ()), *mends, *came.notes),
        extra=_extra(schema, reached, came),
    )


def _extra(schema: Verdict, reached: Verdict, came: CameBack) -> dict[str, Any]:
    answer: dict[str, Any] = {"preImages": list(came.documents)} if came.documents else {}
    if came.looks:
        answer["rowsLookedAt"] = list(came.looks)
    if came.lost:
        answer["rowsLost"] = list(came.lost)
    return answer | ({"schemaVerdict": schema} if schema != reached else {})


def judged(
    context: Context,
    planned: PlannedMigration,
    run_id: str,
    before: Snapshot | None,
    why_not: str | None,
    *,
    mended: bool = False,
    kept: Collection[tuple[str, str]] = (),
) -> tuple[Verdict, tuple[str, ...]]:
    """How exact it was, looked at and written down. The rollback is done whatever comes of this. `mended`: more was
    done than the down script does, so that there was a way back even without one. `kept`: what a restore has kept of
    what others made (`Restored.kept`).
    """
    try:
        reached, differences = _look(context, planned, before, why_not, mended=mended, kept=kept)
        # Nothing is mended behind it, or everything has been.
        final = mended or why_not is not None or before is None
        _remember(context, planned, run_id, reached, differences, final=final)
    except (BasculeError, WorkFailed) as problem:
        return "unverified", (f"the look at the schema afterwards failed: {problem}",)
    return reached, differences


def judged_after_restore(
    context: Context,
    lease: Lease,
    planned: PlannedMigration,
    run_id: str,
    before: Snapshot | None,
    kept: Collection[tuple[str, str]],
) -> tuple[Verdict, tuple[str, ...], tuple[str, ...]]:
    """Where a backup was the way back: how exact it was, and what was made right of that which no table holds. `kept`:
    as `judged`.
    """
    from bascule.services.mending import mended

    reached, differences = judged(context, planned, run_id, before, None, kept=kept)
    if not differences or before is None:
        return reached, differences, ()
    mends = mended(context, lease, planned, run_id, before, rows=False)
    if mends:
        reached, differences = judged(context, planned, run_id, before, None, mended=True, kept=kept)
    return reached, differences, mends


def _look(
    context: Context,
    planned: PlannedMigration,
    before: Snapshot | None,
    why_not: str | None,
    *,
    mended: bool,
    kept: Collection[tuple[str, str]],
) -> tuple[Verdict, tuple[str, ...]]:
    """Compare the schema with what was kept before the up."""
    if before is None:
        return "unverified", (
            "nothing was kept from before the up (it was recorded without running): there is nothing to compare with",
        )
    outside = context.policy.outside
    after = context.target.snapshot(Touch(everything=True) if before.whole else planned.touch)
    if after.whole and not before.whole:
        return "unverified", ("before the up less was looked at than the way back may touch (was its file changed?)",)
    differences = compare(leave_out(before, outside), leave_out(after, outside))
    differences = tuple(each for each in differences if not any(_is_kept(each, *one) for one in kept))
    mine, theirs = _whose(planned, before, differences)
    if mine and why_not is None:
        mine, changed = _without_others(context, planned, (leave_out(before, outside), leave_out(after, outside)), mine)
        theirs = (*theirs, *changed)
    words = (*(f"{each.object}: {each.what}" for each in mine), *theirs)
    if why_not is not None:
        return "unverified", words
    reached = verdict(mine)
    if theirs and reached != "lossy":
        return "unverified", words
    nothing = _nothing(planned) and not (mended and reached != "lossy")
    if reached != "lossy" and not (nothing and reached != "exact"):
        unseen = (
            *planned.touch.unseen,
            *_hidden(context, planned.touch, before, after),
            *_counters(planned),
            *_refreshed(planned, before),
        )
        if unseen:
            return "unverified", (*words, *unseen)
    return ("none" if nothing and reached != "exact" else reached), words


def _is_kept(difference: Difference, name: str, words: str) -> bool:
    return difference.object == name and difference.what.startswith(words)


def _whose(
    planned: PlannedMigration, before: Snapshot, differences: Sequence[Difference]
) -> tuple[Sequence[Difference], tuple[str, ...]]:
    """The differences without what has come and is named in neither script, and that in words: a look at everything
    sees what others have made too.
    """
    if not before.whole:
        return differences, ()
    said = words_of(*(each.text for each in (planned.migration.up, planned.migration.down) if each is not None))
    mine, theirs = [], []
    for each in differences:
        name = each.object.partition(" ")[2].partition("(")[0].rpartition(".")[2]
        if each.object in before.objects or each.what != "it is left behind" or are_among(name, said):
            mine.append(each)
        else:
            theirs.append(f"{each.object}: come since, and named in neither script: somebody else may have made it")
    return mine, tuple(theirs)


def _without_others(
    context: Context, planned: PlannedMigration, looks: tuple[Snapshot, Snapshot], differences: Sequence[Difference]
) -> tuple[Sequence[Difference], tuple[str, ...]]:
    """The differences without those that somebody else has made since the up, and these in words."""
    from bascule.rollback.theirs import apart
    from bascule.services.others_work import others_work

    return apart(*looks, differences, others_work(context, planned, *looks) or ())


def _nothing(planned: PlannedMigration) -> bool:
    """There is no way back: it is only taken off the ledger."""
    return planned.migration.down is None or planned.migration.down.empty


_SETS_COUNTER = re.compile(
    r"\bsetval\s*\(|\balter\s+sequence\b[^;]*\brestart\b|\balter\s+table\b[^;]*\brestart\b", re.IGNORECASE
)


def _counters(planned: PlannedMigration) -> tuple[str, ...]:
    """What a script sets a sequence to is no part of a definition. That inserts draw numbers from it is no change."""
    scripts = [each for each in (planned.migration.up, planned.migration.down) if each is not None]
    if not any(_SETS_COUNTER.search(each.text) for each in scripts):
        return ()
    return ("a script sets the next value of a sequence, which no look compares",)


_REFRESHES = re.compile(
    r"\brefresh\s+materialized\s+view\s+(?:concurrently\s+)?((?:\"(?:[^\"]|\"\")+\"|[\w$.])+)", re.IGNORECASE
)


def _refreshed(planned: PlannedMigration, before: Snapshot) -> tuple[str, ...]:
    """A view that was there before holds rows as of another moment now, and no look compares them."""
    scripts = [each for each in (planned.migration.up, planned.migration.down) if each is not None]
    there = {name.rpartition(".")[2].strip('"') for name in before.objects if name.startswith("materialized view ")}
    named = {found for each in scripts for found in _REFRESHES.findall(each.text)}
    again = sorted(name for name in named if name.rpartition(".")[2].strip('"') in there)
    return tuple(f"a script refreshes {name}, whose rows no look compares" for name in again)


def _hidden(context: Context, touch: Touch, before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """What code that the migration runs may have changed unseen. Asks the database only where there is such code."""
    if not touch.runs and not touch.code:
        return ()
    from bascule.rollback.hidden import have_triggers, hidden, tables_written

    looked = tables_written(touch)
    tables = context.target.snapshot(looked) if looked.objects else Snapshot(objects={}, whole=False)
    looks = [before, after]
    if have_triggers(tables) and not after.whole:
        # Their functions may call others, anywhere.
        looks.append(context.target.snapshot(Touch(everything=True)))
    return hidden(touch, looks, tables, whole=before.whole and after.whole)


def _remember(
    context: Context,
    planned: PlannedMigration,
    run_id: str,
    reached: Verdict,
    differences: tuple[str, ...],
    *,
    final: bool,
) -> None:
    """`final`: no look is owed any more."""
    fact = Fact(
        kind="verdict",
        run_id=run_id,
        migration=planned.name,
        direction="down",
        data={"verdict": reached, "differences": list(differences)} | ({"final": True} if final else {}),
    )
    context.target.append((fact,), durable=False)


def _remember_quietly(
    context: Context, planned: PlannedMigration, run_id: str, reached: Verdict, differences: tuple[str, ...]
) -> None:
    """The rollback is done, and its report says the same."""
    with contextlib.suppress(BasculeError, WorkFailed):
        _remember(context, planned, run_id, reached, differences, final=True)


def _publish(context: Context, name: str, run_id: str, migration: str, **data: object) -> None:
    context.publish(Event(name=name, run_id=run_id, migration=migration, at=context.clock.now(), data=data))
