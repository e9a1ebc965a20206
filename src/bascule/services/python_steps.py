"""An author's function without surrounding transaction: each statement it sends is a step, marked and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.statement import Statement
from bascule.engine.commands import Command
from bascule.engine.decide import advance
from bascule.engine.facts import Facts
from bascule.errors import NeedsPerson
from bascule.planning.steps import left_to_itself
from bascule.ports.database import Mark
from bascule.services.context import Context
from bascule.sql.checksum import semantic_hash
from bascule.sql.classify import inspect

DONE = "done"


class StepWork(Protocol):
    """The run that the steps belong to."""

    context: Context
    planned: PlannedMigration
    rows: list[int]

    def batch(self, statement: Statement | None, mark: Mark, settings: tuple[str, ...]) -> int:
        """One transaction with its mark. Answers the rows changed."""


@dataclass(slots=True, kw_only=True)
class PythonSteps:
    """Performs what an author's function sends, one step after the other, passing over those that were done before a
    crash.

    Also the `BatchedSteps` of a backfill: while it is under way, its mark carries the cursor behind the digest.
    """

    work: StepWork
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
