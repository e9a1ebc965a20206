"""What a SQLite file says about its tables, for the data rules."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bascule.databases.sqlite.tables import Table, quoted, read_tables
from bascule.ports.validation import (
    Catalog,
    ColumnFacts,
    ConstraintFacts,
    IndexFacts,
    Key,
    SequenceFacts,
    TableFacts,
)

_LARGEST: Final = 2.0**63 - 1
_GENERATED: Final = (2, 3)


def read_catalog(connection: sqlite3.Connection) -> Catalog:
    """Raises sqlite3.Error."""
    found = {name: table for name, table in read_tables(connection).items() if not table.virtual}
    shadows = _shadows(connection)
    keys = {name.lower(): ("main", name) for name in found}
    rows = {name: _about_rows(connection, table) for name, table in found.items()}
    every = sum(rows.values()) or 1.0
    size = _size(connection)
    tables = {
        ("main", name): _table(connection, table, keys, rows[name], round(size * rows[name] / every))
        for name, table in found.items()
        if name.lower() not in shadows
    }
    return Catalog(
        dialect="sqlite",
        version=sqlite3.sqlite_version_info[0] * 1_000_000 + sqlite3.sqlite_version_info[1] * 1_000,
        tables=tables,
        sequences=tuple(_sequences(connection, tables)),
    )


def _shadows(connection: sqlite3.Connection) -> set[str]:
    """Tables that virtual ones keep their content in: nobody else's business. Told since SQLite 3.37."""
    try:
        rows = connection.execute("SELECT lower(name) FROM pragma_table_list WHERE type = 'shadow'").fetchall()
    except sqlite3.OperationalError:
        return set()
    return {row[0] for row in rows}


def _about_rows(connection: sqlite3.Connection, table: Table) -> float:
    """At most so many, from the last key, without counting them."""
    try:
        (last,) = connection.execute(f"SELECT max(rowid) FROM main.{quoted(table.name)}").fetchone()
    except sqlite3.OperationalError:
        return 0.0
    return float(last) if isinstance(last, int) and last > 0 else 0.0


def _size(connection: sqlite3.Connection) -> int:
    (pages,), (page,) = (connection.execute(f"PRAGMA main.{name}").fetchone() for name in ("page_count", "page_size"))
    return int(pages) * int(page)


def _table(connection: sqlite3.Connection, table: Table, keys: Mapping[str, Key], rows: float, size: int) -> TableFacts:
    columns = connection.execute(f"PRAGMA main.table_xinfo({quoted(table.name)})").fetchall()
    own_number = table.rowid is None and not _is_without_rowid(connection, table)
    primary = tuple(table.key)
    return TableFacts(
        key=("main", table.name),
        rows=rows,
        bytes=size,
        columns=tuple(
            ColumnFacts(name=row[1], type=row[2].lower(), not_null=bool(row[3]), generated=row[6] in _GENERATED)
            for row in columns
            if row[6] != 1
        ),
        constraints=(
            *([ConstraintFacts(name="", kind="primary", columns=primary)] if primary else []),
            *_checks(table),
            *_foreign_keys(connection, table, keys),
        ),
        indexes=(
            # The key that is the row's own number is unique by the way rows are stored.
            *([_own_key(primary)] if own_number and len(primary) == 1 else []),
            *_indexes(connection, table),
        ),
    )


def _is_without_rowid(connection: sqlite3.Connection, table: Table) -> bool:
    taken = {name.lower() for name in table.columns}
    free = next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)
    if free is None:
        return False
    try:
        connection.execute(f"SELECT {free} FROM main.{quoted(table.name)} LIMIT 0")
    except sqlite3.OperationalError:
        return True
    return False


def _own_key(primary: tuple[str, ...]) -> IndexFacts:
    return IndexFacts(name="rowid", columns=primary, shape="rowid", unique=True, constraint=True)


def _checks(table: Table) -> Iterator[ConstraintFacts]:
    from bascule.sql.errors import SqlSyntaxProblem
    from bascule.validation.needs.sqlite.definition import read_table

    # What SQLite itself has understood and we cannot is left to SQLite.
    with contextlib.suppress(SqlSyntaxProblem):
        definition = read_table(table.sql)
        for check in definition.checks if definition else ():
            yield ConstraintFacts(name="", kind="check", expression=check)


def _foreign_keys(connection: sqlite3.Connection, table: Table, keys: Mapping[str, Key]) -> Iterator[ConstraintFacts]:
    parts: dict[int, list[tuple[Any, ...]]] = {}
    for row in connection.execute(f"PRAGMA main.foreign_key_list({quoted(table.name)})").fetchall():
        parts.setdefault(row[0], []).append(row)
    for rows in parts.values():
        rows.sort(key=lambda row: row[1])
        parent = keys.get(rows[0][2].lower())
        columns = tuple(row[3] for row in rows)
        there = tuple(row[4] for row in rows if row[4] is not None)
        trouble = ""
        if parent is None:
            trouble = f"its parent table {rows[0][2]} is not there"
        else:
            there = there or _primary(connection, parent[1])
            if len(there) != len(columns) or not _is_unique(connection, parent[1], there):
                trouble = f"{parent[1]} ({', '.join(there) or 'no key'}) is not unique, so that no row can refer to it"
                there = there if len(there) == len(columns) and _has(connection, parent[1], there) else ()
        yield ConstraintFacts(
            name="",
            kind="foreign",
            columns=columns,
            # SQLite looks only where the connection that writes has asked for it.
            validated=False,
            parent=parent,
            parent_columns=there,
            trouble=trouble,
        )


def _primary(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    rows = connection.execute(f"PRAGMA main.table_info({quoted(name)})").fetchall()
    return tuple(row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5])


def _has(connection: sqlite3.Connection, name: str, columns: Sequence[str]) -> bool:
    known = {row[1].lower() for row in connection.execute(f"PRAGMA main.table_xinfo({quoted(name)})").fetchall()}
    return all(column.lower() in known for column in columns)


def _is_unique(connection: sqlite3.Connection, name: str, columns: Sequence[str]) -> bool:
    wanted = {column.lower() for column in columns}
    if {column.lower() for column in _primary(connection, name)} == wanted:
        return True
    for row in connection.execute(f"PRAGMA main.index_list({quoted(name)})").fetchall():
        if row[2] and not row[4]:
            parts = connection.execute(f"PRAGMA main.index_info({quoted(row[1])})").fetchall()
            if {str(part[2]).lower() for part in parts} == wanted:
                return True
    return False


def _indexes(connection: sqlite3.Connection, table: Table) -> Iterator[IndexFacts]:
    for _number, name, unique, origin, partial in connection.execute(
        f"PRAGMA main.index_list({quoted(table.name)})"
    ).fetchall():
        parts = connection.execute(f"PRAGMA main.index_xinfo({quoted(name)})").fetchall()
        own = [part for part in parts if part[5]]
        columns = tuple(part[2] for part in own)
        written = connection.execute("SELECT sql FROM main.sqlite_master WHERE type = 'index' AND name = ?", (name,))
        sql = (written.fetchone() or [None])[0] or ""
        # Of expressions and conditions the text after the table's name has to be the same.
        special = partial or None in columns
        shape = [(part[2], part[3], str(part[4]).lower()) for part in own]
        yield IndexFacts(
            name=name,
            columns=columns,
            shape=repr(shape) + (" ".join(sql.partition("(")[2].split()).lower() if special else ""),
            unique=bool(unique),
            partial=bool(partial),
            constraint=origin in ("u", "pk"),
        )


def _sequences(connection: sqlite3.Connection, tables: Mapping[Key, TableFacts]) -> Iterator[SequenceFacts]:
    for table in tables.values():
        if table.rows:
            yield SequenceFacts(name=table.key[1], used=table.rows / _LARGEST, feeds="number of the last row")
