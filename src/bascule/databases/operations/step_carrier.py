"""Behind ``op`` where there is no transaction: every statement is handed over as a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from bascule.databases.operations import refusals
from bascule.databases.operations.author import AuthorFunction, call, current_line
from bascule.databases.operations.backfill import Backfill, BackfillText
from bascule.databases.operations.batches import BatchedSteps, BatchLoop
from bascule.databases.operations.binding import bind, plain_cursor
from bascule.databases.operations.control import transaction_command
from bascule.databases.operations.dialects import URLS, make_dialect, quote_with, without_returning
from bascule.databases.operations.outside import Outside
from bascule.databases.operations.scripts import statements_in
from bascule.databases.operations.stepping import SteppingConnection
from bascule.domain.statement import Dialect, Statement
from bascule.errors import MigrationFailed, State
from bascule.sql.refused import refusal

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

Execute = Callable[[Statement], int | None]
Connect = Callable[[], Any]


class StepCarrier:
    """Turns what is sent into steps, one after the other."""

    rows_per_insert: int | None = 500

    def __init__(
        self,
        function: AuthorFunction,
        *,
        dialect: Dialect,
        server_version: int | None,
        execute: Execute,
        connect: Connect,
        batches: BatchedSteps | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.dialect: Dialect = dialect
        self.outside = Outside()
        self.count = 0
        self._path = function.path
        self._execute = execute
        self._connect = connect
        self._batches = batches
        self._clock = clock
        self._reader: Any = None
        self._met = False
        self._stepping = SteppingConnection(
            dialect=dialect, reader=self._reading, emit=self._emit, unknown=self._unknown
        )
        made = make_dialect(dialect, server_version)
        without_returning(made)
        self._connection = bind(self._stepping, made, URLS[dialect])
        self._stepping.rolled_back = self._refuse_rollback

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's view of the steps."""
        return self._connection

    def bind(self) -> Connection:
        """The same; before it is first given to the author, SQLAlchemy gets to know the server."""
        if not self._met:
            self._met = True
            self._meet()
        return self._connection

    def send(self, sql: str) -> None:
        """Each statement of the text is a step, also one that only reads."""
        for statement in statements_in(sql, self.dialect):
            self._hand_over(statement)

    def backfill(self, work: Backfill) -> None:
        """One step, performed in batches."""
        text = BackfillText(work=work, quote=quote_with(self._connection.dialect))
        if self._batches is None:
            self.send(text.update())
            return
        step = self._next(Statement(text=text.update(), index=0, line=0, offset=0))
        steps = _Guarded(self.outside, self._batches)
        BatchLoop(step=step, text=text, dialect=self.dialect, ask=self._ask, steps=steps, clock=self._clock).perform()

    def enter_autocommit(self) -> None:
        """Nothing to do: every step is committed by itself."""

    def recreate(self, table: str, schema: str | None, *, reflected: bool) -> None:
        """Refused when the table's present shape was read: a run resumed half-way would read another one, or none."""
        if reflected:
            raise MigrationFailed(
                f"Copying and replacing {table} takes several steps; after a crash between them its shape could not be "
                "read again.",
                code="recreate_in_steps",
                state=self.state(),
                hint="Give batch_alter_table(copy_from=…) the table as it is, or use a transactional migration.",
            )

    def copying(self) -> AbstractContextManager[None]:
        """Nothing to do: the author gave the table's shape and says what becomes of what belongs to it."""
        return nullcontext()

    def release(self) -> None:
        """Let go of everything; the connection for reading is closed."""
        self._stepping.rolled_back = _nothing
        self._connection.close()
        if self._reader is not None:
            self._reader.close()

    def _meet(self) -> None:
        self._stepping.rolled_back = _nothing
        self._connection.dialect.initialize(self._connection)
        without_returning(self._connection.dialect)
        self._stepping.rolled_back = self._refuse_rollback

    def _reading(self) -> Any:
        if self._reader is None:
            self._reader = self.outside.call(self._connect)
        return self._reader

    def _ask(self, sql: str) -> Sequence[Sequence[Any]]:
        cursor = plain_cursor(self._reading(), self.dialect, (), {})
        try:
            cursor.execute(sql)
            return list(cursor.fetchall())
        finally:
            # On SQLite an open cursor keeps a lock, and the batch that follows could not commit.
            cursor.close()

    def _emit(self, sql: str) -> int | None:
        changed = None
        for statement in statements_in(sql, self.dialect):
            changed = self._hand_over(statement)
        return changed

    def _hand_over(self, statement: Statement) -> int | None:
        self._check(statement.text)
        return self.outside.call(self._execute, self._next(statement))

    def _next(self, statement: Statement) -> Statement:
        step = replace(statement, index=self.count, line=current_line(self._path), offset=0)
        self.count += 1
        return step

    def _check(self, sql: str) -> None:
        word = transaction_command(sql, self.dialect)
        if word is not None:
            raise refusals.no_transaction(word, self.state())
        if (reason := refusal(sql, self.dialect)) is not None:
            raise refusals.not_in_a_migration(reason, self.state())

    def _refuse_rollback(self) -> None:
        raise refusals.no_transaction("ROLLBACK", self.state())

    def _unknown(self) -> NoReturn:
        raise MigrationFailed(
            "The function asks how many rows a step changed, which is not known of a step that an earlier run did.",
            code="unknown_count",
            state="changed",
            hint="Read what you need to know with a query, or use op.backfill, which goes on where it stopped.",
        )

    def state(self) -> State:
        """What is true of the database when the function raises now."""
        return "changed" if self.count else "unchanged"


class _Guarded:
    """The caller's `BatchedSteps`, called through `Outside`."""

    def __init__(self, outside: Outside, steps: BatchedSteps) -> None:
        self._call = outside.call
        self._steps = steps

    def position(self, step: Statement) -> str | None:
        return self._call(self._steps.position, step)

    def run(self, step: Statement, batch: Statement, cursor: str) -> int:
        return self._call(self._steps.run, step, batch, cursor)

    def finish(self, step: Statement) -> None:
        self._call(self._steps.finish, step)


def run(function: AuthorFunction, carrier: StepCarrier) -> None:
    """Call the function with an ``op`` on the carrier, and let go of the carrier."""
    from bascule.databases.operations.vocabulary import make_op

    try:
        with carrier.outside.comes_first():
            call(function, make_op(carrier), state=carrier.state)
    finally:
        carrier.release()


def _nothing() -> None:
    pass
