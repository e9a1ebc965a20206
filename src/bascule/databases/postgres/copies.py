"""Many small COPYs in one message to the server.

What a COPY of a few rows costs is the way to the server and back, and a driver's preparations for it. Here the server
is told a hundred of them at once; what it answers, or wants to be given, comes in their order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.wire import ACTIVE, COPY_IN, COPY_OUT, FATAL_ERROR, drive, send

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGconn

    Connection = psycopg.Connection[tuple[Any, ...]]

_AT_ONCE: Final = 100
_PIECE: Final = 1 << 18
_READ: Final = 1


def copied_out(connection: Connection, statements: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """What each ``COPY … TO STDOUT`` answers, in pieces, with its number. One without rows has no piece.

    The connection is closed where the pieces are not read to their end. Raises psycopg.Error.
    """
    for start in range(0, len(statements), _AT_ONCE):
        message = statements[start : start + _AT_ONCE]
        try:
            yield from _answered(connection, message, start)
        finally:
            _leave(connection)


def copied_in(connection: Connection, statements: Sequence[str], rows: Iterable[Iterable[bytes]]) -> Iterator[int]:
    """Give each ``COPY … FROM STDIN`` its rows, and answer how many it took.

    The connection is closed where the rows raise, and the server takes back what it has not committed. Raises what
    they raise, and psycopg.Error.
    """
    given = iter(rows)
    for start in range(0, len(statements), _AT_ONCE):
        message = statements[start : start + _AT_ONCE]
        try:
            yield from _taken(connection, message, given)
        finally:
            _leave(connection)


def _answered(connection: Connection, statements: Sequence[str], first: int) -> Iterator[tuple[int, bytes]]:
    number = first
    for result in _results(connection, statements):
        if result.status == COPY_OUT:
            for piece in _out(connection.pgconn):
                yield number, piece
        else:
            number += 1


def _taken(connection: Connection, statements: Sequence[str], rows: Iterator[Iterable[bytes]]) -> Iterator[int]:
    for result in _results(connection, statements):
        if result.status == COPY_IN:
            _in(connection.pgconn, next(rows))
        else:
            yield result.command_tuples or 0


def _results(connection: Connection, statements: Sequence[str]) -> Iterator[Any]:
    import psycopg
    from psycopg import generators

    pgconn = connection.pgconn
    send(connection, ";\n".join(statements).encode(connection.info.encoding))
    drive(generators.send(pgconn), pgconn, None)
    failed = None
    while (result := drive(generators.fetch(pgconn), pgconn, None)) is not None:
        if result.status == FATAL_ERROR:
            # What follows is only that the server is ready again.
            failed = failed or result
        else:
            yield result
    if failed is not None:
        raise psycopg.errors.error_from_result(failed, encoding=connection.info.encoding)


def _out(pgconn: PGconn) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    while True:
        count, data = pgconn.get_copy_data(1)
        if count < 0:
            break
        if count == 0:
            drive(_until_readable(pgconn), pgconn, None)
            continue
        gathered.append(bytes(data or b""))
        size += count
        if size >= _PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _until_readable(pgconn: PGconn) -> Generator[int, int, None]:
    yield _READ
    pgconn.consume_input()


def _in(pgconn: PGconn, pieces: Iterable[bytes]) -> None:
    from psycopg import generators

    for piece in pieces:
        while pgconn.put_copy_data(piece) == 0:
            drive(generators.send(pgconn), pgconn, None)
        if len(piece) >= _PIECE:
            drive(generators.send(pgconn), pgconn, None)
    while pgconn.put_copy_end() == 0:
        drive(generators.send(pgconn), pgconn, None)
    drive(generators.send(pgconn), pgconn, None)


def _leave(connection: Connection) -> None:
    """An answer that nobody waits for any more would be taken for that to the next message."""
    if not connection.closed and connection.pgconn.transaction_status == ACTIVE:
        connection.close()
