"""Digests of a SQLite table's content, one for each column, in the order of its rows' keys.

Values are hashed as Python marshals them: that tells 1 from 1.0 and text from bytes, and is done in C for a whole
column of a few thousand rows at once.
"""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Callable

from bascule.databases.sqlite.tables import Table, quoted
from bascule.domain.backup import TableDigest

_ROWS = 5000
"""The digest depends on it: rows of one column are marshalled this many at a time."""
_FORM = 2
"""Of marshal: the last without references, so that equal values are equal bytes."""


def read_digest(connection: sqlite3.Connection, table: Table, *, schema: str = "main") -> TableDigest:
    """The digest of one table. Raises sqlite3.Error."""
    try:
        return _read(connection, table, schema)
    except sqlite3.OperationalError as exc:
        if "decode" not in str(exc):
            raise
    # Text that is not UTF-8: SQLite keeps it, and so do its bytes.
    before: Callable[[bytes], object] = connection.text_factory
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        return _read(connection, table, schema)
    finally:
        connection.text_factory = before


def count_rows(connection: sqlite3.Connection, table: Table, *, schema: str = "main") -> TableDigest:
    """How many rows there are, and nothing of what they hold. Raises sqlite3.Error."""
    count = connection.execute(f"SELECT count(*) FROM {schema}.{quoted(table.name)}").fetchone()[0]
    return TableDigest(rows=count, columns={})


def _read(connection: sqlite3.Connection, table: Table, schema: str) -> TableDigest:
    names = [quoted(name) for name in table.columns]
    order = table.rowid or ", ".join(quoted(name) for name in table.key)
    hashes = [hashlib.blake2b(digest_size=8) for _ in names]
    if not names:
        return count_rows(connection, table, schema=schema)
    cursor = connection.execute(
        f"SELECT {', '.join(names)} FROM {schema}.{quoted(table.name)}{f' ORDER BY {order}' if order else ''}"
    )
    rows = 0
    while found := cursor.fetchmany(_ROWS):
        rows += len(found)
        for hash_, values in zip(hashes, zip(*found, strict=True), strict=True):
            hash_.update(marshal.dumps(values, _FORM))
    return TableDigest(
        rows=rows, columns={name: hash_.hexdigest() for name, hash_ in zip(table.columns, hashes, strict=True)}
    )
