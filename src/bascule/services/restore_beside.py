"""The old rows of tables beside those of today, and how they are merged: where a restore would lose more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.ports.database import WorkFailed
from bascule.rollback.merging import (
    differing_sql,
    look_sql,
    merge_sql,
    parents_first,
    references_sql,
    script_of,
)
from bascule.services.backups import note, sized, watching

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bascule.domain.backup import Manifest
    from bascule.ports.dump import Beside
    from bascule.services.backups import Backups
    from bascule.services.context import Context

_SECONDS = 60.0
"""For comparing the old rows with today's."""
MOST = 1 << 30
"""Bytes of rows that are put beside by themselves: it is room on the target that nobody asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldRows:
    """What stands beside."""

    tables: tuple[Beside, ...] = ()
    merge: tuple[str, ...] = ()
    """Statements, in their order: one transaction, which adds and overwrites nothing that others may have written."""
    look: tuple[str, ...] = ()
    """Statements that show what is otherwise today beyond that; a person decides about it."""
    why: str = ""
    """Why nothing does."""

    def as_dict(self) -> dict[str, Any]:
        """For reports."""
        return {
            "tables": [{"table": each.table, "beside": each.place, "rows": each.rows} for each in self.tables],
            "merge": list(self.merge),
            "look": list(self.look),
            "why": self.why or None,
        }


def restore_beside(
    context: Context,
    backups: Backups,
    manifest: Manifest,
    tables: Sequence[str] | None = None,
    *,
    made_anew: Collection[tuple[str, str]] = (),
) -> OldRows:
    """Restore the rows of these tables (None: all of the backup) beside them. `made_anew`: table and column, without
    schema and quotes, of the columns that the run has dropped, so that whatever stands in them is none of their old
    values. Raises as the dumper.
    """
    size = manifest.plain_bytes(tables)
    if size > MOST:
        return OldRows(
            why=f"the old rows take {sized(size)}, too much to be put beside unasked: bascule backup restore "
            f"{manifest.id} --to NAME makes a database of them"
        )
    found = backups.dumper.restore_beside(backups.stored(manifest), tables=tables, watch=watching(context))
    note(context, "restored_beside", id=manifest.id, tables={each.table: each.place for each in found})
    dialect = context.target.dialect
    ordered = parents_first(found, _references(context))
    statements: list[str] = []
    look: list[str] = []
    merged = []
    for each in ordered:
        differing = _differing(context, each)
        refilled = {
            column
            for column in differing
            if (_bare(each.table), _bare(column)) in made_anew and column not in each.computed
        }
        statements += (mine := merge_sql(each, dialect, refilled))
        unsure = look_sql(each, dialect, set(differing) - refilled)
        look += unsure
        # What still has to be looked at beside must be there.
        merged += [each.place] if mine and not unsure and not each.gone else []
    return OldRows(tables=tuple(found), merge=script_of(statements, merged, dialect), look=tuple(look))


def _bare(name: str) -> str:
    """Without schema and quotes."""
    last = name[:-1].rpartition('"')[2] if name.endswith('"') and '""' not in name else name.rpartition(".")[2]
    return last.strip('"').replace('""', '"')


def _references(context: Context) -> Sequence[tuple[str, str]]:
    try:
        return [
            (str(child), str(parent)) for child, parent in context.target.query(references_sql(context.target.dialect))
        ]
    except WorkFailed:
        return ()


def _differing(context: Context, beside: Beside) -> tuple[str, ...]:
    """The columns of which any row has another value today; all, where that cannot be asked."""
    sql = differing_sql(beside, context.target.dialect)
    if not sql:
        return ()
    try:
        (counts,) = context.target.query(sql, seconds=_SECONDS)
    except WorkFailed:
        return beside.columns
    return tuple(name for name, count in zip(beside.columns, counts, strict=True) if count)


def told(old: OldRows) -> str:
    """Where the old rows are and how they come back, for people."""
    if old.why:
        return f"Old rows: {old.why}."
    lines = [f"The old rows of {each.table} stand in {each.place} ({each.rows})." for each in old.tables]
    lines += [
        f"Today's {each.table} has no column {', '.join(each.gone)}, so that stays beside."
        for each in old.tables
        if each.there and each.gone
    ]
    lines += [f"There is no {each.table} today to merge them into." for each in old.tables if not each.there]
    if old.merge:
        lines.append("To bring back rows that are missing and values that nobody has filled since, as one script:")
        lines += [f"  {statement}" for statement in old.merge]
    if old.look:
        lines.append(
            "It overwrites nothing. What is otherwise today, the run or somebody since has changed; look with:"
        )
        lines += [f"  {statement}" for statement in old.look]
    kept = [each.place for each in old.tables if f"DROP TABLE {each.place};" not in old.merge]
    if kept:
        lines.append(f"Drop {', '.join(kept)} when nothing in them is needed any more.")
    return "\n".join(lines)
