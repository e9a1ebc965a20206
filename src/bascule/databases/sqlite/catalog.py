"""How schema objects look, from SQLite's catalog: the CREATE statements as they stand there.

SQLite keeps the text of each definition, so that text is all that has to be kept. What two of them differ in is worked
out when they are compared (`bascule.rollback.verdict`).

- ``table x`` has ``sql``, and ``indexes`` and ``triggers`` by name; ``view x`` has ``sql`` and ``triggers``.
- ``mentions``: not named, but it speaks of something named, so that renaming that may rewrite it. That it is not
  there says nothing: SQLite drops only what a statement names, and what belongs to that.
- ``partial``: of this table only single items were looked at: indexes or triggers that were named themselves (their
  names stand in ``named``), or triggers that speak of something named.

SQLite's own objects, Bascule's, and those of temporary and attached databases are never looked at.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable
from typing import Any

from bascule.domain.schema import Snapshot
from bascule.domain.statement import Touch

_SELECT = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL"
_PARTS = {"index": "indexes", "trigger": "triggers"}
_NOT_THE_USERS = ("sqlite_", "bascule_")
_FEW = 3
_MANY = 200
"""Names from which on it is quicker to read the whole catalog than to ask for each of them."""

_Row = tuple[str, str, str, str]
"""Kind, name, name of the table, and text of an object."""


def shape(connection: sqlite3.Connection, touch: Touch) -> Snapshot:
    """What `touch` names, and what a change of that may rewrite. Only reads; raises `sqlite3.Error` where it may not.

    What is not there costs the same however much there is. The catalog has no index: what is there costs one pass over
    it, 30 nanoseconds an object, and only where a renaming is possible the texts are searched too, 300 nanoseconds
    each.
    """
    if touch.everything:
        return Snapshot(objects=_assembled(_rows(connection, _SELECT), views=()), whole=True)
    # No part of a table can be looked at alone; and there are no partitions, so where no column is concerned nothing
    # is.
    concerned = [
        each
        for each in touch.objects
        if each.kind in ("relation", "other") and each.schema in (None, "main") and each.column != ""
    ]
    if not any(each.kind == "other" or _is_there(connection, each.name) for each in concerned):
        return Snapshot()
    names = frozenset(each.name.lower() for each in concerned)
    rows = _named(connection, names)
    speaking = _speaking_of(connection, names, rows) if _may_rename(names, rows) else []
    apart = [table for kind, _, table, _ in (*rows, *speaking) if kind in _PARTS and table.lower() not in names]
    views = _views(connection, apart) if apart else ()
    objects = _assembled(rows, views=views, marked="named")
    for key, parts in _assembled(speaking, views=views, marked="mentions").items():
        objects.setdefault(key, parts)
    return Snapshot(objects=objects)


def _is_there(connection: sqlite3.Connection, name: str) -> bool:
    """Whether a table, view or index has the name: at the same cost however many there are."""
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        return any(
            connection.execute(f"PRAGMA main.{kind}_xinfo({quoted})").fetchone() is not None
            for kind in ("table", "index")
        )
    except sqlite3.Error:
        return True  # a view that can no longer be read, for one


def _named(connection: sqlite3.Connection, names: Collection[str]) -> list[_Row]:
    """The objects of these names, and the indexes and triggers of tables of these names."""
    if len(names) > _MANY:
        return [row for row in _rows(connection, _SELECT) if row[1].lower() in names or row[2].lower() in names]
    if len(names) <= _FEW:
        # Comparing takes half the time of IN, which makes an index of its list first.
        same = (f"tbl_name = ?{at} COLLATE NOCASE OR name = ?{at} COLLATE NOCASE" for at in range(1, len(names) + 1))
        return _rows(connection, f"{_SELECT} AND ({' OR '.join(same)})", tuple(names))
    marks = ",".join("?" * len(names))
    query = f"{_SELECT} AND (tbl_name COLLATE NOCASE IN ({marks}) OR name COLLATE NOCASE IN ({marks}))"
    return _rows(connection, query, (*names, *names))


def _may_rename(names: Collection[str], rows: Iterable[_Row]) -> bool:
    """ALTER TABLE … RENAME TO needs a table, and names another."""
    return len(names) > 1 and any(kind == "table" and name.lower() in names for kind, name, _, _ in rows)


def _speaking_of(connection: sqlite3.Connection, names: Collection[str], known: Iterable[_Row]) -> list[_Row]:
    """Tables, views and triggers in whose text one of the names stands."""
    query = f"{_SELECT} AND type <> 'index'"
    patterns: tuple[str, ...] = ()
    if len(names) <= _MANY:
        query += " AND (" + " OR ".join(["sql LIKE ?"] * len(names)) + ")"
        patterns = tuple(f"%{name}%" for name in names)
    word = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
    seen = set(known)
    return [row for row in _rows(connection, query, patterns) if row not in seen and word.search(row[3])]


def _views(connection: sqlite3.Connection, tables: Collection[str]) -> Collection[str]:
    wanted = {name.lower() for name in tables}
    return {row[1].lower() for row in _rows(connection, f"{_SELECT} AND type = 'view'") if row[1].lower() in wanted}


def _assembled(rows: Iterable[_Row], *, views: Collection[str], marked: str = "") -> dict[str, dict[str, Any]]:
    """The objects by their keys.

    `marked`: what being among these rows says of them; `views`: which of the tables without a row are views.
    """
    objects: dict[str, dict[str, Any]] = {}
    keys: dict[str, str] = {}
    for kind, name, _, sql in rows:
        if kind not in _PARTS:
            keys[name.lower()] = f"{kind} {name}"
            objects[f"{kind} {name}"] = {"sql": sql, "mentions": True} if marked == "mentions" else {"sql": sql}
    for kind, name, table, sql in rows:
        if kind in _PARTS:
            key = keys.setdefault(table.lower(), f"{'view' if table.lower() in views else 'table'} {table}")
            parts = objects.setdefault(key, {"partial": True, **({"mentions": True} if marked == "mentions" else {})})
            parts.setdefault(_PARTS[kind], {})[name] = sql
            if marked == "named" and "partial" in parts:
                parts.setdefault("named", []).append(name)
    return objects


def _rows(connection: sqlite3.Connection, query: str, parameters: tuple[str, ...] = ()) -> list[_Row]:
    found: list[_Row] = connection.execute(query, parameters).fetchall()
    return [row for row in found if not any(name.lower().startswith(_NOT_THE_USERS) for name in row[1:3])]
