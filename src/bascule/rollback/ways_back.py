"""How each statement of an up would be undone, and what that would lose: said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bascule.domain.plan import PlannedMigration
from bascule.domain.preimage import Assessed, Keep
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.domain.way_back import Foretold, Way, WayBack
from bascule.sql.declined import declined_in

_ORDER = ("inverse", "down", "preimage", "backup", "none")
_CHANGES_NOTHING = ("SELECT", "EXPLAIN", "ANALYZE", "VACUUM", "REINDEX", "PRAGMA", "SET", "RESET", "CHECKPOINT")


def ways_back(
    planned: PlannedMigration,
    dialect: Dialect,
    assessed: Sequence[Assessed],
    *,
    backup: bool,
    foretold: Foretold | None = None,
    unseen: str | None = None,
) -> tuple[WayBack, ...]:
    """One for each statement that changes anything. `assessed`: what would come of its pre-images, empty where none are
    made, for the reason `unseen`; `backup`: one is taken before the run; `foretold`: what the down script leaves
    different.
    """
    down = planned.migration.down is not None and not planned.migration.down.empty
    chances = _Chances(
        down=down,
        inverted=not down and _is_invertible(planned, dialect),
        foretold=foretold or Foretold(),
        unseen=unseen,
    )
    # Where nothing may be kept the backup leaves it out too.
    declined = declined_in(planned.migration.up.text, planned.statements) if planned.direction == "up" else {}
    found = []
    for step in planned.steps:
        for statement, insight in zip(step.statements, step.insights, strict=True):
            if insight.destroys is None and (insight.control or insight.session or insight.kind in _CHANGES_NOTHING):
                continue
            mine = [each for each in assessed if each.keep.ordinal == statement.index]
            found.append(_way(statement, insight, mine, chances, backup=backup and statement.index not in declined))
        if step.kind == "python" and not step.statements:
            found.append(_of_python(planned, chances, backup=backup))
    return tuple(found)


def heaviest(ways: Sequence[WayBack], planned: PlannedMigration | None = None) -> Way:
    """The way back of a whole migration: that of its worst statement. Where none changes anything it is the down script
    of `planned`, or nothing is needed.
    """
    if planned is not None and planned.migration.irreversible is not None:
        return "none"
    if not ways and planned is not None and planned.migration.down is not None and not planned.migration.down.empty:
        return "down"
    return max((each.way for each in ways), key=_ORDER.index, default="inverse")


class _Chances(NamedTuple):
    """What all statements of a migration have in common."""

    down: bool
    inverted: bool
    foretold: Foretold
    unseen: str | None


def _way(
    statement: Statement, insight: Insight, assessed: Sequence[Assessed], chances: _Chances, *, backup: bool
) -> WayBack:
    line = statement.line
    if insight.destroys is not None:
        why = _why_not_kept(assessed, chances)
        if why is None:
            loses = tuple(_required(assessed, chances.foretold))
            return WayBack(line=line, what=insight.destroys, way="preimage", loses=loses)
        if backup:
            loses = ("what was written to these tables since the backup",)
            return WayBack(line=line, what=insight.destroys, way="backup", loses=loses, why=why)
        return WayBack(line=line, what=insight.destroys, way="none", loses=(insight.destroys,), why=why)
    if insight.touch.everything:
        why = next(iter(insight.touch.reasons), "parsing cannot tell what it changes")
        if backup:
            why = f"{why}, so what it destroys is not known"
            return WayBack(line=line, what=insight.kind, way="backup", loses=("what was written since",), why=why)
        return WayBack(line=line, what=insight.kind, way="down" if chances.down else "none", loses=(why,), why=why)
    if chances.down and chances.foretold.fails is None:
        return WayBack(line=line, what=insight.kind, way="down")
    if chances.inverted:
        return WayBack(line=line, what=insight.kind, way="inverse")
    why = "there is no down script, and it is not among the statements of which parsing proves an inverse"
    if chances.foretold.fails is not None:
        why = f"the down script fails: {chances.foretold.fails}"
    return WayBack(line=line, what=insight.kind, way="backup" if backup else "none", loses=(), why=why)


def _of_python(planned: PlannedMigration, chances: _Chances, *, backup: bool) -> WayBack:
    """A function of which nobody has recorded a statement."""
    why = "what Python does is known only when it runs"
    way: Way = "backup" if backup else "down" if chances.down else "none"
    return WayBack(line=planned.migration.up.line, what="Python", way=way, loses=(why,), why=why)


def _why_not_kept(assessed: Sequence[Assessed], chances: _Chances) -> str | None:
    if not assessed:
        return chances.unseen or "nothing is kept of it"
    for each in assessed:
        if each.why is not None:
            return each.why
    if chances.foretold.fails is not None:
        return f"the down script fails: {chances.foretold.fails}"
    belonging = [each.keep for each in assessed if each.keep.kind in ("columns", "table", "rebuilt", "retype")]
    if not chances.down and belonging:
        return "there is no down script that makes again what its values belong to"
    missing = chances.foretold.missing
    for keep in belonging:
        if (_table(keep), "") in missing:
            return f"the down script does not make table {_table(keep)} again"
        for table, column in sorted(missing):
            if table == _table(keep) and (column in keep.columns or keep.kind in ("table", "rebuilt")):
                return f"the down script does not make column {table}.{column} again"
    return None


def _required(assessed: Sequence[Assessed], foretold: Foretold) -> Iterator[str]:
    for each in assessed:
        for table, column in foretold.required:
            if each.keep.kind == "columns" and _table(each.keep) == table and column in each.keep.columns:
                yield (
                    f"rows written since would get no value for {table}.{column}, which the down script makes again as "
                    "NOT NULL without a default: with such rows the rollback fails"
                )


def _table(keep: Keep) -> str:
    return keep.name if keep.schema in (None, "", "public", "main") else f"{keep.schema}.{keep.name}"


def _is_invertible(planned: PlannedMigration, dialect: Dialect) -> bool:
    from bascule.rollback.inverse import inverse_script

    return inverse_script(planned.migration, planned.statements, dialect) is not None
