"""Keeping what migrations destroy, and telling what of it came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bascule.domain.plan import PlannedMigration
from bascule.rollback.rows_verdict import judge_rows, without_proved
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.domain.plan import Step
    from bascule.domain.preimage import Keep, PreImage, PreImageWork
    from bascule.domain.rowlook import RowWork
    from bascule.domain.schema import Verdict
    from bascule.domain.statement import Dialect, Statement

_WRITES = ("INSERT", "COPY", "MERGE", "UPDATE", "SELECT", "DO", "CALL")
_MAKES = ("ALTER TABLE", "CREATE TABLE", "CREATE TABLE AS")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreImageSteps:
    """What the jobs of one run have to do about pre-images."""

    keeps: Mapping[int, tuple[Keep, ...]] = field(default_factory=dict)
    tries: Mapping[int, frozenset[int]] = field(default_factory=dict)
    then: Mapping[int, Mapping[int, tuple[str, ...]]] = field(default_factory=dict)
    relaxed: Mapping[int, tuple[Statement, ...]] = field(default_factory=dict)
    tables: bool = True
    back: bool = False
    rows: RowWork | None = None

    def statements(self, step: Step) -> tuple[Statement, ...]:
        """Those of a step, without the NOT NULL that is made once the values are there."""
        return self.relaxed.get(step.index, step.statements)

    def of(self, step: int | None, *, first: bool = False, last: bool = False) -> PreImageWork | None:
        """For the job of a step (None: one without statements of the script), which may be the first or the last of
        its run.
        """
        keeps = self.keeps.get(step, ()) if step is not None else ()
        if not keeps and not self.back and self.rows is None:
            return None
        from bascule.domain.preimage import PreImageWork

        rows = None if self.rows is None else replace(self.rows, first=first, last=last)

        tries = self.tries.get(step, frozenset()) if step is not None else frozenset()
        then = self.then.get(step, {}) if step is not None else {}
        return PreImageWork(
            keeps=keeps,
            look=self.back and first,
            tries=tries,
            tables=self.tables,
            then=then,
            rows=rows,
            put_back=self.back and last,
        )


def steps_of(context: Context, planned: PlannedMigration, *, keep: bool) -> PreImageSteps:
    """What is to be kept by an up, or put back by a down. An up that destroys nothing costs nothing."""
    if planned.direction == "up":
        rows = rows_of(planned, context.target.dialect)
        if not planned.destroys or not keep:
            return PreImageSteps(rows=rows)
        from bascule.rollback.preimage_plan import keeps_of

        return PreImageSteps(keeps=keeps_of(planned, context.target.dialect), rows=rows)
    kept = context.target.preimages().kept(planned.name)
    rows = rows_of(planned, context.target.dialect)
    if kept and rows is None:
        from bascule.domain.rowlook import RowWork

        rows = RowWork()
    if not any(each.back is None for each in kept):
        return PreImageSteps(rows=rows)
    tries = {
        step.index: frozenset(at for at, insight in enumerate(step.insights) if insight.kind in _MAKES)
        for step in planned.steps
        if step.kind != "python"
    }
    if not any(each.kept for each in kept):
        return PreImageSteps(back=True, rows=rows)
    relaxed, then = _relaxed(planned, kept) if context.target.dialect == "postgresql" else ({}, {})
    writes = any(insight.kind in _WRITES for step in planned.steps for insight in step.insights)
    return PreImageSteps(back=True, tries=tries, tables=not writes, then=then, relaxed=relaxed, rows=rows)


def rows_of(planned: PlannedMigration, dialect: Dialect) -> RowWork | None:
    """Which tables' rows are to be looked at around a migration, the same for both of its directions; None where
    neither writes any. A repeatable one is never rolled back.
    """
    if planned.migration.ref.repeatable:
        return None
    from bascule.rollback.rows_written import rows_written

    return rows_written(planned, dialect)


def _relaxed(
    planned: PlannedMigration, kept: Sequence[PreImage]
) -> tuple[dict[int, tuple[Statement, ...]], dict[int, dict[int, tuple[str, ...]]]]:
    """Steps whose statements add columns as NOT NULL of which the values are kept, and what comes after those."""
    from bascule.rollback.relaxing import relaxed

    columns = {(each.name, column) for each in kept if each.kept and each.kind == "columns" for column in each.columns}
    statements: dict[int, tuple[Statement, ...]] = {}
    then: dict[int, dict[int, tuple[str, ...]]] = {}
    for step in planned.steps if columns else ():
        if step.kind not in ("transaction", "marked"):
            continue
        found = {at: each for at, one in enumerate(step.statements) if (each := relaxed(one, columns)) is not None}
        if found:
            statements[step.index] = tuple(
                found[at].statement if at in found else one for at, one in enumerate(step.statements)
            )
            then[step.index] = {at: each.then for at, each in found.items()}
    return statements, then


def throw_away_old(context: Context) -> int:
    """What was kept longer than the retention. Answers how many copies went. Never the reason why a run fails."""
    from bascule.errors import BasculeError
    from bascule.ports.database import WorkFailed

    try:
        return context.target.preimages().expire(context.policy.preimage_retention)
    except (BasculeError, WorkFailed) as problem:
        context.say(f"What was kept long enough could not be thrown away: {problem}")
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """What of a migration's pre-images a rollback put back."""

    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    """What did not come back, in words."""
    unknown: tuple[str, ...] = ()
    """What was overwritten or deleted, and not kept: whether the down script brought it back, nobody has looked."""
    documents: tuple[Mapping[str, Any], ...] = ()
    looks: tuple[Mapping[str, Any], ...] = ()
    """What the looks at whole tables saw."""


def came_back(context: Context, planned: PlannedMigration, run_id: str) -> CameBack:
    """Asked after the rollback, which is done whatever comes of this."""
    from bascule.errors import BasculeError
    from bascule.ports.database import WorkFailed

    try:
        mine = [each for each in context.target.preimages().kept(planned.name) if each.back_run == run_id]
        seen = rows_of(planned, context.target.dialect) is not None or bool(mine)
        looks = context.target.preimages().looks(planned.name) if seen else ()
    except (BasculeError, WorkFailed) as problem:
        return CameBack(unknown=(f"what was put back could not be read: {problem}",))
    looks = [each for each in looks if each.back_run in (run_id, None)]
    judged = judge_rows(looks, mine, writes=_writes(planned))
    whole = bool(looks) and all(each.whole and each.undisturbed for each in looks)
    doubted = without_proved(mine, judged.proved, all_proved=whole)
    return CameBack(
        notes=(*(words for each in mine if (words := _words(each))), *judged.notes),
        lost=(
            *(words for each in doubted if (words := _lost(each)) and not _is_unknown(each)),
            *(judged.lost),
        ),
        unknown=(*(words for each in doubted if (words := _lost(each)) and _is_unknown(each)), *judged.unknown),
        documents=tuple(_document(each) for each in mine),
        looks=tuple(each.as_dict() for each in looks),
    )


def _writes(planned: PlannedMigration) -> bool:
    """The way back has statements that write rows, or code that may."""
    if any(step.kind == "python" for step in planned.steps):
        return True
    kinds = (*_WRITES, "DELETE", "TRUNCATE")
    return any(
        insight.kind in kinds and (insight.kind != "SELECT" or bool(insight.touch.runs) or insight.touch.everything)
        for step in planned.steps
        for insight in step.insights
    )


def with_data(verdict: Verdict, differences: tuple[str, ...], came: CameBack) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on the schema, and the rows with it: what did not come back is a loss."""
    if came.lost:
        return "lossy", (*differences, *came.lost, *came.unknown)
    if came.unknown and verdict != "lossy":
        return "unverified", (*differences, *came.unknown)
    return verdict, (*differences, *came.unknown)


def _words(one: PreImage) -> str:
    back = one.back or {}
    if "rows" not in back:
        return ""
    rows = {
        "columns": "values put back",
        "rebuilt": "values put back",
        "update": "values put back",
        "retype": "values put back",
    }
    parts = [f"{one.words}: {back['rows']} {rows.get(one.kind, 'rows put back')}"]
    if back.get("changed"):
        kept = "were there already" if one.kind in ("table", "delete") else "changed since, left as they are"
        parts.append(f"{back['changed']} {kept}")
    if back.get("gone"):
        parts.append(f"{back['gone']} of rows that are no longer there")
    if back.get("newer"):
        parts.append(f"{back['newer']} rows written since, left as they are")
    return "; ".join(parts)


def _is_unknown(one: PreImage) -> bool:
    """Rows that are still there, or were deleted one by one, a down script can bring back by itself."""
    return one.why is not None and one.kind in ("update", "delete")


def _lost(one: PreImage) -> str:
    back = one.back or {}
    if "failed" in back:
        return f"{one.words}: not put back, and still kept: {back['failed']}"
    if one.why is not None:
        return f"{one.words}: not put back, because nothing was kept: {one.why}"
    return ""


def _document(one: PreImage) -> dict[str, Any]:
    return {"what": one.words, "table": one.relation, "columns": list(one.columns), "why": one.why, **(one.back or {})}
