"""Behind ``op`` inside a transaction: everything is sent at once, and nothing can end the transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

from bascule.databases.operations import refusals
from bascule.databases.operations.author import AuthorFunction, current_line, drivers_errors
from bascule.databases.operations.backfill import Backfill, BackfillText
from bascule.databases.operations.binding import DriverConnection, bind, plain_cursor
from bascule.databases.operations.copied_table import CopiedTable
from bascule.databases.operations.dialects import URLS, make_dialect, quote_with
from bascule.databases.operations.outside import Outside
from bascule.databases.operations.scripts import check_inside_transaction, statements_in
from bascule.domain.statement import Dialect, Statement

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

OnStatement = Callable[[Statement], None]


class TransactionCarrier:
    """Sends everything at once, over the one connection."""

    rows_per_insert: int | None = None

    def __init__(self, function: AuthorFunction, driver: Any, dialect: Dialect, on_statement: OnStatement) -> None:
        from sqlalchemy import event

        self.dialect: Dialect = dialect
        self.outside = Outside()
        self._path = function.path
        self._on_statement = on_statement
        self._count = 0
        self._driver = driver
        self._swallowed: BaseException | None = None
        self._copied: list[CopiedTable] = []
        self._borrowed = BorrowedConnection(driver, dialect)
        self._connection = bind(self._borrowed, make_dialect(dialect, None), URLS[dialect])
        # It asks for version, schema and isolation level, and then "rolls back".
        with drivers_errors():
            self._connection.dialect.initialize(self._connection)
        self._borrowed.guarded = True
        event.listen(self._connection, "before_cursor_execute", self._before)
        event.listen(self._connection, "after_cursor_execute", self._after)
        event.listen(self._connection.engine, "handle_error", self._failed)

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's view of the one connection."""
        return self._connection

    def bind(self) -> Connection:
        """The same: what the author reads is what the migration has done so far."""
        return self._connection

    def send(self, sql: str) -> None:
        """Each statement of the text, as written."""
        for statement in statements_in(sql, self.dialect):
            if statement.copy_data is None:
                self._connection.exec_driver_sql(statement.text, execution_options={"no_parameters": True})
            else:
                self._announce(statement.text)
                with plain_cursor(self._driver, self.dialect, (), {}).copy(statement.text) as rows:
                    rows.write(statement.copy_data)

    def backfill(self, work: Backfill) -> None:
        """One UPDATE of all rows concerned, inside the transaction like everything else."""
        self.send(BackfillText(work=work, quote=quote_with(self._connection.dialect)).update())

    def enter_autocommit(self) -> None:
        """Refused: it would commit what came before."""
        raise refusals.autocommit_refused()

    def recreate(self, table: str, schema: str | None, *, reflected: bool) -> None:
        """On SQLite, remember what goes with the old table."""
        if self.dialect == "sqlite":
            self._copied.append(CopiedTable.look(self._rows, table, schema, reflected=reflected))

    @contextmanager
    def copying(self) -> Iterator[None]:
        """After the copy, make again what went with the old table."""
        with catch_warnings():
            # Such an index is made again, and such a constraint refused.
            filterwarnings("ignore", message="Skipped unsupported reflection of expression-based index")
            filterwarnings("ignore", message="Unnamed CHECK constraint on reflected table")
            yield
        while self._copied:
            self._copied.pop(0).restore(self._rows, self.send)

    def check_whole(self) -> None:
        """Raise when the function returned, but its transaction cannot be committed any more."""
        if self._ended():
            raise refusals.ended()
        if self.dialect == "postgresql" and self._driver.info.transaction_status.name == "INERROR":
            raise self._swallowed or refusals.given_up()

    def release(self) -> None:
        """Let go of the connection. Sends nothing."""
        self._borrowed.guarded = False
        self._connection.close()

    def _before(
        self, _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        compiled = context is not None and context.compiled is not None
        self._announce(statement.replace("%%", "%") if compiled and self.dialect == "postgresql" else statement)

    def _announce(self, sql: str) -> None:
        check_inside_transaction(sql, self.dialect)
        statement = Statement(text=sql.strip(), index=self._count, line=current_line(self._path), offset=0)
        self._count += 1
        self.outside.call(self._on_statement, statement)

    def _after(self, *_: Any) -> None:
        if self._ended():
            raise refusals.ended()

    def _failed(self, context: Any) -> None:
        if context.original_exception is not None:
            self._swallowed = context.original_exception

    def _ended(self) -> bool:
        if self.dialect == "sqlite":
            return not bool(self._driver.in_transaction)
        return bool(self._driver.info.transaction_status.name == "IDLE")

    def _rows(self, sql: str) -> list[Any]:
        cursor = plain_cursor(self._driver, self.dialect, (), {})
        try:
            return list(cursor.execute(sql).fetchall())
        finally:
            cursor.close()


class BorrowedConnection(DriverConnection):
    """The caller's connection, from which nobody can end the transaction once it is guarded."""

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        self.guarded = False
        self._driver = driver
        self._dialect: Dialect = dialect

    def commit(self) -> None:
        """Refused."""
        if self.guarded:
            raise refusals.ending_refused("COMMIT")

    def rollback(self) -> None:
        """Refused."""
        if self.guarded:
            raise refusals.ending_refused("ROLLBACK")

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor on the caller's connection."""
        return plain_cursor(self._driver, self._dialect, arguments, options)

    def driver(self) -> Any:
        """The caller's connection."""
        return self._driver
