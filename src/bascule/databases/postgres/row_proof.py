"""What went into the tables of a restored backup, compared with what comes out of them: the bytes of the dump are the
measure, so that nothing has to be computed while it is taken.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.copies import copied_out
from bascule.databases.postgres.dump_catalog import Table
from bascule.databases.postgres.dump_task import WORTH_PSQL, copied_by_driver, copied_by_psql, copy_out
from bascule.databases.postgres.load import Rows, Source, table_of
from bascule.databases.postgres.row_sums import RowSum
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


def all_bytes_out(connection: Connection, tables: Sequence[Table]) -> Iterator[str]:
    """As `bytes_out` of each of these small tables, asked for together. Raises psycopg.Error."""
    found = [hashlib.sha256() for _ in tables]
    for number, piece in copied_out(connection, [copy_out(table, table.name) for table in tables]):
        found[number].update(piece)
    return (each.hexdigest() for each in found)


def differences(
    connection: Connection, source: Source, parts: Sequence[Rows], *, name: str = "", psql: Psql | None = None
) -> Iterator[Difference]:
    """What the restored table has otherwise than the backup, with the columns: all of it is read once more."""
    table = table_of(parts[0])
    put, out = RowSum(len(table.columns)), RowSum(len(table.columns))
    with source.reader() as reader:
        for part in parts:
            for piece in reader.pieces(part):
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


def grouped(rows: Iterable[Rows]) -> dict[str, list[Rows]]:
    """By table."""
    found: dict[str, list[Rows]] = {}
    for each in rows:
        found.setdefault(each.table, []).append(each)
    return found


def _pieces(connection: Connection, table: Table, copy: str, psql: Psql | None) -> Iterator[bytes]:
    if psql is not None and table.size >= WORTH_PSQL:
        program, environment = psql
        return copied_by_psql(program, environment, copy, table=table.name)
    return copied_by_driver(connection, copy, table=table.name)
