"""The old rows of tables beside those of today, and how they are merged: where a restore would lose more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.ports.database import WorkFailed
from bascule.rollback.merging import differing_sql, merge_sql, parents_first, references_sql
from bascule.services.backups import note, sized, watching

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """Statements, in their order."""
    why: str = ""
    """Why nothing does."""

    def as_dict(self) -> dict[str, Any]:
        """For reports."""
        return {
            "tables": [{"table": each.table, "beside": each.place, "rows": each.rows} for each in self.tables],
            "merge": list(self.merge),
            "why": self.why or None,
        }


def restore_beside(
    context: Context, backups: Backups, manifest: Manifest, tables: Sequence[str] | None = None
) -> OldRows:
    """Restore the rows of these tables (None: all of the backup) beside them. Raises as the dumper."""
    size = sum(each.plain_bytes for each in manifest.streams if tables is None or each.table in (None, *tables))
    if size > MOST:
        return OldRows(
            why=f"the old rows take {sized(size)}, too much to be put beside unasked: bascule backup restore "
            f"{manifest.id} --to NAME makes a database of them"
        )
    found = backups.dumper.restore_beside(
        manifest, store=backups.store, encryption=backups.encryption, tables=tables, watch=watching(context)
    )
    note(context, "restored_beside", id=manifest.id, tables={each.table: each.place for each in found})
    dialect = context.target.dialect
    ordered = parents_first(found, _references(context))
    merges = [merge_sql(each, dialect, _differing(context, each)) for each in ordered]
    # The tables beside go last: a statement that fails must not cost the old rows.
    merge = (*(words for each in merges for words in each[:-1]), *(each[-1] for each in merges if each))
    return OldRows(tables=tuple(found), merge=merge)


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
        lines.append("To bring back rows that are missing (INSERT) and values that are otherwise now (UPDATE):")
        lines += [f"  {statement}" for statement in old.merge]
    return "\n".join(lines)
