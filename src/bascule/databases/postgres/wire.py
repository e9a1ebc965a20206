"""One message to the server and all that it answers, statement by statement, with a wait that can be broken off.

psycopg's cursors stop at the first error of a message with several statements and then no longer say which one it
was. Here every result is kept in order, so that the number of results tells the statement that failed.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGconn, PGresult

    Connection = psycopg.Connection[tuple[Any, ...]]

_READ, _WRITE = 1, 2
_POLLED: Final = {
    _READ: select.POLLIN,
    _WRITE: select.POLLOUT,
    _READ | _WRITE: select.POLLIN | select.POLLOUT,
}
_CHUNK: Final = 1 << 18
"""Bytes of COPY data handed to libpq at a time."""

# libpq's ExecStatusType, as plain numbers: looking up members of an enumeration costs more than comparing them.
COPY_OUT: Final = 3
COPY_IN: Final = 4
FATAL_ERROR: Final = 7
# And its PGTransactionStatusType.
IDLE: Final = 0
ACTIVE: Final = 1
IN_ERROR: Final = 3


def send(connection: Connection, message: bytes) -> None:
    """Hand a message to the server. Raises psycopg.Error when the connection is known to be broken."""
    pgconn = connection.pgconn
    pgconn.send_query(message)
    pgconn.flush()


def collect(
    connection: Connection,
    results: list[PGresult],
    *,
    copy_data: Callable[[int], str | None] = lambda _: None,
    seconds: float | None = None,
) -> None:
    """Wait for the end of what was sent; each statement's result is appended to `results` as it comes, an error as
    the last.

    `copy_data` is asked for the rows of a ``COPY … FROM STDIN``, by the number of its statement in the message. After
    an exception it can be called again with the same list, to wait on.

    Raises:
        psycopg.OperationalError: the connection broke; an error the server had sent before that is in `results`.
        TimeoutError: `seconds` are over; the server is still at work.
    """
    from psycopg import generators

    pgconn = connection.pgconn
    until = None if seconds is None else time.monotonic() + seconds
    drive(generators.send(pgconn), pgconn, until)
    while True:
        result = drive(generators.fetch(pgconn), pgconn, until)
        if result is None:
            return
        if result.status == COPY_IN:
            _feed(pgconn, copy_data(len(results)), until, connection.info.encoding)
        elif result.status == COPY_OUT:
            _drain(pgconn, until)
        else:
            results.append(result)


def exchange(connection: Connection, message: bytes, *, seconds: float | None = None) -> list[PGresult]:
    """`send` and `collect`. Raises as they do; when it is broken off the connection is closed."""
    results: list[PGresult] = []
    send(connection, message)
    try:
        collect(connection, results, seconds=seconds)
    except BaseException:
        if connection.pgconn.transaction_status == ACTIVE:
            # Nobody waits for the rest of the answer any more, which would be taken for that to the next message.
            connection.close()
        raise
    return results


def ask(connection: Connection, message: str, *, seconds: float | None = None) -> list[tuple[str | None, ...]]:
    """Rows of the last statement of ours that has any, as text. A transaction that the message began and an error
    left open is rolled back.

    Raises:
        psycopg.Error: also what the server refuses.
        TimeoutError: as `collect`.
    """
    import psycopg

    results = exchange(connection, message.encode(), seconds=seconds)
    last = results[-1]
    if last.status == FATAL_ERROR:
        if connection.pgconn.transaction_status == IN_ERROR:
            exchange(connection, b"ROLLBACK", seconds=seconds)
        raise psycopg.errors.error_from_result(last)
    rows = next((result for result in reversed(results) if result.nfields), last)
    columns = range(rows.nfields)
    return [tuple(_text(rows.get_value(row, column)) for column in columns) for row in range(rows.ntuples)]


def settled(sql: str) -> str:
    """A statement in a transaction of its own, whatever isolation level the role has by default."""
    return f"BEGIN ISOLATION LEVEL READ COMMITTED;{sql};COMMIT"


def has_ended(connection: Connection) -> bool:
    """The other end of an idle connection is gone. Reads what has arrived, sends nothing."""
    import psycopg

    try:
        poller = select.poll()
        poller.register(connection.pgconn.socket, select.POLLIN)
        if poller.poll(0):
            connection.pgconn.consume_input()
    except (psycopg.Error, OSError):
        return True
    return connection.broken


def hang_up(connection: Connection) -> None:
    """Break the connection from another thread, so that whoever waits on it gets an error at once."""
    import psycopg

    try:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin:
            twin.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        return  # broken already, which is what was wanted


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _feed(pgconn: PGconn, data: str | None, until: float | None, encoding: str) -> None:
    from psycopg import generators

    if data is None:
        pgconn.put_copy_end(b"the script has no rows for this COPY")
        return
    rows = data.encode(encoding)
    for start in range(0, len(rows), _CHUNK):
        while pgconn.put_copy_data(rows[start : start + _CHUNK]) == 0:
            drive(generators.send(pgconn), pgconn, until)
        drive(generators.send(pgconn), pgconn, until)
    while pgconn.put_copy_end() == 0:
        drive(generators.send(pgconn), pgconn, until)
    drive(generators.send(pgconn), pgconn, until)


def _drain(pgconn: PGconn, until: float | None) -> None:
    """Rows of a COPY … TO STDOUT go nowhere."""

    def rows() -> Generator[int, int, None]:
        while True:
            count, _ = pgconn.get_copy_data(1)
            if count < 0:
                return
            if count == 0:
                yield _READ
                pgconn.consume_input()

    drive(rows(), pgconn, until)


def drive(steps: Generator[Any, Any, Any], pgconn: PGconn, until: float | None) -> Any:
    """Run one of psycopg's generators to its end, waiting for the socket where it asks to. Raises TimeoutError."""
    try:
        wanted = next(steps)
        poller = select.poll()
        poller.register(pgconn.socket, _POLLED[wanted])
        while True:
            left = None if until is None else (until - time.monotonic()) * 1000
            if left is not None and left <= 0:
                raise TimeoutError
            happened = poller.poll(left)
            if not happened:
                continue
            flags = happened[0][1]
            # A hang-up is read like data: libpq then finds the end of the stream and says so.
            ready = (_WRITE if flags & select.POLLOUT else 0) | (_READ if flags & ~select.POLLOUT else 0)
            wanted = steps.send(ready)
            poller.modify(pgconn.socket, _POLLED[wanted])
    except StopIteration as end:
        return end.value
