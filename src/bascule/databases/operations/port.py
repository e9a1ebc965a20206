"""The `PythonScripts` port, on SQLAlchemy and Alembic's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bascule.databases.operations.author import author_line, load
from bascule.domain.migration import Direction, Script
from bascule.domain.statement import Dialect, Statement
from bascule.ports.python import BatchedSteps, Recording


class AuthorScripts:
    """See `bascule.ports.python.PythonScripts`. Each call loads the author's file anew."""

    def record(
        self, script: Script, direction: Direction, *, dialect: Dialect, server_version: int | None
    ) -> Recording:
        """What it would send, found in a child process."""
        from bascule.databases.operations.recording import record

        found = record(script, direction, dialect=dialect, server_version=server_version)
        return Recording(
            statements=found.statements,
            depends_on_data=found.depends_on_data,
            error=found.error,
            error_line=found.error_line,
            hint=found.hint,
            batched=found.batched,
        )

    def line_of(self, error: BaseException, script: Script) -> int | None:
        """The author's line that an error came through."""
        return author_line(error, script.path)

    def in_transaction(
        self,
        script: Script,
        direction: Direction,
        connection: Any,
        *,
        dialect: Dialect,
        on_statement: Callable[[Statement], None],
    ) -> None:
        """Run it inside the caller's transaction."""
        from bascule.databases.operations.transaction import run_in_transaction

        function = load(script).function(direction)
        run_in_transaction(function, connection, dialect=dialect, on_statement=on_statement)

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
        """Run it, each statement a step of the caller's."""
        from bascule.databases.operations.reading import reading_failed
        from bascule.databases.operations.stepwise import run_stepwise

        function = load(script).function(direction)
        try:
            run_stepwise(
                function,
                dialect=dialect,
                server_version=server_version,
                execute=execute,
                connect=connect,
                batches=batches,
            )
        except Exception as error:
            failure = reading_failed(error)
            if failure is None:
                raise
            raise failure from error
