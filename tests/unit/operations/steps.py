"""A small engine for steps: performs each with its mark, dies where told, and goes on from its marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bascule.databases.operations import DONE
from bascule.domain.statement import Statement


class Died(Exception):
    """The process is gone, as far as the author's code can tell."""


class Edited(Exception):
    """A step was done with another text than it has now."""


@dataclass(slots=True, kw_only=True)
class Engine:
    """One run. `marks` outlives it: place of the step → its text and, for a batched one, its cursor."""

    perform: Callable[[str], int]
    """Runs a statement, committed by itself; answers the rows changed."""
    marks: dict[int, tuple[str, str]] = field(default_factory=dict)
    dies_before: int | None = None
    """Number of the transaction, from 0, that is not performed any more."""
    sent: list[Statement] = field(default_factory=list)

    def execute(self, statement: Statement) -> int | None:
        if self._cursor(statement) is not None:
            return None
        rows = self._send(statement)
        self.marks[statement.index] = (statement.text, DONE)
        return rows

    def position(self, step: Statement) -> str | None:
        return self._cursor(step)

    def run(self, step: Statement, batch: Statement, cursor: str) -> int:
        rows = self._send(batch)
        self.marks[step.index] = (step.text, cursor)
        return rows

    def finish(self, step: Statement) -> None:
        self.marks[step.index] = (step.text, DONE)

    def _send(self, statement: Statement) -> int:
        if self.dies_before == len(self.sent):
            raise Died
        self.sent.append(statement)
        return self.perform(statement.text)

    def _cursor(self, statement: Statement) -> str | None:
        if statement.index not in self.marks:
            return None
        text, cursor = self.marks[statement.index]
        if text != statement.text:
            raise Edited(text, statement.text)
        return cursor
