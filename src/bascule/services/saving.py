"""The backup before a run: of what the plan can destroy, taken and proved before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bascule.domain.plan import PlannedMigration
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.backups.endangered import Endangered
    from bascule.backups.reach import Reach

_MAY_DESTROY = ("DO", "CALL", "UNKNOWN")


def saved(context: Context, planned: Sequence[PlannedMigration], *, wanted: bool) -> Mapping[str, str]:
    """By migration the path of the backup that was taken for it; empty where nothing that is stored is in danger.

    A plan that destroys nothing costs no question and no import. Raises what keeps the backup from being taken or
    proved; then nothing was started.
    """
    if not (wanted and context.save) or context.backups is None or not any(map(may_destroy, planned)):
        return {}
    return _saved(context, planned)


def foreseen(context: Context, planned: Sequence[PlannedMigration]) -> Reach | None:
    """What `saved` would back up before that plan, as things are now; None where it would take no backup."""
    if not context.save or context.backups is None or not any(map(may_destroy, planned)):
        return None
    from bascule.backups.endangered import endangered

    if not endangered(planned, context.target.dialect).migrations:
        return None
    reach = reached(context, planned)
    return None if reach.tables == () or not _holds_rows(context, reach) else reach


def may_destroy(planned: PlannedMigration) -> bool:
    """Something that is stored may go, as far as a quick look at the statements tells."""
    if planned.destroys:
        return True
    return any(
        insight.touch.everything or insight.kind in _MAY_DESTROY for step in planned.steps for insight in step.insights
    ) or any(step.kind == "python" for step in planned.steps)


def _saved(context: Context, planned: Sequence[PlannedMigration]) -> Mapping[str, str]:
    from bascule.backups.endangered import endangered
    from bascule.errors import BasculeError
    from bascule.services.backup_create import CreateRequest, create
    from bascule.services.backups import listed, sized

    found = endangered(planned, context.target.dialect)
    if not found.migrations:
        _say_erasures(context, found, None)
        return {}
    try:
        reach = reached(context, planned)
        if reach.tables == () or not _holds_rows(context, reach):
            return {}
        _say_erasures(context, found, reach)
        line = create(
            context,
            CreateRequest(
                tables=reach.tables,
                migration=found.migrations[0],
                way_back_of=found.migrations,
                why=f"before {planned[0].direction}",
            ),
        )
    except BasculeError as error:
        _say_why(error)
        raise
    what = "the whole database" if line.entry.scope == "database" else listed(line.entry.tables)
    because = f" ({reach.why[0]})" if reach.why else ""
    proved = "verified" if line.verified else "unverified"
    context.say(f"Backed up {what}{because}: {line.path}, {sized(line.entry.size_bytes)}, {proved}.")
    return dict.fromkeys(found.migrations, line.path)


def _say_erasures(context: Context, found: Endangered, reach: Reach | None) -> None:
    """What the author wants kept nowhere, and whether it is in the backup all the same. `reach` None: there is none."""
    from bascule.backups.reach import held_erasures

    held = held_erasures(found, reach) if reach is not None else ()
    for each in found.erased:
        if each in held:
            context.say(
                f"Warning: the backup before the run holds what is to be kept nowhere ({each.words}), because more is "
                "destroyed in the same tables. Remove it when it is not needed any more, or run that alone."
            )
        else:
            context.say(f"Not in a backup, as its author wants: {each.words}. There is no way back.")


def reached(context: Context, planned: Sequence[PlannedMigration]) -> Reach:
    """The tables of today that the plan may take rows from."""
    from bascule.backups.endangered import endangered
    from bascule.backups.reach import Reach, reach_sql, read_reach
    from bascule.ports.database import WorkFailed
    from bascule.services.backups import means

    found = endangered(planned, context.target.dialect)
    sql = reach_sql(found, context.target.dialect, own=means(context).schema)
    try:
        return read_reach(found, context.target.query(sql, seconds=30.0) if sql else ())
    except WorkFailed as failure:
        return Reach(tables=None, why=(f"the catalog could not be asked: {failure.message}",))


def _holds_rows(context: Context, reach: Reach) -> bool:
    """Tables without rows hold nothing that could be lost. Whatever cannot be asked counts as full."""
    from bascule.backups.reach import empty_sql, tables_sql
    from bascule.ports.database import WorkFailed
    from bascule.services.backups import means

    dialect = context.target.dialect
    try:
        tables = reach.tables
        if tables is None:
            own = means(context).schema
            tables = tuple(row[0] for row in context.target.query(tables_sql(dialect, own=own), seconds=30.0))
        return any(bool(context.target.query(sql, seconds=10.0)[0][0]) for sql in empty_sql(tables, dialect))
    except WorkFailed:
        return True


def _say_why(error: BaseException) -> None:
    """Whoever reads it must learn that it was the backup, and that nothing was started."""
    from bascule.errors import BasculeError

    assert isinstance(error, BasculeError), "only those are caught"
    error.message = f"The backup before the run was not to be had, so nothing was started. {error.message}"
    error.args = (error.message,)
    error.hint = f"{error.hint} --no-backup runs without one.".strip()
