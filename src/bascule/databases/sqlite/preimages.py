"""What migrations destroy, kept in tables of Bascule's own beside the application's, in the migration's transaction.

A store ``bascule_preimage_<id>`` has a key (k1, k2…), old values (o1, o2…), and for statements that overwrite also what
they wrote (n1, n2…), none with a type, so that each value stays what it is. One connection writes at a time, so what is
copied inside the transaction is what is destroyed in it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bascule.domain.preimage import BUDGET, Assessed, Keep, PreImage
from bascule.domain.rowlook import RowLook
from bascule.ports.database import Job

_TABLE = """CREATE TABLE main.bascule_preimage (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  migration TEXT NOT NULL,
  run_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  kind TEXT NOT NULL,
  words TEXT NOT NULL,
  name TEXT NOT NULL,
  key_columns TEXT NOT NULL,
  columns TEXT NOT NULL,
  sequence INTEGER,
  store TEXT,
  rows INTEGER,
  why TEXT,
  tried TEXT,
  back TEXT,
  back_run TEXT
)"""
_COLUMNS = (
    "id, migration, run_id, ordinal, kind, words, name, key_columns, columns, sequence, store, rows, why, back, tried"
)
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_SAMPLE = 1000

Row = tuple[Any, ...]


class _Kept:
    """A row of the table of pre-images."""

    __slots__ = ("columns", "id", "key", "kind", "name", "ordinal", "rows", "sequence", "store", "tried")

    def __init__(self, row: Row) -> None:
        self.id, _, _, self.ordinal, self.kind, _, self.name, key, columns, self.sequence, self.store, self.rows = row[
            :12
        ]
        self.key: list[str] = json.loads(key)
        self.columns: list[str] = json.loads(columns)
        self.tried: dict[str, Any] | None = json.loads(row[14]) if row[14] is not None else None


# In a job


def before(connection: sqlite3.Connection, job: Job) -> None:
    """In front of all statements."""
    if job.preimages is not None and job.preimages.rows is not None:
        from bascule.databases.sqlite import rowlooks

        rowlooks.begin(connection, job, job.preimages.rows)
    if job.preimages is not None and job.preimages.look:
        for kept in _stores(connection, job.migration):
            if kept.kind in ("update", "rebuilt"):
                _look(connection, kept)


def before_statement(connection: sqlite3.Connection, job: Job, index: int) -> None:
    """In front of one statement of the job."""
    for keep in job.preimages.keeps if job.preimages is not None else ():
        if keep.index == index:
            _keep(connection, job, keep)


def after_statement(connection: sqlite3.Connection, job: Job, index: int) -> None:
    """Behind one statement of the job."""
    work = job.preimages
    if work is None:
        return
    for ordinal in {keep.ordinal for keep in work.keeps if keep.index == index and keep.kind in ("update", "delete")}:
        for kept in _stores(connection, job.migration):
            if kept.ordinal == ordinal and kept.kind in ("update", "delete"):
                _after(connection, kept)
    if index in work.tries:
        put_back(connection, job, final=False)


def after(connection: sqlite3.Connection, job: Job) -> None:
    """Behind all statements."""
    if job.preimages is not None and job.preimages.put_back:
        put_back(connection, job, final=True)
    if job.preimages is not None and job.preimages.rows is not None:
        from bascule.databases.sqlite import rowlooks

        rowlooks.end(connection, job, job.preimages.rows)


def put_back(connection: sqlite3.Connection, job: Job, *, final: bool) -> None:
    """Put back what is kept of the migration. `final`: what came of it is written down."""
    if job.preimages is None or not _is_there(connection):
        return
    for kept in reversed(_stores(connection, job.migration)):
        if not final and kept.kind != "columns" and not (kept.kind == "table" and job.preimages.tables):
            continue
        connection.execute("SAVEPOINT bascule_preimage")
        try:
            told = kept.tried if kept.tried is not None else _back(connection, kept)
        except (sqlite3.IntegrityError, sqlite3.OperationalError) as exc:
            connection.execute("ROLLBACK TO bascule_preimage")
            told = {"failed": str(exc)}
        connection.execute("RELEASE bascule_preimage")
        if not final and kept.kind == "table" and "failed" not in told:
            # The rows are there: what the down script does to them from here on is its author's will.
            connection.execute("UPDATE main.bascule_preimage SET tried = ? WHERE id = ?", (json.dumps(told), kept.id))
        if final:
            store = kept.store
            if "failed" not in told:
                connection.execute(f"DROP TABLE main.{_quoted(kept.store)}")
                store = None
            connection.execute(
                "UPDATE main.bascule_preimage SET back = ?, back_run = ?, store = ? WHERE id = ?",
                (json.dumps(told), job.run_id, store, kept.id),
            )
    if final:
        connection.execute(
            "UPDATE main.bascule_preimage SET back = '{}', back_run = ? WHERE migration = ? AND back IS NULL",
            (job.run_id, job.migration),
        )


# Keeping


def _keep(connection: sqlite3.Connection, job: Job, keep: Keep) -> None:
    name = _real_name(connection, keep)
    if name is None and keep.why is None:
        return
    if not _is_there(connection):
        connection.execute(_TABLE)
    _forget_earlier(connection, job)
    why = _doubt(connection, keep, name)
    key = _key(connection, name) if name is not None else []
    columns = _columns(connection, name) if name is not None else []
    if keep.kind == "columns":
        columns = [each for each in columns if each.lower() in keep.columns]
    elif keep.kind in ("update", "rebuilt"):
        columns = [each for each in columns if each not in key]
    if why is None and not columns:
        return
    values = (job.migration, job.run_id, keep.ordinal, keep.kind, keep.words, name or keep.name)
    sequence = _sequence(connection, name) if keep.kind == "table" and name is not None else None
    (number,) = connection.execute(
        "INSERT INTO main.bascule_preimage "
        "(at, migration, run_id, ordinal, kind, words, name, key_columns, columns, sequence, why) "
        f"VALUES ({_NOW}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (*values, json.dumps(key), json.dumps(columns), sequence, why),
    ).fetchone()
    if why is not None or name is None:
        return
    if connection.execute(f"SELECT 1 FROM main.{_quoted(name)} LIMIT 1").fetchone() is None:
        connection.execute("UPDATE main.bascule_preimage SET rows = 0 WHERE id = ?", (number,))
        return
    store = f"bascule_preimage_{number}"
    keyed = [] if keep.kind == "table" else key
    names = ["same", *_numbered("k", keyed), *_numbered("o", columns)]
    written = _numbered("n", columns) if keep.kind == "update" else []
    connection.execute(f"CREATE TABLE main.{store} ({', '.join((*names, *written))})")
    copied = connection.execute(
        f"INSERT INTO main.{store} ({', '.join(names)}) "
        f"SELECT {', '.join(('1', *_listed('t', (*keyed, *columns))))} FROM main.{_quoted(name)} AS t"
    ).rowcount
    connection.execute("UPDATE main.bascule_preimage SET store = ?, rows = ? WHERE id = ?", (store, copied, number))


def _after(connection: sqlite3.Connection, kept: _Kept) -> None:
    """What the statement wrote, and only the rows that it did change."""
    table, store = f"main.{_quoted(kept.name)}", f"main.{_quoted(kept.store)}"
    same = _same_key(kept.key)
    if kept.kind == "delete":
        gone = connection.execute(f"DELETE FROM {store} AS s WHERE EXISTS (SELECT 1 FROM {table} AS t WHERE {same})")
    else:
        news = ", ".join(f"n{number} = t.{_quoted(name)}" for number, name in enumerate(kept.columns, 1))
        connection.execute(f"UPDATE {store} AS s SET {news} FROM {table} AS t WHERE {same}")
        alike = " AND ".join(_equal(f"o{number}", f"n{number}") for number in range(1, len(kept.columns) + 1))
        gone = connection.execute(f"DELETE FROM {store} WHERE {alike}")
    connection.execute("UPDATE main.bascule_preimage SET rows = rows - ? WHERE id = ?", (gone.rowcount, kept.id))


def _forget_earlier(connection: sqlite3.Connection, job: Job) -> None:
    """What an earlier run kept belongs to a state that is no more."""
    earlier = connection.execute(
        "SELECT id, store FROM main.bascule_preimage WHERE migration = ? AND run_id <> ?", (job.migration, job.run_id)
    ).fetchall()
    for number, store in earlier:
        if store is not None:
            connection.execute(f"DROP TABLE IF EXISTS main.{_quoted(store)}")
        connection.execute("DELETE FROM main.bascule_preimage WHERE id = ?", (number,))


def _doubt(connection: sqlite3.Connection, keep: Keep, name: str | None) -> str | None:
    """Why it cannot be kept, in words."""
    if keep.why is not None or name is None:
        return keep.why
    (sql,) = connection.execute(
        "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?", (name,)
    ).fetchone()
    if sql.lower().startswith("create virtual"):
        return f"{name} is a virtual table"
    key = _key(connection, name)
    if keep.kind != "table" and not key:
        return f"{name} has no key by which its rows could be found again"
    if keep.kind == "columns" and any(each.lower() in keep.columns for each in key):
        return f"the key of {name} itself is changed"
    if keep.kind in ("delete", "table") and connection.execute("PRAGMA foreign_keys").fetchone()[0]:
        others = followers(connection, name)
        if others:
            return f"rows of {', '.join(others)} that refer to it change along with it"
    size = _size(connection, name)
    if size > BUDGET:
        return f"{size >> 20} MiB are more than the {BUDGET >> 20} MiB that may be kept beside the tables"
    return None


def followers(connection: sqlite3.Connection, name: str) -> list[str]:
    """Other tables whose rows change along with those of this one."""
    rows = connection.execute(
        "SELECT DISTINCT m.name FROM main.sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f "
        "WHERE m.type = 'table' AND lower(f.\"table\") = lower(?1) AND lower(m.name) <> lower(?1) "
        "AND f.on_delete NOT IN ('NO ACTION', 'RESTRICT')",
        (name,),
    )
    return [row[0] for row in rows.fetchall()]


def _size(connection: sqlite3.Connection, name: str) -> int:
    """Bytes of the table's values: of the whole file where that is small enough to be no question, else by a sample."""
    (pages,) = connection.execute("PRAGMA main.page_count").fetchone()
    (page,) = connection.execute("PRAGMA main.page_size").fetchone()
    if pages * page <= BUDGET:
        return int(pages * page)
    lengths = " + ".join(
        f"coalesce(length(CAST({each} AS BLOB)), 0) + 2" for each in _listed("t", _columns(connection, name))
    )
    sample = f"SELECT {lengths} AS size FROM main.{_quoted(name)} AS t LIMIT {_SAMPLE}"
    (average,) = connection.execute(f"SELECT coalesce(avg(size), 0) FROM ({sample})").fetchone()
    (rows,) = connection.execute(f"SELECT count(*) FROM main.{_quoted(name)}").fetchone()
    return int(average * rows)


# Going back


def _look(connection: sqlite3.Connection, kept: _Kept) -> None:
    """Which values are still as the migration wrote them; of a table made anew, which columns it lost."""
    there = _by_lower(_columns(connection, kept.name))
    if kept.kind == "rebuilt":
        # What the new table has too was carried over by the script, and is carried back by its way back.
        lost = [each if each.lower() not in there else "" for each in kept.columns]
        connection.execute("UPDATE main.bascule_preimage SET columns = ? WHERE id = ?", (json.dumps(lost), kept.id))
        return
    if not all(each.lower() in there for each in (*kept.key, *kept.columns)):
        return
    alike = " AND ".join(_equal(f"t.{_quoted(name)}", f"s.n{number}") for number, name in enumerate(kept.columns, 1))
    connection.execute(
        f"UPDATE main.{_quoted(kept.store)} AS s SET same = 0 FROM main.{_quoted(kept.name)} AS t "
        f"WHERE {_same_key(kept.key)} AND NOT ({alike})"
    )


def _back(connection: sqlite3.Connection, kept: _Kept) -> dict[str, Any]:
    """One store. Answers what `PreImage.back` says. Raises sqlite3.Error."""
    numbers = [number for number, name in enumerate(kept.columns, 1) if name]
    names = [kept.columns[number - 1] for number in numbers]
    there = _by_lower(_columns(connection, kept.name))
    if not there:
        return {"failed": f"{kept.name} is not there"}
    missing = [each for each in (*kept.key, *names) if each.lower() not in there]
    if missing:
        return {"failed": f"column {', '.join(missing)} of {kept.name} is not there"}
    if not names:
        return {"rows": 0}
    with_triggers_off = quietly(connection, kept.name)
    try:
        if kept.kind in ("table", "delete"):
            return _insert(connection, kept, names, numbers)
        return _update(connection, kept, names, numbers)
    finally:
        with_triggers_off()


def _insert(connection: sqlite3.Connection, kept: _Kept, names: list[str], numbers: list[int]) -> dict[str, Any]:
    table, store = f"main.{_quoted(kept.name)}", f"main.{_quoted(kept.store)}"
    listed = ", ".join(f"o{each}" for each in numbers)
    (newer,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() if kept.kind == "table" else (0,)
    done = connection.execute(
        f"INSERT INTO {table} ({', '.join(map(_quoted, names))}) SELECT {listed} FROM {store} AS s WHERE true "
        "ON CONFLICT DO NOTHING"
    ).rowcount
    # A number is not given out twice: it may have come further since.
    if (
        kept.sequence is not None
        and _has_sequences(connection)
        and (_sequence(connection, kept.name) or 0) < kept.sequence
    ):
        connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (kept.name,))
        connection.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (kept.name, kept.sequence))
    return {"rows": done, "changed": kept.rows - done, "newer": newer}


def _update(connection: sqlite3.Connection, kept: _Kept, names: list[str], numbers: list[int]) -> dict[str, Any]:
    table, store = f"main.{_quoted(kept.name)}", f"main.{_quoted(kept.store)}"
    same = _same_key(kept.key)
    done, changed = connection.execute(
        f"SELECT coalesce(sum(s.same), 0), coalesce(sum(1 - s.same), 0) FROM {table} AS t JOIN {store} AS s ON {same}"
    ).fetchone()
    alike = " AND ".join(
        _equal(f"t.{_quoted(name)}", f"s.o{number}") for name, number in zip(names, numbers, strict=True)
    )
    olds = ", ".join(f"{_quoted(name)} = s.o{number}" for name, number in zip(names, numbers, strict=True))
    connection.execute(f"UPDATE {table} AS t SET {olds} FROM {store} AS s WHERE s.same AND {same} AND NOT ({alike})")
    (right,) = connection.execute(
        f"SELECT count(*) FROM {table} AS t JOIN {store} AS s ON {same} WHERE s.same AND {alike}"
    ).fetchone()
    if right < done:
        # The column takes another type of values than it did.
        raise sqlite3.IntegrityError(f"{done - right} of {done} values do not fit into {kept.name} as it is now")
    told = {"rows": done, "changed": changed, "gone": kept.rows - done - changed}
    if kept.kind in ("columns", "rebuilt"):
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        told["newer"] = rows - done
    return told


def quietly(connection: sqlite3.Connection, name: str) -> Callable[[], None]:
    """Take the table's triggers away: they must not touch rows for our sake. Answers what brings them back as they
    were.
    """
    triggers = connection.execute(
        "SELECT name, sql FROM main.sqlite_master "
        "WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY rowid",
        (name,),
    ).fetchall()
    for trigger, _ in triggers:
        connection.execute(f"DROP TRIGGER main.{_quoted(trigger)}")

    def bring_back() -> None:
        for _, sql in triggers:
            connection.execute(sql)

    return bring_back


# Looking


class SqlitePreImages:
    """Looks at what is kept. The target lends its ways to read and to write."""

    def __init__(
        self,
        read: Callable[[Callable[[sqlite3.Connection], Any]], Any],
        write: Callable[[Callable[[sqlite3.Connection], Any]], Any],
    ) -> None:
        self._read = read
        self._write = write

    def assess(self, keeps: Sequence[Keep]) -> Sequence[Assessed]:
        """What would come of these."""

        def look(connection: sqlite3.Connection) -> list[Assessed]:
            return [_assessed(connection, keep) for keep in keeps]

        found: list[Assessed] = self._read(look) if keeps else []
        return found

    def kept(self, migration: str | None = None) -> Sequence[PreImage]:
        """What is kept, or was put back."""

        def look(connection: sqlite3.Connection) -> list[PreImage]:
            if not _is_there(connection):
                return []
            rows = connection.execute(
                f"SELECT {_COLUMNS}, back_run FROM main.bascule_preimage "
                "WHERE ?1 IS NULL OR migration = ?1 ORDER BY id",
                (migration,),
            )
            return [_preimage(row) for row in rows.fetchall()]

        found: list[PreImage] = self._read(look)
        return found

    def looks(self, migration: str) -> Sequence[RowLook]:
        """What was seen of the rows."""
        from bascule.databases.sqlite import rowlooks

        found: list[RowLook] = self._read(lambda connection: rowlooks.looks(connection, migration))
        return found

    def as_left(self, migration: str) -> frozenset[str]:
        """Where nobody has written since the last rollback."""
        from bascule.databases.sqlite import rowlooks

        found: frozenset[str] = self._read(lambda connection: rowlooks.as_left(connection, migration))
        return found

    def expire(self, seconds: float) -> int:
        """Throw away what is older."""
        from bascule.databases.sqlite import rowlooks

        def throw(connection: sqlite3.Connection) -> int:
            old = f"at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{-seconds:+.3f} seconds')"
            stores = []
            if _is_there(connection):
                stores = connection.execute(f"SELECT id, store FROM main.bascule_preimage WHERE {old}").fetchall()
            for number, store in stores:
                if store is not None:
                    connection.execute(f"DROP TABLE IF EXISTS main.{_quoted(store)}")
                    why = "coalesce(why, 'it was kept until its time was over')"
                    connection.execute(
                        f"UPDATE main.bascule_preimage SET store = NULL, why = {why} WHERE id = ?", (number,)
                    )
                connection.execute("DELETE FROM main.bascule_preimage WHERE id = ? AND back IS NOT NULL", (number,))
            rowlooks.expire(connection, seconds)
            return sum(store is not None for _, store in stores)

        return int(self._write(throw)) if self._read(_is_any_there) else 0


def _assessed(connection: sqlite3.Connection, keep: Keep) -> Assessed:
    name = _real_name(connection, keep)
    if name is None:
        return Assessed(keep=keep, there=False, why=keep.why)
    why = _doubt(connection, keep, name)
    (rows,) = connection.execute(f"SELECT count(*) FROM main.{_quoted(name)}").fetchone()
    return Assessed(keep=keep, there=True, why=why, rows=rows, bytes=_size(connection, name))


def _preimage(row: Row) -> PreImage:
    _, migration, run_id, ordinal, kind, words, name, _, columns, _, store, rows, why, back, _, back_run = row
    return PreImage(
        migration=migration,
        run_id=run_id,
        ordinal=ordinal,
        kind=kind,
        words=words,
        relation=_quoted(name) if name else "",
        name=name,
        columns=tuple(each for each in json.loads(columns) if each),
        rows=rows,
        why=why,
        kept=store is not None,
        back=json.loads(back) if back is not None else None,
        back_run=back_run,
    )


# The catalog


def _is_any_there(connection: sqlite3.Connection) -> bool:
    found = connection.execute(
        "SELECT 1 FROM main.sqlite_master WHERE name IN ('bascule_preimage', 'bascule_preimage_rows')"
    ).fetchone()
    return found is not None


def _is_there(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'bascule_preimage'").fetchone()
    return found is not None


def _stores(connection: sqlite3.Connection, migration: str) -> list[_Kept]:
    if not _is_there(connection):
        return []
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM main.bascule_preimage "
        "WHERE migration = ? AND store IS NOT NULL AND (back IS NULL OR back LIKE '%\"failed\":%') ORDER BY id",
        (migration,),
    )
    return [_Kept(row) for row in rows.fetchall()]


def _real_name(connection: sqlite3.Connection, keep: Keep) -> str | None:
    """The table's name as it is written in the catalog."""
    if keep.schema not in (None, "main") or not keep.name:
        return None
    row = connection.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", (keep.name,)
    ).fetchone()
    return None if row is None else str(row[0])


def _columns(connection: sqlite3.Connection, name: str) -> list[str]:
    """Those that can be written; empty where there is no such table."""
    rows = connection.execute(f"PRAGMA main.table_xinfo({_quoted(name)})").fetchall()
    return [row[1] for row in rows if row[6] == 0]


def _key(connection: sqlite3.Connection, name: str) -> list[str]:
    rows = connection.execute(f"PRAGMA main.table_info({_quoted(name)})").fetchall()
    primary = [row[1] for row in sorted((row for row in rows if row[5]), key=lambda row: row[5])]
    if primary:
        return primary
    required = {row[1] for row in rows if row[3]}
    for _, index, unique, _, partial in connection.execute(f"PRAGMA main.index_list({_quoted(name)})").fetchall():
        if unique and not partial:
            names = [row[2] for row in connection.execute(f"PRAGMA main.index_info({_quoted(index)})").fetchall()]
            if names and all(each in required for each in names):
                return names
    return []


def _has_sequences(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'sqlite_sequence'").fetchone() is not None


def _sequence(connection: sqlite3.Connection, name: str) -> int | None:
    if not _has_sequences(connection):
        return None
    row = connection.execute("SELECT seq FROM main.sqlite_sequence WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _by_lower(names: Iterable[str]) -> set[str]:
    return {each.lower() for each in names}


def _same_key(key: Sequence[str]) -> str:
    return " AND ".join(f"t.{_quoted(name)} IS s.k{number}" for number, name in enumerate(key, 1))


def _equal(one: str, other: str) -> str:
    return f"(typeof({one}) = typeof({other}) AND {one} IS {other} COLLATE BINARY)"


def _numbered(letter: str, names: Sequence[str]) -> list[str]:
    return [f"{letter}{number}" for number in range(1, len(names) + 1)]


def _listed(alias: str, names: Sequence[str]) -> list[str]:
    return [f"{alias}.{_quoted(name)}" for name in names]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
