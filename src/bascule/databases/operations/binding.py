"""A SQLAlchemy connection over a driver's connection that is not SQLAlchemy's to commit, roll back or close.

SQLAlchemy believes in a transaction of its own that never ends: its BEGIN sends nothing, and what the author's code
would end it with reaches `DriverConnection.commit` and ``rollback``, which decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bascule.domain.statement import Dialect
from bascule.errors import MigrationFailed

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.engine import Dialect as SqlAlchemyDialect

_NOT_THE_AUTHORS = frozenset(
    (
        "transaction",
        "pipeline",
        "executescript",
        "autocommit",
        "isolation_level",
        "set_autocommit",
        "set_isolation_level",
    )
)
"""Names on a driver's connection that would end the transaction or change how it works."""


class DriverConnection:
    """What SQLAlchemy holds in place of the driver's connection. Base of the two kinds."""

    def commit(self) -> None:
        """Somebody asked for a commit."""
        raise NotImplementedError

    def rollback(self) -> None:
        """Somebody asked for a rollback, or SQLAlchemy does after an error."""
        raise NotImplementedError

    def close(self) -> None:
        """The connection is not ours to close."""

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor whose rows are tuples, whatever the connection's owner set."""
        raise NotImplementedError

    def driver(self) -> Any:
        """The driver's own connection."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name in _NOT_THE_AUTHORS or name.startswith(("tpc_", "__")):
            raise AttributeError(f"{name} of the connection is not to be had inside a migration")
        return getattr(self.driver(), name)


def bind(connection: DriverConnection, dialect: SqlAlchemyDialect, url: str) -> Connection:
    """A SQLAlchemy connection, already "in a transaction", over `connection`. Sends nothing."""
    from sqlalchemy.engine import Engine, make_url
    from sqlalchemy.pool import NullPool

    pool = NullPool(_once(connection), reset_on_return=None, dialect=dialect)
    # Values of rows have no place in error messages and logs.
    bound = Engine(pool, dialect, make_url(url), hide_parameters=True).connect()
    bound.begin()
    return bound


def _once(connection: DriverConnection) -> Callable[[], Any]:
    waiting = [connection]

    def creator() -> DriverConnection:
        if not waiting:
            raise MigrationFailed(
                "The migration asked for a second connection, which would not see what the migration has done.",
                code="second_connection",
                hint="Use op.get_bind() itself, not its engine; for the schema sqlalchemy.inspect(op.get_bind()).",
            )
        return waiting.pop()

    return creator


def plain_cursor(driver_connection: Any, dialect: Dialect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A cursor that answers tuples and takes the driver's own placeholders, whatever the connection is set to."""
    if dialect == "sqlite":
        cursor = driver_connection.cursor(*arguments, **options)
        cursor.row_factory = None
        return cursor
    from psycopg import Cursor, ServerCursor
    from psycopg.rows import tuple_row

    if arguments or "name" in options:
        return ServerCursor(driver_connection, *arguments, row_factory=tuple_row, **options)
    return Cursor(driver_connection, row_factory=tuple_row, **options)
