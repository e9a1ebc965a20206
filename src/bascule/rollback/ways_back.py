"""How each statement of an up would be undone, and what that would lose: said before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bascule.domain.plan import PlannedMigration
from bascule.domain.preimage import Assessed
from bascule.domain.statement import Dialect, Insight, Statement

Way = Literal["inverse", "down", "preimage", "backup", "none"]
"""``inverse``: a statement that parsing proves to undo it. ``down``: the author's script. ``preimage``: what it
destroys is kept, and put back into what the down script makes again. ``backup``: only a copy of the tables has what it
destroys. ``none``: nothing leads back."""

_ORDER = ("inverse", "down", "preimage", "backup", "none")
_CHANGES_NOTHING = ("SELECT", "EXPLAIN", "ANALYZE", "VACUUM", "REINDEX", "PRAGMA", "SET", "RESET", "CHECKPOINT")


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Of one statement."""

    line: int
    what: str
    """``DROP TABLE``, or what it destroys in words."""
    way: Way
    loses: tuple[str, ...] = ()
    """What going this way would lose, in words; empty where nothing."""
    why: str | None = None
    """Why it is not a better one."""

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {"line": self.line, "what": self.what, "way": self.way, "loses": list(self.loses), "why": self.why}


def ways_back(
    planned: PlannedMigration, dialect: Dialect, assessed: Sequence[Assessed], *, backup: bool
) -> tuple[WayBack, ...]:
    """One for each statement that changes anything. `assessed`: what would come of its pre-images, empty where none are
    made; `backup`: one is taken before the run.
    """
    down = planned.migration.down is not None and not planned.migration.down.empty
    inverted = not down and _is_invertible(planned, dialect)
    found = []
    for step in planned.steps:
        for statement, insight in zip(step.statements, step.insights, strict=True):
            if insight.destroys is None and (insight.control or insight.session or insight.kind in _CHANGES_NOTHING):
                continue
            mine = [each for each in assessed if each.keep.ordinal == statement.index]
            found.append(_way(statement, insight, mine, down=down, inverted=inverted, backup=backup))
    return tuple(found)


def heaviest(ways: Sequence[WayBack]) -> Way:
    """The way back of a whole migration: that of its worst statement; ``inverse`` where none changes anything."""
    return max((each.way for each in ways), key=_ORDER.index, default="inverse")


def _way(
    statement: Statement, insight: Insight, assessed: Sequence[Assessed], *, down: bool, inverted: bool, backup: bool
) -> WayBack:
    line = statement.line
    if insight.destroys is not None:
        why = _why_not_kept(assessed, down=down)
        if why is None:
            return WayBack(line=line, what=insight.destroys, way="preimage")
        if backup:
            loses = ("what was written to these tables since the backup",)
            return WayBack(line=line, what=insight.destroys, way="backup", loses=loses, why=why)
        return WayBack(line=line, what=insight.destroys, way="none", loses=(insight.destroys,), why=why)
    if insight.touch.everything:
        why = next(iter(insight.touch.reasons), "parsing cannot tell what it changes")
        if backup:
            return WayBack(line=line, what=insight.kind, way="backup", loses=("what was written since",), why=why)
        return WayBack(line=line, what=insight.kind, way="down" if down else "none", loses=(why,), why=why)
    if down:
        return WayBack(line=line, what=insight.kind, way="down")
    if inverted:
        return WayBack(line=line, what=insight.kind, way="inverse")
    why = "there is no down script, and it is not among the statements of which parsing proves an inverse"
    return WayBack(line=line, what=insight.kind, way="backup" if backup else "none", loses=(), why=why)


def _why_not_kept(assessed: Sequence[Assessed], *, down: bool) -> str | None:
    if not assessed:
        return "nothing is kept of it"
    for each in assessed:
        if each.why is not None:
            return each.why
    if not down and any(each.keep.kind in ("columns", "table", "rebuilt", "retype") for each in assessed):
        return "there is no down script that makes again what its values belong to"
    return None


def _is_invertible(planned: PlannedMigration, dialect: Dialect) -> bool:
    from bascule.rollback.inverse import inverse_script

    return inverse_script(planned.migration, planned.statements, dialect) is not None
