"""How the author's Python is run: a guest, on a connection that stays Bascule's.

How to implement one: `record` runs the author's function in a child process without a database; `in_transaction` runs
it on the
driver's own connection, inside a transaction that the caller opened and will end; `stepwise` hands every statement to
the caller,
who performs it as a step. What a callback raises comes out unchanged, also when the author's code tries to swallow it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bascule.domain.migration import Direction, Script
from bascule.domain.statement import Dialect, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The statements that one direction would send, as far as they can be known without a database."""

    statements: tuple[Statement, ...]
    depends_on_data: str | None = None
    """In words; the function reads the database after the last of `statements`, and nobody knows how it goes on."""
    error: str | None = None
    """In words; the file or the function raised, or did not end in time."""
    error_line: int | None = None
    hint: str = ""
    batched: tuple[int, ...] = ()
    """Indexes of the statements that will run in batches."""


class BatchedSteps(Protocol):
    """How a step that runs in batches (a backfill) is performed and remembered. Cursors are opaque texts."""

    def position(self, step: Statement) -> str | None:
        """The cursor that the last committed batch left; None when the step has not begun."""

    def run(self, step: Statement, batch: Statement, cursor: str) -> int:
        """In one transaction: perform `batch` and keep `cursor`. Answers the rows changed."""

    def finish(self, step: Statement) -> None:
        """Remember that the step is done."""


class PythonScripts(Protocol):
    """Runs ``up(op)`` and ``down(op)``."""

    def record(
        self, script: Script, direction: Direction, *, dialect: Dialect, server_version: int | None
    ) -> Recording:
        """What it would send. Never raises for what the author did wrong: that is in the answer."""

    def line_of(self, error: BaseException, script: Script) -> int | None:
        """The author's line that an error came through; None when it never was in that file."""

    def in_transaction(
        self,
        script: Script,
        direction: Direction,
        connection: Any,
        *,
        dialect: Dialect,
        on_statement: Callable[[Statement], None],
    ) -> None:
        """Run it on the driver's connection. Raises SourceError, MigrationFailed, the driver's errors."""

    def stepwise(
        self,
        script: Script,
        direction: Direction,
        *,
        dialect: Dialect,
        server_version: int,
        execute: Callable[[Statement], int | None],
        connect: Callable[[], Any],
        batches: BatchedSteps,
    ) -> None:
        """Run it, each statement handed to `execute`. Raises SourceError, MigrationFailed, `WorkFailed` for what failed
        while the author's function was reading, and what the callbacks raise.
        """
