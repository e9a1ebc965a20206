"""Python migrations: planned by a recorder that has no database, carried out statement by statement like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule.domain.migration import Direction, Migration, Script
from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.statement import Insight, Statement, Touch
from bascule.engine.commands import Command
from bascule.engine.decide import advance
from bascule.engine.facts import Facts
from bascule.errors import ConfigError, NeedsPerson, SourceError
from bascule.planning.meaning import meaning, parser_of
from bascule.planning.steps import left_to_itself
from bascule.ports.database import Mark
from bascule.ports.python import PythonScripts, Recording
from bascule.services.context import Context
from bascule.sql.checksum import semantic_hash
from bascule.sql.classify import inspect
from bascule.sql.touches import script_touch

if TYPE_CHECKING:
    from bascule.services.carry_out import CarryOut

DONE = "done"


def plan_python(context: Context, migration: Migration, direction: Direction) -> PlannedMigration:
    """What one direction of a Python migration will do, as far as the recorder can tell.

    Raises:
        SourceError: code ``python_failed``, when the file or the function raises: nothing was run.
        ConfigError: the extra is not installed.
    """
    script = migration.up if direction == "up" else migration.down
    assert script is not None, "a direction without a script is never planned"
    recording = _record(context, script, direction)
    if recording.error is not None:
        line = f":{recording.error_line}" if recording.error_line else ""
        raise SourceError(
            f"{script.path}{line}: {recording.error}",
            code="python_failed",
            hint=recording.hint or "Nothing was run. Correct the file and run again.",
        )
    insights = tuple(inspect(statement, context.target.dialect) for statement in recording.statements)
    step = Step(index=0, kind="python", statements=recording.statements, insights=insights)
    warnings = [recording.depends_on_data] if recording.depends_on_data else []
    warnings += [
        f"line {recording.statements[index].line} runs in batches, each its own transaction"
        for index in recording.batched
    ]
    return PlannedMigration(
        migration=migration,
        direction=direction,
        steps=(step,),
        transactional=script.transaction,
        touch=_touch(context, migration, direction, recording, insights),
        semantic_hash=meaning(script, context.target.dialect),
        parser=parser_of(script),
        destroys=tuple(
            f"line {statement.line} {insight.destroys}"
            for statement, insight in zip(recording.statements, insights, strict=True)
            if insight.destroys
        ),
        warnings=(*migration.warnings, *warnings),
    )


def scripts(context: Context) -> PythonScripts:
    """Who runs the author's Python."""
    found = context.python()
    if found is None:
        raise ConfigError(
            "Python migrations need SQLAlchemy and Alembic's operations, which are not installed.",
            hint="pip install 'bascule[alembic]'",
        )
    return found


def _record(context: Context, script: Script, direction: Direction) -> Recording:
    return scripts(context).record(
        script, direction, dialect=context.target.dialect, server_version=context.target.describe().version
    )


def _touch(
    context: Context, migration: Migration, direction: Direction, recording: Recording, insights: Sequence[Insight]
) -> Touch:
    """Up and down together; everything, where one of them cannot be known beforehand."""
    if direction == "down":
        # The look of before was kept by the up; the same objects and whatever the down names are looked at again.
        return Touch(everything=True, reasons=("Python code may touch anything",))
    if recording.depends_on_data:
        return Touch(everything=True, reasons=("what it does depends on data",))
    touch = script_touch(insights)
    down = migration.down
    if down is None or down.empty:
        return touch
    back = _record(context, down, "down")
    if back.error or back.depends_on_data:
        return touch | Touch(everything=True, reasons=("what its down does cannot be known beforehand",))
    return touch | script_touch([inspect(statement, context.target.dialect) for statement in back.statements])


@dataclass(slots=True, kw_only=True)
class PythonSteps:
    """Performs what an author's function sends, one step after the other, passing over those that were done before a
    crash.

    Also the `BatchedSteps` of a backfill: while it is under way, its mark carries the cursor behind the digest.
    """

    work: CarryOut
    facts: Facts
    perform: Callable[[Command, Facts], Facts]
    _settings: tuple[str, ...] = ()

    def execute(self, statement: Statement) -> int | None:
        """One statement as a step. Answers the rows it changed, None where it was done before or the server does not
        say.
        """
        insight = left_to_itself(inspect(statement, self.work.context.target.dialect))
        if insight.session and insight.transactional:
            self._settings = (*self._settings, statement.text)
            return None
        step = Step(
            index=statement.index,
            kind="marked" if insight.transactional else "bare",
            statements=(statement,),
            insights=(insight,),
            settings=self._settings,
            digest=self._digest(statement),
        )
        if self._done(statement) is not None:
            return None
        before = len(self.work.rows)
        while step.index not in self.facts.marks:
            self.facts = self.perform(advance(step, self.facts, last=False), self.facts)
        rows = self.work.rows[before:]
        return rows[-1] if rows and rows[-1] >= 0 else None

    def position(self, step: Statement) -> str | None:
        """The cursor of a backfill; None when it has not begun."""
        return self._done(step)

    def run(self, step: Statement, batch: Statement, cursor: str) -> int:
        """One batch and its cursor, together."""
        rows = self.work.batch(batch, Mark(step=step.index, digest=f"{self._digest(step)} {cursor}"), self._settings)
        self.facts = self.facts.with_mark(step.index, f"{self._digest(step)} {cursor}")
        return rows

    def finish(self, step: Statement) -> None:
        """The backfill is done."""
        self.work.batch(None, Mark(step=step.index, digest=self._digest(step)), ())
        self.facts = self.facts.with_mark(step.index, self._digest(step))

    def _done(self, statement: Statement) -> str | None:
        mark = self.facts.marks.get(statement.index)
        if mark is None:
            return None
        digest, _, cursor = mark.partition(" ")
        if digest == self._digest(statement):
            return cursor or DONE
        name = self.work.planned.name
        raise NeedsPerson(
            f"{name}: step {statement.index + 1} was done with another statement than line {statement.line} makes now: "
            f"{statement.text[:200]}",
            code="edited_half_done",
            hint="Put the file back as it was and run again; or finish by hand and then say so with bascule mark.",
            state="changed",
        )

    def _digest(self, statement: Statement) -> str:
        return semantic_hash(statement.text, self.work.context.target.dialect)
