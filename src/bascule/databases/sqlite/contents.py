"""Digests of what a few tables hold, within a time, for the report of a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bascule.databases.sqlite.digests import read_digest
from bascule.databases.sqlite.tables import Table, quoted, read_tables
from bascule.domain.content import Content
from bascule.domain.statement import ObjectName

_AVERAGE: Final = 64
"""Bytes that a row is taken for at least, where it has to be guessed whether a table is small enough."""


def read_contents(
    connection: sqlite3.Connection,
    tables: Sequence[ObjectName],
    *,
    most: int,
    seconds: float,
    timed_out: Callable[[], bool],
) -> Iterator[tuple[ObjectName, Content]]:
    """Those that are not there are left out. `timed_out`: whether the error of just now is a matter of time. Raises
    sqlite3.Error.
    """
    found = {name.lower(): table for name, table in read_tables(connection).items()}
    late = False
    for name in tables:
        table = found.get(name.name.lower())
        if table is None:
            continue
        if table.virtual:
            yield name, Content(why="it holds no rows of its own")
        elif late:
            yield name, Content(why=f"all digests together may take {seconds:g} s")
        elif _is_large(connection, table, most):
            yield name, Content(why=f"it is larger than {most >> 20} MiB")
        else:
            try:
                digest = read_digest(connection, table)
            except sqlite3.OperationalError:
                if not timed_out():
                    raise
                late = True
                yield name, Content(why=f"all digests together may take {seconds:g} s")
            else:
                # Digested in the order of the rows' numbers or of the key.
                yield name, Content(columns=digest.columns, key=() if table.rowid else table.key)


def _is_large(connection: sqlite3.Connection, table: Table, most: int) -> bool:
    """By the number of its last row: to know better all of it would have to be read."""
    if table.rowid is None:
        return False
    (last,) = connection.execute(f"SELECT max({table.rowid}) FROM main.{quoted(table.name)}").fetchone()
    rows = int(last) if isinstance(last, int) else 0
    (pages,), (page,) = (connection.execute(f"PRAGMA main.{name}").fetchone() for name in ("page_count", "page_size"))
    return min(rows * _AVERAGE, int(pages) * int(page)) > most
