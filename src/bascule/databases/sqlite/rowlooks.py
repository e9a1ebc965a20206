"""Looks at the rows of a SQLite database around a migration and around its rollback, in their transactions.

Where the whole file is small every table is looked at: nothing that a trigger or a cascade did can be missed. In a
larger one only the tables that the scripts name are. One connection writes at a time, so nobody writes in between.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence, Set
from typing import Any

from bascule.databases.sqlite.digests import read_digest
from bascule.databases.sqlite.preimages import followers, quietly
from bascule.databases.sqlite.tables import Table, quoted, read_tables
from bascule.domain.backup import TableDigest
from bascule.domain.rowlook import BOUND, ROOM, RowLook, RowWork
from bascule.ports.database import Job

TABLE = "bascule_preimage_rows"
"""The copies are called ``bascule_preimage_rows_<id>``."""
_MAKE = f"""CREATE TABLE IF NOT EXISTS main.{TABLE} (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  migration TEXT NOT NULL,
  run_id TEXT NOT NULL,
  name TEXT NOT NULL,
  key_columns TEXT NOT NULL DEFAULT '[]',
  columns TEXT NOT NULL DEFAULT '[]',
  before TEXT NOT NULL,
  after TEXT,
  copied INTEGER NOT NULL DEFAULT 0,
  same INTEGER,
  back TEXT,
  back_run TEXT
)"""
_COLUMNS = "id, name, key_columns, columns, before, after, copied, same, back, back_run"


class _Look:
    """A row of the table of looks."""

    __slots__ = ("after", "back", "back_run", "before", "columns", "copied", "id", "key", "name", "same")

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.id, self.name = row[0], row[1]
        self.key, self.columns = json.loads(row[2]), json.loads(row[3])
        self.before: dict[str, Any] = json.loads(row[4])
        self.after: dict[str, Any] | None = None if row[5] is None else json.loads(row[5])
        self.copied, self.same = bool(row[6]), row[7]
        self.back: dict[str, Any] | None = None if row[8] is None else json.loads(row[8])
        self.back_run = row[9]

    @property
    def store(self) -> str:
        return f"main.{quoted(f'{TABLE}_{self.id}')}"


def begin(connection: sqlite3.Connection, job: Job, work: RowWork) -> None:
    """In front of a job of a run."""
    if not work.first:
        _look_between(connection, job.migration)
        return
    connection.execute(_MAKE)
    if job.direction == "up":
        _before(connection, job, work)
    else:
        for look in _looks(connection, job.migration):
            same = _is_as_left(connection, look) and "foreign" not in look.before
            look.before.pop("step", None)
            connection.execute(
                f"UPDATE main.{TABLE} SET same = ?, before = ? WHERE id = ?",
                (same, json.dumps(look.before), look.id),
            )


def end(connection: sqlite3.Connection, job: Job, work: RowWork) -> None:
    """Behind a job of a run; behind the last one everything is put back."""
    if not _is_there(connection):
        return
    if not work.last:
        _leave_between(connection, job.migration)
        return
    if job.direction == "up":
        _after(connection, job, work)
        return
    found = _looks(connection, job.migration)
    alone = all(look.same and "foreign" not in look.before for look in found)
    for look in found:
        if not (look.back or {}).get("whole"):
            _ended(connection, job, look, alone=alone)


def looks(connection: sqlite3.Connection, migration: str) -> list[RowLook]:
    """What is known after a rollback."""
    if not _is_there(connection):
        return []
    return [_told(look) for look in _looks(connection, migration) if "made" not in look.before]


def expire(connection: sqlite3.Connection, seconds: float) -> None:
    """Throw away what is older."""
    if not _is_there(connection):
        return
    old = f"at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{-seconds:+.3f} seconds')"
    for number, back in connection.execute(f"SELECT id, back FROM main.{TABLE} WHERE {old}").fetchall():
        connection.execute(f"DROP TABLE IF EXISTS main.{quoted(f'{TABLE}_{number}')}")
        connection.execute(f"UPDATE main.{TABLE} SET copied = 0 WHERE id = ?", (number,))
        if back is not None:
            connection.execute(f"DELETE FROM main.{TABLE} WHERE id = ?", (number,))


def _leave_between(connection: sqlite3.Connection, migration: str) -> None:
    """Between two transactions of one script: how it leaves the rows, which others may write to until it goes on, after
    hours where it stops half way.
    """
    tables = _tables(connection)
    for look in _looks(connection, migration):
        table = tables.get(look.name.lower())
        if table is None or table.virtual or "sums" not in look.before:
            look.before.pop("step", None)
        else:
            look.before["step"] = _digest(connection, table, table.columns, table.key)
        connection.execute(f"UPDATE main.{TABLE} SET before = ? WHERE id = ?", (json.dumps(look.before), look.id))


def _look_between(connection: sqlite3.Connection, migration: str) -> None:
    """What others wrote meanwhile is theirs, and must not be taken for the script's own."""
    if not _is_there(connection):
        return
    tables = _tables(connection)
    for look in _looks(connection, migration):
        left = look.before.get("step")
        if left is None:
            continue
        table = tables.get(look.name.lower())
        if table is None or _digest(connection, table, table.columns, table.key) != left:
            look.before["foreign"] = True
            connection.execute(f"UPDATE main.{TABLE} SET before = ? WHERE id = ?", (json.dumps(look.before), look.id))


def _plain(before: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in before.items() if name not in ("step", "foreign")}


def _before(connection: sqlite3.Connection, job: Job, work: RowWork) -> None:
    earlier = connection.execute(
        f"SELECT id FROM main.{TABLE} WHERE migration = ? AND run_id <> ?", (job.migration, job.run_id)
    ).fetchall()
    for (number,) in earlier:
        connection.execute(f"DROP TABLE IF EXISTS main.{quoted(f'{TABLE}_{number}')}")
        connection.execute(f"DELETE FROM main.{TABLE} WHERE id = ?", (number,))
    size = _size(connection)
    named = {name: copying for _, name, copying in work.tables}
    tables = _tables(connection)
    # Code and triggers may write to any of them.
    wide = work.code or any(_has_triggers(tables, name) for name in named)
    for name, table in tables.items():
        if table.virtual or (name not in named and size > ROOM):
            continue
        told: dict[str, Any] = {"why": f"the database's {size >> 20} MiB are more than is read for such a look"}
        if size <= BOUND:
            told = _digest(connection, table, table.columns, table.key)
        copied = size <= ROOM and (named.get(name) == "copy" or (wide and name not in named))
        (number,) = connection.execute(
            f"INSERT INTO main.{TABLE} (migration, run_id, name, key_columns, columns, before, copied) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                job.migration,
                job.run_id,
                table.name,
                json.dumps(table.key),
                json.dumps(table.columns),
                json.dumps(told),
                copied,
            ),
        ).fetchone()
        if copied:
            _copy(connection, table, f"main.{quoted(f'{TABLE}_{number}')}")
    if size > ROOM and wide:
        why = json.dumps({"why": "the database is too large to look at every table that code or triggers may write to"})
        connection.execute(
            f"INSERT INTO main.{TABLE} (migration, run_id, name, before) VALUES (?, ?, '', ?)",
            (job.migration, job.run_id, why),
        )


def _after(connection: sqlite3.Connection, job: Job, work: RowWork) -> None:
    tables = _tables(connection)
    known = {look.name.lower() for look in _looks(connection, job.migration)}
    named = {name for _, name, _ in work.tables}
    small = _size(connection) <= BOUND
    for name in tables.keys() - known if small and work.carries else ():
        # What is made here may take rows that the way back carries elsewhere.
        connection.execute(
            f"INSERT INTO main.{TABLE} (migration, run_id, name, before) VALUES (?, ?, ?, '{{\"made\": true}}')",
            (job.migration, job.run_id, tables[name].name),
        )
    for look in _looks(connection, job.migration):
        table = tables.get(look.name.lower())
        if table is not None and not table.virtual and "why" not in look.before:
            left = _digest(connection, table, table.columns, table.key)
            connection.execute(f"UPDATE main.{TABLE} SET after = ? WHERE id = ?", (json.dumps(left), look.id))
            if look.copied and left == _plain(look.before) and look.name.lower() not in named:
                # Copied only because it might have been written to.
                connection.execute(f"DROP TABLE {look.store}")
                connection.execute(f"UPDATE main.{TABLE} SET copied = 0 WHERE id = ?", (look.id,))


def _copy(connection: sqlite3.Connection, table: Table, store: str) -> None:
    names = [quoted(name) for name in table.columns]
    rowid = f"{table.rowid} AS bascule_rowid, " if table.rowid and not table.key else ""
    connection.execute(f"CREATE TABLE {store} AS SELECT {rowid}{', '.join(names)} FROM main.{quoted(table.name)}")


def _has_triggers(tables: dict[str, Table], name: str) -> bool:
    found = tables.get(name)
    return found is not None and any("trigger" in sql[:30].lower() for sql in found.made_after)


def _is_as_left(connection: sqlite3.Connection, look: _Look) -> bool:
    """Nobody has written to the table since the migration did, or since a rollback has left it to be mended."""
    if look.back is not None:
        left = {name: look.back.get(name) for name in ("rows", "sums")}
        if "sums" not in look.back:
            return bool(look.same)
        told = _compared(connection, look)
        return bool(look.same) and left == {name: told.get(name) for name in left}
    table = _tables(connection).get(look.name.lower())
    if table is None:
        return look.after is None and "sums" in look.before
    return look.after is not None and _digest(connection, table, table.columns, table.key) == look.after


def as_left(connection: sqlite3.Connection, migration: str) -> frozenset[str]:
    """Tables in which there is exactly what the last rollback has left there."""
    if not _is_there(connection):
        return frozenset()
    looks = [look for look in _looks(connection, migration) if look.back is not None and "sums" in look.back]
    return frozenset(
        quoted(look.name)
        for look in looks
        if look.back is not None
        and {name: look.back.get(name) for name in ("rows", "sums")}
        == {name: _compared(connection, look).get(name) for name in ("rows", "sums")}
    )


def not_as_before(connection: sqlite3.Connection, migration: str, names: Set[str]) -> list[str]:
    """Of these tables, those that do not hold what was seen in them in front of that migration."""
    return [
        look.name
        for look in (_looks(connection, migration) if _is_there(connection) else ())
        if "sums" in look.before
        and not names.isdisjoint({look.name, quoted(look.name)})
        and not _compared(connection, look)["whole"]
    ]


def _ended(connection: sqlite3.Connection, job: Job, look: _Look, *, alone: bool) -> None:
    same = bool(look.same) and "foreign" not in look.before
    told: dict[str, Any] = {}
    if "sums" in look.before:
        told = _compared(connection, look)
        if same and alone and look.copied and not told["whole"]:
            told |= _mended(connection, look)
    told["alone"] = same and alone
    connection.execute(
        f"UPDATE main.{TABLE} SET back = ?, back_run = ?, same = ? WHERE id = ?",
        (json.dumps(told), job.run_id, same, look.id),
    )


def _compared(connection: sqlite3.Connection, look: _Look) -> dict[str, Any]:
    table = _tables(connection).get(look.name.lower())
    if table is None:
        return {"whole": False, "rows": 0}
    there = {name.lower() for name in table.columns}
    if not all(name.lower() in there for name in look.key):
        return {"whole": False, "columns": look.key}
    told = _digest(connection, table, [name for name in look.columns if name.lower() in there], look.key)
    differing = [name for name, found in look.before["sums"].items() if told["sums"].get(name) != found]
    return told | {"columns": differing, "whole": not differing and told["rows"] == look.before["rows"]}


def _mended(connection: sqlite3.Connection, look: _Look) -> dict[str, Any]:
    """Make the table as its copy is. Answers what came of it."""
    others = followers(connection, look.name) if connection.execute("PRAGMA foreign_keys").fetchone()[0] else []
    if others:
        return {"failed": f"rows of {', '.join(others)} follow what happens to it"}
    connection.execute("SAVEPOINT bascule_rows")
    try:
        bring_back = quietly(connection, look.name)
        done = _as_the_copy(connection, look)
        bring_back()
    except (sqlite3.IntegrityError, sqlite3.OperationalError) as exc:
        connection.execute("ROLLBACK TO bascule_rows")
        connection.execute("RELEASE bascule_rows")
        return {"failed": str(exc)}
    connection.execute("RELEASE bascule_rows")
    return _compared(connection, look) | {"mended": done}


def _as_the_copy(connection: sqlite3.Connection, look: _Look) -> list[int]:
    table = f"main.{quoted(look.name)}"
    columns = ", ".join(map(quoted, look.columns))
    if not look.key:
        taken = connection.execute(f"DELETE FROM {table}").rowcount
        given = connection.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {look.store} ORDER BY rowid"
        ).rowcount
        return [taken, given]
    alike = " AND ".join(f"t.{quoted(name)} IS s.{quoted(name)}" for name in look.columns)
    exactly = " AND ".join(f"typeof(t.{quoted(name)}) = typeof(s.{quoted(name)})" for name in look.columns)
    # Rows that differ go and come again: a unique index may not meet two of them half way.
    taken = connection.execute(
        f"DELETE FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM {look.store} AS s WHERE {alike} AND {exactly})"
    ).rowcount
    same = " AND ".join(f"t.{quoted(name)} IS s.{quoted(name)}" for name in look.key)
    given = connection.execute(
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {look.store} AS s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same})"
    ).rowcount
    return [taken, given]


def _digest(connection: sqlite3.Connection, table: Table, columns: Sequence[str], key: Sequence[str]) -> dict[str, Any]:
    """Rows without a key are put in an order by their values, which says nothing of the order they were written in."""
    looked = Table(
        name=table.name,
        sql=table.sql,
        virtual=False,
        columns=tuple(columns),
        rowid=None,
        key=tuple(key or columns),
        made_after=(),
    )
    found: TableDigest = read_digest(connection, looked)
    return {"rows": found.rows, "sums": dict(found.columns)}


def _looks(connection: sqlite3.Connection, migration: str) -> list[_Look]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM main.{TABLE} WHERE migration = ? ORDER BY id", (migration,))
    return [_Look(row) for row in rows.fetchall()]


def _told(look: _Look) -> RowLook:
    back = look.back or {}
    before, after = look.before, look.after or {}
    inserted = max(0, after["rows"] - before["rows"]) if "rows" in before and "rows" in after else 0
    known, left = before.get("sums"), after.get("sums")
    # A table that is gone, and columns that are, are the pre-images' matter.
    untouched = known is not None and all(known.get(name, found) == found for name, found in (left or {}).items())
    changed = 0 if untouched else 1
    mended = back.get("mended")
    return RowLook(
        table=quoted(look.name) if look.name else "any table",
        name=look.name,
        why=before.get("why"),
        inserted=inserted,
        changed=changed,
        undisturbed=None if look.same is None else bool(look.same),
        alone=bool(back.get("alone")),
        whole=back.get("whole"),
        rows=(before["rows"], back["rows"]) if "rows" in before and "rows" in back else None,
        columns=tuple(back.get("columns", ())),
        mended=None if mended is None else f"{mended[0]} taken away, {mended[1]} put back",
        failed=back.get("failed"),
        back_run=look.back_run,
    )


def _tables(connection: sqlite3.Connection) -> dict[str, Table]:
    return {name.lower(): table for name, table in read_tables(connection).items()}


def _size(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA main.page_count").fetchone()
    (page,) = connection.execute("PRAGMA main.page_size").fetchone()
    return int(pages * page)


def _is_there(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (TABLE,)).fetchone() is not None
