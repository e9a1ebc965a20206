"""A database as a script that the sqlite3 program restores."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from bascule.databases.sqlite.tables import Table, quoted, read_tables, read_views
from bascule.domain.backup import Manifest

_ROWS = 500


def script(connection: sqlite3.Connection, manifest: Manifest) -> Iterator[bytes]:
    """The statements, in pieces. Raises sqlite3.Error."""
    connection.text_factory = bytes
    yield (
        f"-- Backup {manifest.id} of {manifest.until:%Y-%m-%d %H:%M:%S} UTC, from SQLite {manifest.server_version}.\n"
        "-- Restore it into a new file: sqlite3 -bail FILE < SCRIPT\n"
    ).encode()
    for name in ("page_size", "auto_vacuum", "user_version", "application_id"):
        yield b"PRAGMA %s = %d;\n" % (name.encode(), connection.execute(f"PRAGMA main.{name}").fetchone()[0])
    encoding = connection.execute("PRAGMA main.encoding").fetchone()[0].decode()
    yield f"PRAGMA encoding = '{encoding}';\nPRAGMA foreign_keys = OFF;\nBEGIN;\n".encode()
    connection.text_factory = str
    tables, views = read_tables(connection), read_views(connection)
    shadows = {name for name in tables for other in tables.values() if other.virtual and _is_of(name, other.name)}
    for name, table in tables.items():
        if table.virtual:
            # Written into the schema as it is: making it would make its tables, which come with their rows.
            yield (
                "PRAGMA writable_schema = ON;\nINSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES "
                f"('table', {_literal(name)}, {_literal(name)}, 0, {_literal(table.sql)});\n"
                "PRAGMA writable_schema = OFF;\n"
            ).encode("utf-8", "surrogatepass")
        else:
            yield f"{table.sql};\n".encode("utf-8", "surrogatepass")
            yield from _rows(connection, table)
    yield from _sequences(connection)
    for name, table in tables.items():
        if name not in shadows:
            yield "".join(f"{sql};\n" for sql in table.made_after).encode("utf-8", "surrogatepass")
    for statements in views.values():
        yield "".join(f"{sql};\n" for sql in statements).encode("utf-8", "surrogatepass")
    yield b"COMMIT;\n"


def _rows(connection: sqlite3.Connection, table: Table) -> Iterator[bytes]:
    names = [quoted(name) for name in table.columns]
    if table.rowid is not None:
        names.insert(0, table.rowid)
    if not names:
        return
    # What quote() writes is cut at a NUL by the program that reads it, so such a text is written as bytes; and it calls
    # the infinities by a name that nobody reads.
    values = " || ',' || ".join(
        f"CASE WHEN typeof({name}) = 'text' AND instr({name}, char(0)) > 0 "
        f"THEN 'CAST(' || quote(CAST({name} AS BLOB)) || ' AS TEXT)' "
        f"WHEN {name} = 9e999 THEN '9e999' WHEN {name} = -9e999 THEN '-9e999' ELSE quote({name}) END"
        for name in names
    )
    connection.text_factory = bytes
    try:
        head = f"INSERT INTO {quoted(table.name)} ({', '.join(names)}) VALUES ".encode("utf-8", "surrogatepass")
        cursor = connection.execute(f"SELECT {values} FROM main.{quoted(table.name)}")
        while found := cursor.fetchmany(_ROWS):
            yield head + b",\n".join(b"(" + row[0] + b")" for row in found) + b";\n"
    finally:
        connection.text_factory = str


def _sequences(connection: sqlite3.Connection) -> Iterator[bytes]:
    if connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'sqlite_sequence'").fetchone() is None:
        return
    yield b"DELETE FROM sqlite_sequence;\n"
    for name, value in connection.execute("SELECT name, seq FROM main.sqlite_sequence").fetchall():
        yield f"INSERT INTO sqlite_sequence (name, seq) VALUES ({_literal(name)}, {value});\n".encode()


def _is_of(name: str, virtual: str) -> bool:
    return name != virtual and name.startswith(f"{virtual}_")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
