"""The ways back that there are right after a failure, and what each would take along."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed
from bascule.rollback.after_failure import Back
from bascule.services.planned import plan_one

if TYPE_CHECKING:
    from datetime import datetime

    from bascule.domain.backup import Manifest
    from bascule.domain.migration import Migration
    from bascule.domain.plan import PlannedMigration
    from bascule.domain.statement import Insight, Statement, Touch
    from bascule.ports.dump import Guard
    from bascule.services.context import Context

_INVERSE = "the inverse that parsing proves"
_WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "TRUNCATE", "DO", "CALL", "SELECT", "UNKNOWN")
_OF_ROWS = ("UPDATE", "DELETE")
_HARMLESS = ("SELECT", "SET", "EXPLAIN", "ANALYZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBack:
    """A way back that is made of statements."""

    plan: PlannedMigration
    back: Back


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedBack:
    """A way back that is a backup."""

    manifest: Manifest
    path: str
    written: tuple[str, ...]
    """Tables to which somebody has written since, as far as can be told."""
    back: Back
    guard: Guard
    """What the restore has to see to."""


def by_statements(context: Context, planned: PlannedMigration, done: Collection[int] | None) -> PlannedBack | str:
    """What takes back the steps of these indexes (None: all of them): the inverse that parsing proves, else the
    author's down script; or why there is none.
    """
    migration = planned.migration
    if migration.ref.repeatable:
        return "a repeatable migration has no way back"
    if migration.irreversible is not None:
        return f"the author says that it cannot be undone: {migration.irreversible}"
    whole = done is None
    for words, candidate in _candidates(context, planned, done):
        try:
            plan = plan_one(context, candidate, "down")
        except BasculeError as error:
            return f"{words} cannot be planned: {error.message}"
        loses = tuple(_loses(context, plan))
        sure = words == _INVERSE or not writes_rows(planned, done)
        return PlannedBack(plan=plan, back=Back(words=words, loses=loses, whole=plan.transactional, sure=sure))
    return "there is no down script" + ("" if whole else ", and parsing proves no inverse of what is done")


def _candidates(
    context: Context, planned: PlannedMigration, done: Collection[int] | None
) -> Iterator[tuple[str, Migration]]:
    migration = planned.migration
    down = migration.down if migration.down is not None and not migration.down.empty else None
    if migration.up.language == "sql" and (done is not None or down is None):
        from bascule.rollback.inverse import inverse_of

        statements = [each for step in planned.steps if done is None or step.index in done for each in step.statements]
        found = inverse_of(statements, context.target.dialect)
        if found:
            text = "".join(f"{each};\n" for each in found)
            script = dataclasses.replace(migration.up, text=text, transaction=True)
            yield _INVERSE, dataclasses.replace(migration, down=script)
    if down is not None:
        yield "the down script", migration


def writes_rows(planned: PlannedMigration, done: Collection[int] | None) -> bool:
    """Whether the steps of these indexes (None: all) may have written rows, which no look at the schema sees."""
    steps = [step for step in planned.steps if done is None or step.index in done]
    if any(step.kind == "python" for step in planned.steps):
        return True
    return any(
        insight.kind in _WRITES and (insight.kind != "SELECT" or insight.touch.runs or insight.touch.everything)
        for step in steps
        for insight in step.insights
    )


def by_kept_rows(context: Context, planned: PlannedMigration) -> PlannedBack | str:
    """What was kept of the rows, where that is everything which the migration has changed."""
    if planned.migration.ref.repeatable or planned.migration.irreversible is not None:
        return "a migration that cannot be undone keeps no rows"
    insights = [insight for step in planned.steps for insight in step.insights]
    if any(step.kind == "python" for step in planned.steps) or not all(
        (insight.kind in _OF_ROWS or insight.kind in _HARMLESS or insight.control or insight.session)
        and not (insight.touch.everything or insight.touch.unseen or _runs_code(context, insight.touch))
        for insight in insights
    ):
        return "it did more than to change and delete rows of which a copy was kept"
    written = sum(insight.kind in _OF_ROWS for insight in insights)
    try:
        kept = [each for each in context.target.preimages().kept(planned.name) if each.back is None]
    except (BasculeError, WorkFailed) as problem:
        return f"what was kept of the rows could not be read: {problem}"
    if not written or len(kept) < written or any(each.why is not None or not each.kept for each in kept):
        return "not all that it changed and deleted was kept"
    migration = planned.migration
    nothing = dataclasses.replace(migration.up, text="", empty=True, language="sql", transaction=True)
    plan = plan_one(context, dataclasses.replace(migration, down=nothing), "down")
    rows = sum(each.rows or 0 for each in kept)
    return PlannedBack(plan=plan, back=Back(words=f"putting back what was kept ({rows} rows)"))


def by_backup(
    context: Context,
    path: str,
    planned: PlannedMigration,
    done: Collection[int] | None,
    undisturbed: Collection[str] = (),
) -> SavedBack | str:
    """The backup that was taken before, unless it would take other migrations back too; or why it is none. `done`: the
    steps that it has to take back; None: all. `undisturbed`: tables to which nobody but the migration wrote until its
    rollback ended: where nobody has since either, what is in them is not somebody's later work.
    """
    name = planned.name
    from bascule.ports.dump import Guard, words_of
    from bascule.services.backup_restore import opened
    from bascule.services.backups import means, sized
    from bascule.services.written_since import written_since

    try:
        backups = means(context)
        manifest = opened(context, backups, path, foreign=False)
        late = [
            entry.name
            for entry in context.target.ledger()
            if entry.applied_at > manifest.until and entry.name != name and not entry.repeatable
        ]
        if late:
            return f"the backup {manifest.id} would take back {', '.join(late)} too"
        written, now = written_since(backups, manifest)
        # Asked behind the look at what they hold now: who writes from here on is seen by the restore itself.
        still = _names(context.target.preimages().as_left(name) & frozenset(undisturbed)) if undisturbed else set()
        proves = frozenset(still & written.keys())
        written = {table: words for table, words in written.items() if now is None or table not in still}
        words = words_of(*(each.text for each in (planned.migration.up, planned.migration.down) if each is not None))
        made = backups.dumper.made_since(backups.stored(manifest), words=words)
    except (BasculeError, WorkFailed) as problem:
        return f"the backup {path} cannot be used: {problem}"
    size = manifest.plain_bytes()
    told = f"restoring the backup {manifest.id} ({sized(size)})"
    sure = _holds_all(context, manifest, planned, done)
    back = Back(words=told, loses=(*written.values(), *made), bytes=size, sure=sure)
    guard = Guard(
        rows=None if written else now, words=words, goes=frozenset(made), proves=proves, proves_of=name, ahead=True
    )
    return SavedBack(manifest=manifest, path=path, written=tuple(written), back=back, guard=guard)


def _names(tables: Collection[str]) -> set[str]:
    """As looks at rows write them, and as SQLite's backups do."""
    return {name for table in tables for name in (table, table.strip('"').replace('""', '"'))}


def backup_of_the_up(context: Context, name: str, applied_at: datetime) -> str | None:
    """Where the backup stands that was taken for a migration before it ran; None where there is none that is known."""
    from bascule.services.backup_list import list_all

    if context.backups is None:
        return None
    found = [
        line
        for line in list_all(context)
        if line.own
        and line.known is not None
        and line.problem is None
        and name in line.entry.way_back_of
        and line.entry.until <= applied_at
    ]
    return found[-1].path if found else None


def _holds_all(context: Context, manifest: Manifest, planned: PlannedMigration, done: Collection[int] | None) -> bool:
    """Everything that these steps touched is a table of the backup, or a part of one. One of the whole database holds
    whatever code has written to.
    """
    if manifest.scope == "database":
        return True
    if any(step.kind == "python" for step in planned.steps):
        return False
    touches = [
        insight.touch for step in planned.steps if done is None or step.index in done for insight in step.insights
    ]
    touches += [planned.touch] if done is None else []
    if any(touch.everything or touch.unseen or _runs_code(context, touch) for touch in touches):
        return False
    held = [_parts(table) for table in manifest.tables]
    touched = {each for touch in touches for each in touch.objects | touch.runs}
    return all(
        each.kind == "relation"
        and any(each.name == name and (None in (each.schema, schema) or each.schema == schema) for schema, name in held)
        for each in touched
    )


def _parts(table: str) -> tuple[str | None, str]:
    """Schema and name, of a name as the database writes it."""
    import re

    parts = [(quoted or plain).replace('""', '"') for quoted, plain in re.findall(r'"((?:[^"]|"")*)"|([^".]+)', table)]
    return (parts[-2] if len(parts) > 1 else None, parts[-1])


def _loses(context: Context, plan: PlannedMigration) -> Iterator[str]:
    """What the statements take away of rows that there are."""
    if any(step.kind == "python" for step in plan.steps):
        yield from plan.destroys
        return
    for step in plan.steps:
        for statement, insight in zip(step.statements, step.insights, strict=True):
            if insight.destroys is None:
                if insight.touch.everything or _runs_code(context, insight.touch):
                    yield f"line {statement.line}: what {insight.kind} takes away is not known"
            elif not _is_empty(context, statement, insight):
                yield f"line {statement.line} {insight.destroys}"


def _runs_code(context: Context, touch: Touch) -> bool:
    """Routines that are called, or triggers of tables that are written to: what they do, nobody has read."""
    if not touch.runs:
        return False
    if any(each.kind != "relation" for each in touch.runs):
        return True
    from bascule.rollback.hidden import have_triggers, tables_written

    return have_triggers(context.target.snapshot(tables_written(touch)))


def _is_empty(context: Context, statement: Statement, insight: Insight) -> bool:
    """All that the statement takes away is tables without rows, or columns without values."""
    from bascule.rollback.preimage_reading import read_destroying

    dialect = context.target.dialect
    for read in read_destroying(statement, insight, dialect):
        if read.why is not None or not read.name or read.kind not in ("table", "columns"):
            return False
        table = ".".join(_quoted(part) for part in (read.schema, read.name) if part is not None)
        if read.kind == "columns" and not read.columns:
            return False
        where = " OR ".join(f"{_quoted(column)} IS NOT NULL" for column in read.columns)
        sql = f"SELECT EXISTS (SELECT 1 FROM {table}{f' WHERE {where}' if where else ''})"
        try:
            ((found,),) = context.target.query(sql, seconds=10.0)
        except WorkFailed:
            return False
        if found:
            return False
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
