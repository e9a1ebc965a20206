"""The second connection of whoever holds the lease: heartbeats, facts, and looking at what the first one waits for.

Two threads use it, one statement at a time. It is opened anew by itself when it breaks.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.door import Door
from bascule.databases.postgres.wire import ask, has_ended
from bascule.errors import TargetUnreachable

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]


class Aside:
    """A connection beside the main one."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False

    def ask(self, message: str, *, seconds: float) -> list[tuple[str | None, ...]]:
        """As `wire.ask`; a connection that broke meanwhile is replaced once. In `message` a ``{pid}`` stands for the
        number of the server process as it was told at login.

        Raises:
            TargetUnreachable: no connection to be had.
            psycopg.Error: the server refused.
            TimeoutError: no answer within `seconds`; the connection is given up.
        """
        import psycopg

        with self._lock:
            fresh = self._connection is None
            try:
                return self._ask(message, seconds)
            except psycopg.OperationalError:
                if fresh or not self._is_broken():
                    raise
            finally:
                if self._is_broken():
                    self._drop()
            return self._ask(message, seconds)

    def is_whole(self) -> bool:
        """False when the connection turns out to be broken, as far as can be told without asking the server."""
        if not self._lock.acquire(blocking=False):
            return True  # in use, so whoever uses it will notice
        try:
            if self._connection is not None and has_ended(self._connection):
                self._drop()
            return self._connection is not None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Hang up for good."""
        with self._lock:
            self._closed = True
            self._drop()

    def _ask(self, message: str, seconds: float) -> list[tuple[str | None, ...]]:
        if self._closed:
            raise TargetUnreachable("The connection was closed.", code="closed")
        if self._connection is None:
            self._connection = self._door.open(patience=seconds)
        return ask(self._connection, message.replace("{pid}", str(self._connection.info.backend_pid)), seconds=seconds)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_broken(self) -> bool:
        return self._connection is not None and (self._connection.closed or self._connection.broken)
