"""The state store in PostgreSQL: Bascule's schema in the target, or in the database that keeps its journal."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.connections import Connections
from bascule.databases.postgres.errors import refusal
from bascule.databases.postgres.layout import prepare
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.meta import STATE_SINCE
from bascule.errors import LockNotAvailable
from bascule.ports.state import Row, StateTransaction, Value
from bascule.state.tables import named

if TYPE_CHECKING:
    import psycopg

    from bascule.databases.postgres.session import Session

    Connection = psycopg.Connection[tuple[Any, ...]]

_PATIENCE: Final = 30.0
"""Seconds until a turn comes."""
_LOCK: Final = 7027
"""Any number: it keeps our advisory lock apart from those of others over the same name."""
_BEGIN: Final = (
    "BEGIN; SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; "
    "SET LOCAL synchronous_commit = on; SET LOCAL row_security = off"
)


class PostgresState:
    """One target's. Connects when first asked."""

    def __init__(
        self, connections: Connections, *, about: Callable[[], str], make: Callable[[], None], shared: bool = False
    ) -> None:
        """`about` tells the target's identity, `make` makes Bascule's tables in the target where they are missing.
        `shared`: the connections are somebody else's, who closes them.
        """
        self._connections = connections
        self._shared = shared
        self._about = about
        self._make = make
        self._guard = threading.RLock()
        self._identity = ""

    def about(self) -> str:
        """See the port."""
        with self._guard:
            self._identity = self._identity or self._about()
            return self._identity

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """See the port."""

        def ask(session: Session) -> list[Row]:
            if session.meta is None or session.meta["layout"] < STATE_SINCE:
                return []
            return _ask(session.connection, self._connections.quoted, sql, values)

        with self._guard:
            return self._connections.recall(ask, "read its state store") or []

    def write(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """See the port."""
        with self.transaction() as transaction:
            return transaction.ask(sql, values)

    @contextlib.contextmanager
    def transaction(self, *, alone: str | None = None, durable: bool = True) -> Iterator[StateTransaction]:
        """See the port."""
        import psycopg

        with self._guard:
            self._prepare()
            session = self._begin(alone)
            connection = session.connection
            try:
                if not durable:
                    connection.execute("SET LOCAL synchronous_commit = off")
                yield _Open(connection, self._connections.quoted)
                connection.execute("COMMIT")
            except psycopg.Error as exc:
                raise refusal(
                    exc,
                    schema=self._connections.schema,
                    user=session.user,
                    database=session.database,
                    doing="write to its state store",
                ) from exc
            finally:
                if not session.broken and connection.info.transaction_status:
                    with contextlib.suppress(psycopg.Error):
                        connection.execute("ROLLBACK")

    def close(self) -> None:
        """See the port."""
        with self._guard:
            if not self._shared:
                self._connections.close()

    def _prepare(self) -> None:
        if not self.about():
            self._make()
            # Somebody who asked before the tables were there is not to be told for ever that there are none.
            self._identity = self._about()
        prepare(self._connections)

    def _begin(self, alone: str | None) -> Session:
        """A session with an open transaction, and the turn. Only the beginning may be sent twice."""
        until = time.monotonic() + _PATIENCE
        while True:
            session = self._connections.read(lambda session: _begun(session, alone), "open its state store")
            if session is not None:
                return session
            if time.monotonic() > until:
                raise LockNotAvailable(
                    f"Others have been writing {alone} in the state store for {_PATIENCE:g} s.",
                    code="state_busy",
                    hint="Look in pg_stat_activity for who holds an advisory lock, then run again.",
                )
            time.sleep(0.005 + random.random() * 0.03)


class _Open:
    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def ask(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return _ask(self._connection, self._schema, sql, values)


def _ask(connection: Connection, schema: str, sql: str, values: Sequence[Value]) -> list[Row]:
    text = named(sql, lambda table: f"{schema}.{table}").replace("%", "%%").replace("?", "%s")
    cursor = connection.execute(text.encode(), values)
    return cursor.fetchall() if cursor.description else []


def _begun(session: Session, alone: str | None) -> Session | None:
    """The session with a transaction open in it; None where it is somebody else's turn."""
    connection = session.connection
    connection.execute(_BEGIN)
    if alone is None:
        return session
    mine = connection.execute(f"SELECT pg_try_advisory_xact_lock(hashtextextended({literal(alone)}, {_LOCK}))")
    if mine.fetchone() == (True,):
        return session
    connection.execute("ROLLBACK")
    return None
