"""Making right what a down script forgot, where that is on the list of `bascule.rollback.mending`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bascule.domain.plan import PlannedMigration
from bascule.domain.schema import Snapshot
from bascule.domain.statement import Touch
from bascule.ports.database import Lease
from bascule.services.context import Context

_LOOKS = 2
"""What hangs on a column is seen to be missing once the column is there."""

if TYPE_CHECKING:
    from bascule.domain.preimage import PreImage
    from bascule.rollback.made import Made
    from bascule.rollback.mend import Mend


def mended(
    context: Context, lease: Lease, planned: PlannedMigration, run_id: str, before: Snapshot, *, rows: bool = True
) -> tuple[str, ...]:
    """What was made right, and what could not be, in words; each mend in a transaction of its own, so that one which
    the rows of today forbid keeps none of the others. The rollback is done whatever comes of this. `rows`: what is kept
    of them is put back too; not where a backup has brought them.
    """
    from bascule.domain.history import Fact
    from bascule.errors import BasculeError
    from bascule.ports.database import WorkFailed
    from bascule.rollback.ignore import leave_out
    from bascule.rollback.mending import mends
    from bascule.services.others_work import others_work

    try:
        outside = context.policy.outside
        made, made_again = _made(context, planned)
        scripts = _scripts(planned)
        told: list[str] = []
        made_views: list[str] = []
        old = context.target.preimages().kept(planned.name) if rows else ()
        kept = {column for each in old for column in _columns(each)}
        for _ in range(_LOOKS):
            after = context.target.snapshot(Touch(everything=True) if before.whole else planned.touch)
            todo = mends(
                leave_out(before, outside),
                leave_out(after, outside),
                context.target.dialect,
                made,
                made_again,
                scripts,
                others_work(context, planned, before, after),
            )
            todo = tuple(each for each in todo if not each.fills or each.fills in kept)
            done, words = _all(context, lease, planned, run_id, todo)
            told += words
            made_views += [each.refreshes for each in done if each.refreshes]
            if not any(each.fills for each in todo):
                break
        if told:
            if rows:
                _rows_again(context, lease, planned, run_id)
            told += _refreshed(context, lease, planned, run_id, made_views)
        # Killed before this is written, the next run mends what is left (`finish_look`).
        context.target.append(
            (Fact(kind="mending_ended", run_id=run_id, migration=planned.name, direction="down"),), durable=False
        )
        return tuple(dict.fromkeys(told))
    except (BasculeError, WorkFailed) as problem:
        return (f"what the down script left different could not be mended: {problem}",)


def _scripts(planned: PlannedMigration) -> str | None:
    """Their texts; None where Python may put together what it sends."""
    both = [each for each in (planned.migration.up, planned.migration.down) if each is not None]
    return None if any(each.language == "python" for each in both) else "\n".join(each.text for each in both)


def _made(context: Context, planned: PlannedMigration) -> tuple[Made, Made]:
    """What the migration's scripts make: both of them, and the down script alone."""
    from bascule.planning.steps import read_script
    from bascule.rollback.made import made_by

    if context.target.dialect != "postgresql":
        return frozenset(), frozenset()
    up = planned.migration.up
    statements = read_script(up, "postgresql")[0] if up.language == "sql" else ()
    again = made_by(planned.statements)
    return made_by(statements) | again, again


def _rows_again(context: Context, lease: Lease, planned: PlannedMigration, run_id: str) -> None:
    """What could not be put back into a table as the down script left it may fit now."""
    from bascule.domain.preimage import PreImageWork
    from bascule.domain.rowlook import RowWork
    from bascule.ports.database import Job
    from bascule.services.trying import Attempts

    job = Job(
        preimages=PreImageWork(put_back=True, rows=RowWork(first=True, last=True)),
        run_id=run_id,
        migration=planned.name,
        direction="down",
    )
    Attempts(context=context, lease=lease, tell=_quiet).perform(job, watch=None, meanwhile=None)


def _columns(kept: PreImage) -> tuple[str, ...]:
    """Those of which all that the up destroyed can be put back."""
    return kept.columns if kept.kind in ("columns", "table") and (kept.kept or kept.rows == 0) else ()


def _all(
    context: Context, lease: Lease, planned: PlannedMigration, run_id: str, todo: Sequence[Mend]
) -> tuple[list[Mend], list[str]]:
    """Those that were done, and what is to be told of all. What fails is tried once more behind the others, of which it
    may need one.
    """
    done: list[Mend] = []
    told: list[str] = []
    failed: list[Mend] = []
    for mend in todo:
        words = _one(context, lease, planned, run_id, mend)
        if words.startswith(_NOT):
            failed.append(mend)
        else:
            done.append(mend)
            told.append(words)
    for mend in failed:
        words = _one(context, lease, planned, run_id, mend)
        told.append(words)
        if not words.startswith(_NOT):
            done.append(mend)
    return done, told


def _refreshed(
    context: Context, lease: Lease, planned: PlannedMigration, run_id: str, views: Sequence[str]
) -> list[str]:
    """Materialised views that were made while rows may still have been missing, computed once more."""
    from bascule.rollback.mend import Mend

    mends = [Mend(sql=f"REFRESH MATERIALIZED VIEW {view}", words=f"{view} computed anew") for view in views]
    told = [_one(context, lease, planned, run_id, mend) for mend in mends]
    return [words for words in told if words.startswith(_NOT)]


_NOT = "not mended: "


def _one(context: Context, lease: Lease, planned: PlannedMigration, run_id: str, mend: Mend) -> str:
    from bascule.domain.history import Fact
    from bascule.domain.preimage import PreImageWork
    from bascule.domain.statement import Statement
    from bascule.ports.database import Job, WorkFailed
    from bascule.services.trying import Attempts

    job = Job(
        preimages=PreImageWork(put_back=True) if mend.fills else None,
        run_id=run_id,
        migration=planned.name,
        direction="down",
        statements=tuple(
            Statement(text=text, index=at, line=0, offset=0)
            for at, text in enumerate(filter(None, (mend.first, mend.sql, *mend.then)))
        ),
        facts=(
            Fact(kind="mended", run_id=run_id, migration=planned.name, direction="down", data={"words": mend.words}),
        ),
    )
    try:
        Attempts(context=context, lease=lease, tell=_quiet).perform(job, watch=None, meanwhile=None)
    except WorkFailed as failure:
        if failure.kind in ("fence", "cancelled", "lost"):
            raise
        return f"{_NOT}{mend.words}: {failure.message}"
    return f"mended: {mend.words}"


def _quiet(words: str, blockers: Sequence[str]) -> None:
    """Waiting for a lock is said by `Attempts` itself when it takes long."""
