"""What went into the tables of a restored backup, compared with what comes out of them: the bytes of the dump are the
measure, so that nothing has to be computed while it is taken.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.dump_catalog import Table
from bascule.databases.postgres.dump_task import WORTH_PSQL, copied_by_driver, copied_by_psql, copy_out
from bascule.databases.postgres.load import Source, table_of
from bascule.databases.postgres.row_sums import RowSum
from bascule.domain.backup import StreamRecord
from bascule.ports.dump import Difference

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

Psql = tuple[str, Mapping[str, str]]
"""The program, and the environment that leads it to the database."""


class WentIn:
    """By table what was loaded into it. Safe to use from several threads."""

    def __init__(self) -> None:
        self._sums: dict[str, RowSum] = {}
        self._lock = threading.Lock()

    def add(self, table: str, sums: RowSum) -> None:
        """One stream was loaded."""
        with self._lock:
            self._sums.setdefault(table, RowSum()).join(sums)

    def of(self, table: str) -> RowSum:
        """All of it."""
        return self._sums.get(table, RowSum())


def coming_out(
    connection: Connection, table: Table, *, name: str = "", where: str = "", psql: Psql | None = None
) -> RowSum:
    """The rows of a table, or of a part of it; `name`: under which it was restored. Raises `MigrationFailed`."""
    sums, copy = RowSum(), copy_out(table, name or table.name, where=where)
    for piece in _pieces(connection, table, copy, psql):
        sums.add(piece)
    return sums


def bytes_out(connection: Connection, table: Table, *, psql: Psql | None = None) -> str:
    """The SHA-256 of the rows in the order in which they lie there. Raises as `coming_out`."""
    found = hashlib.sha256()
    for piece in _pieces(connection, table, copy_out(table, table.name), psql):
        found.update(piece)
    return found.hexdigest()


def differences(
    connection: Connection, source: Source, streams: Sequence[StreamRecord], *, name: str = "", psql: Psql | None = None
) -> Iterator[Difference]:
    """What the restored table has otherwise than its streams, with the columns: all of it is read once more."""
    table = table_of(streams[0])
    put, out = RowSum(len(table.columns)), RowSum(len(table.columns))
    for stream in streams:
        for piece in source.pieces(stream):
            put.add(piece)
    for piece in _pieces(connection, table, copy_out(table, name or table.name), psql):
        out.add(piece)
    if put.rows != out.rows:
        yield Difference(table=table.name, column=None, words=f"{out.rows} rows instead of {put.rows}")
        return
    both = zip(table.columns, put.by_column, out.by_column, strict=True)
    changed = [column.name for column, before, after in both if before != after]
    for column in changed:
        yield Difference(table=table.name, column=column, words="has other values")
    if not changed and not put.same_as(out):
        yield Difference(table=table.name, column=None, words="values stand in other rows")


def grouped(streams: Iterable[StreamRecord]) -> dict[str, list[StreamRecord]]:
    """By table."""
    found: dict[str, list[StreamRecord]] = {}
    for stream in streams:
        found.setdefault(stream.table or "", []).append(stream)
    return found


def _pieces(connection: Connection, table: Table, copy: str, psql: Psql | None) -> Iterator[bytes]:
    if psql is not None and table.size >= WORTH_PSQL:
        program, environment = psql
        return copied_by_psql(program, environment, copy, table=table.name)
    return copied_by_driver(connection, copy, table=table.name)
