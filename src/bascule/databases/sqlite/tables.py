"""What is in a SQLite database, as far as copying it table by table needs to know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bascule.errors import Refused

OURS = ("bascule_meta", "bascule_ledger", "bascule_step", "bascule_before")
"""Bascule's own tables, but for pre-images."""
PREIMAGES = "bascule_preimage"
"""How the names of those begin."""
BESIDE = "bascule_beside"
"""How the names of tables begin that hold old rows beside those of today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with what belongs to it."""

    name: str
    sql: str
    virtual: bool
    columns: tuple[str, ...]
    """Those that hold values of their own: generated ones are computed anew."""
    rowid: str | None
    """A name by which its rows' numbers are to be had; None where they have none, or every such name is a column's."""
    key: tuple[str, ...]
    """Columns of the primary key."""
    made_after: tuple[str, ...]
    """Its indexes, then its triggers."""


def read_tables(connection: sqlite3.Connection, schema: str = "main", *, ours: bool = False) -> dict[str, Table]:
    """All tables by name; `ours`: Bascule's instead of everybody else's."""
    found = {}
    for name, sql in connection.execute(
        f"SELECT name, sql FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " ORDER BY rowid"
    ).fetchall():
        if (name in OURS or name.startswith((PREIMAGES, BESIDE))) == ours:
            found[name] = _read_table(connection, schema, name, sql)
    return found


def read_views(connection: sqlite3.Connection, schema: str = "main") -> dict[str, tuple[str, ...]]:
    """The statements that make each view and its triggers, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, sql in connection.execute(
        f"SELECT name, sql FROM {schema}.sqlite_master WHERE type = 'view' ORDER BY rowid"
    ).fetchall():
        found[name] = (sql, *_made_after(connection, schema, name))
    return found


def chosen(tables: dict[str, Table], names: Sequence[str] | None, *, where: str) -> dict[str, Table]:
    """Those of these names, as a person writes them. Raises `Refused` (``no_such_table``)."""
    if names is None:
        return tables
    by_folded = {name.lower(): name for name in tables}
    found = {}
    for name in names:
        bare = name[5:] if name.lower().startswith("main.") and name.lower() not in by_folded else name
        if bare.lower() not in by_folded and len(bare) > 1 and bare[0] == bare[-1] == '"':
            bare = bare[1:-1].replace('""', '"')
        if bare.lower() not in by_folded:
            raise Refused(f"There is no table {name} in {where}.", code="no_such_table", hint="Look at its spelling.")
        exact = by_folded[bare.lower()]
        if tables[exact].virtual:
            raise Refused(
                f"{name} is a virtual table, which lies in other tables.",
                code="no_such_table",
                hint="Back up or restore the whole database.",
            )
        found[exact] = tables[exact]
    return found


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def copy_table(connection: sqlite3.Connection, table: Table, *, source: str, indexes: bool = True) -> int:
    """Make the table of the attached database `source` in ``main``, rows, indexes, triggers and all; answers its rows.

    Raises sqlite3.Error.
    """
    connection.execute(table.sql)
    names = [quoted(name) for name in table.columns]
    if table.rowid is not None:
        names.insert(0, table.rowid)
    listed = ", ".join(names)
    count = 0
    if names:
        count = connection.execute(
            f"INSERT INTO main.{quoted(table.name)} ({listed}) SELECT {listed} FROM {source}.{quoted(table.name)}"
        ).rowcount
    if indexes:
        for sql in table.made_after:
            connection.execute(sql)
    _copy_sequence(connection, table, source=source)
    return count


def keep_ahead(connection: sqlite3.Connection, standing: Mapping[str, int]) -> None:
    """Counters of AUTOINCREMENT that a restore has turned back go where they had come to: a number that was given out
    once is not given out again. `standing`: of `read_counters`. Raises sqlite3.Error.
    """
    now = read_counters(connection)
    counting = {name for name, table in read_tables(connection).items() if "AUTOINCREMENT" in table.sql.upper()}
    for name, value in standing.items():
        if name in counting and now.get(name, 0) < value:
            connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (name,))
            connection.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (name, value))


def read_counters(connection: sqlite3.Connection, schema: str = "main") -> dict[str, int]:
    """The counters of AUTOINCREMENT, by table."""
    if not _has_sequences(connection, schema):
        return {}
    return dict(connection.execute(f"SELECT name, seq FROM {schema}.sqlite_sequence").fetchall())


def _copy_sequence(connection: sqlite3.Connection, table: Table, *, source: str) -> None:
    if not _has_sequences(connection, source):
        return
    value = connection.execute(f"SELECT seq FROM {source}.sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    if value is not None and _has_sequences(connection, "main"):
        connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (table.name,))
        connection.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, value[0]))


def _has_sequences(connection: sqlite3.Connection, schema: str) -> bool:
    return (
        connection.execute(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
        is not None
    )


def _read_table(connection: sqlite3.Connection, schema: str, name: str, sql: str) -> Table:
    virtual = sql.lstrip()[:14].upper() == "CREATE VIRTUAL"
    info = [] if virtual else connection.execute(f"PRAGMA {schema}.table_xinfo({quoted(name)})").fetchall()
    columns = {row[1].lower() for row in info}
    free = [alias for alias in ("rowid", "_rowid_", "oid") if alias not in columns]
    keys = sorted((row[5], row[1]) for row in info if row[5])
    return Table(
        name=name,
        sql=sql,
        virtual=virtual,
        columns=tuple(row[1] for row in info if row[6] == 0),
        rowid=free[0] if free and not virtual and _has_rowid(connection, schema, name, free[0], keys) else None,
        key=tuple(column for _, column in keys),
        made_after=tuple(_made_after(connection, schema, name)),
    )


def _has_rowid(connection: sqlite3.Connection, schema: str, name: str, alias: str, keys: Sequence[object]) -> bool:
    """Its rows have numbers that are not a column anyway."""
    indexes = connection.execute(f"PRAGMA {schema}.index_list({quoted(name)})").fetchall()
    if len(keys) == 1 and not any(row[3] == "pk" for row in indexes):
        return False  # INTEGER PRIMARY KEY: the key is the number
    try:
        connection.execute(f"SELECT {alias} FROM {schema}.{quoted(name)} LIMIT 0")
    except sqlite3.OperationalError:
        return False  # WITHOUT ROWID
    return True


def read_parts(connection: sqlite3.Connection, schema: str, name: str) -> dict[tuple[str, str], str]:
    """Its indexes and triggers, by kind and name, as they are made."""
    rows = connection.execute(
        f"SELECT type, name, sql FROM {schema}.sqlite_master WHERE tbl_name = ? COLLATE NOCASE "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, rowid",
        (name,),
    )
    return {(kind, part): sql for kind, part, sql in rows.fetchall()}


def _made_after(connection: sqlite3.Connection, schema: str, name: str) -> Iterator[str]:
    rows = connection.execute(
        f"SELECT sql FROM {schema}.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND type IN ('index', 'trigger') "
        "AND sql IS NOT NULL ORDER BY type, rowid",
        (name,),
    )
    yield from (row[0] for row in rows.fetchall())
