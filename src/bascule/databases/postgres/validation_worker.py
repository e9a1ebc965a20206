"""One connection that reads rows for the data rules, and the watch that lets everybody else pass.

Each connection is in one transaction with a snapshot that all share. A statement is asked behind a savepoint that is
rolled back after it, so that the lock on its table is held for as long as that statement takes and no longer. Where
somebody waits for that lock meanwhile (an ALTER TABLE, and behind it the whole application), the statement is cancelled
and asked again a little later.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.session import read_plainly

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

LOCK_MS: Final = 100
"""Milliseconds to wait for a lock on a table."""
TRIES: Final = 6
"""How often a statement is asked that could not have its lock, or gave way."""
LOOK: Final = 0.05
"""Seconds between two looks at who waits."""
_PAUSE: Final = 0.2
_LAST: Final = 5.0
"""Seconds for the last look of the watch to end."""
_BEGIN: Final = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
{snapshot}
SET LOCAL statement_timeout = {statement};
SET LOCAL lock_timeout = {lock};
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL row_security = off;
SET LOCAL constraint_exclusion = off;
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB';
SET LOCAL extra_float_digits = 1;
SET LOCAL datestyle = 'ISO, YMD';
{more}"""
_WAITING: Final = """SELECT DISTINCT blocker
FROM pg_catalog.pg_locks AS l, pg_catalog.unnest(pg_catalog.pg_blocking_pids(l.pid)) AS blocker
WHERE NOT l.granted AND l.pid <> ALL (%(own)s::int[]) AND blocker = ANY (%(own)s::int[])"""


class GaveWay(Exception):
    """A statement was ended because somebody waited for its lock, as often as it was asked."""


class Locked(Exception):
    """Somebody held a lock on the table for longer than was waited."""


class Worker:
    """One transaction."""

    def __init__(
        self, connection: Connection, *, seconds: float, snapshot: str = "", settings: Sequence[str] = ()
    ) -> None:
        """`snapshot`: one that another transaction has exported. Raises psycopg.Error."""
        self.connection = connection
        self.busy = False
        self.gives_way = False
        """Somebody waits for what the statement under way has locked."""
        self.names: tuple[str, ...] = ()
        """Of the columns of the last answer."""
        read_plainly(connection)
        shared = f"SET TRANSACTION SNAPSHOT '{snapshot}';" if snapshot else ""
        more = "\n".join(f"{each};" for each in settings)
        connection.execute(
            _BEGIN.format(snapshot=shared, statement=round(seconds * 1000), lock=LOCK_MS, more=more).encode()
        )
        # Behind a pooler another number than that of the login.
        self.pid = int(connection.execute(b"SELECT pg_catalog.pg_backend_pid()").fetchall()[0][0])

    @property
    def pooled(self) -> bool:
        """There is a pooler between us and the server."""
        return self.pid != self.connection.info.backend_pid

    def export(self) -> str:
        """The name of the snapshot. Raises psycopg.Error."""
        return str(self.connection.execute(b"SELECT pg_catalog.pg_export_snapshot()").fetchall()[0][0])

    def ask(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Sequence[str] = ()
    ) -> list[tuple[Any, ...]]:
        """Rows; the lock is let go after it. Raises `GaveWay`, `Locked`, psycopg.Error."""
        import psycopg

        for number in range(TRIES):
            try:
                return self._once(sql, parameters, settings)
            except psycopg.errors.LockNotAvailable as exc:
                last: Exception = Locked(str(exc))
            except psycopg.errors.QueryCanceled as exc:
                if not self.gives_way:
                    raise
                last = GaveWay(str(exc))
            time.sleep(_PAUSE * (number + 1))
        raise last

    def attempt(
        self, sql: str, parameters: Mapping[str, Any], unread: dict[str, str], name: str
    ) -> list[tuple[Any, ...]]:
        """As `ask`; nothing where it fails and the connection still stands, and in `unread` why. Raises psycopg.Error
        where it does not.
        """
        import psycopg

        try:
            return self._once(sql, parameters, ())
        except psycopg.Error as exc:
            if self.connection.broken:
                raise
            unread[name] = f"{name}: {exc.diag.message_primary or exc}"
            return []

    def _once(self, sql: str, parameters: Mapping[str, Any] | None, settings: Sequence[str]) -> list[tuple[Any, ...]]:
        self.gives_way = False
        before = "".join(f"; {each}" for each in settings)
        self.connection.execute(f"SAVEPOINT bascule_look{before}".encode())
        self.busy = True
        try:
            # Without parameters a percent sign is one.
            cursor = self.connection.execute(sql.encode(), parameters or None)
            self.names = tuple(column.name for column in cursor.description or ())
            return cursor.fetchall()
        finally:
            self.busy = False
            if not self.connection.broken:
                self.connection.execute(b"ROLLBACK TO SAVEPOINT bascule_look; RELEASE SAVEPOINT bascule_look")

    def cancel(self) -> None:
        """End the statement under way."""
        import psycopg

        with contextlib.suppress(psycopg.Error):
            self.connection.cancel()

    def close(self) -> None:
        """End the transaction and hang up."""
        self.connection.close()


class Guard:
    """Looks all the time whether somebody waits for a lock of the workers, and has them give way."""

    def __init__(self, open_connection: Callable[[], Connection], workers: Sequence[Worker]) -> None:
        self._open, self._workers = open_connection, workers
        self._end = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._watch, name="bascule guard", daemon=True)

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if (connection := self.end()) is not None:
            connection.close()

    def end(self) -> Connection | None:
        """Look no more. Answers the connection, which is closed later; None where it could not be had."""
        self._end.set()
        self._thread.join(_LAST)
        return (
            None if self._thread.is_alive() or self._connection is None or self._connection.closed else self._connection
        )

    def _watch(self) -> None:
        import psycopg

        from bascule.errors import BasculeError

        try:
            self._connection = connection = self._open()
        except BasculeError:
            # Every connection is taken. Statements are still bounded by their time.
            return
        own = {"own": [worker.pid for worker in self._workers]}
        while not self._end.wait(LOOK):
            if not any(worker.busy for worker in self._workers):
                continue
            try:
                waiting = {int(row[0]) for row in connection.execute(_WAITING.encode(), own).fetchall()}
            except psycopg.Error:
                return
            for worker in self._workers:
                if worker.pid in waiting and worker.busy:
                    worker.gives_way = True
                    worker.cancel()
