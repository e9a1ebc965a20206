"""The file beside the database: who holds the lease, and the journal of facts.

It is a SQLite database of its own in WAL mode with synchronous NORMAL, so that a fact costs no wait for the disk; a
fact that must outlive a power loss is written with synchronous FULL. After a power loss the ledger in the database
decides, not this file.

Every fact carries the identity of the database it is about. Where a database was deleted and begun again, the file
goes on with the new one; the old one's facts stay in it and are no longer answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bascule.databases.sqlite.blockers import is_stopped, started
from bascule.databases.sqlite.errors import is_busy
from bascule.databases.sqlite.filelock import FileKey, is_locked, key_of, users
from bascule.databases.sqlite.layout import LAYOUT, refuse_newer
from bascule.databases.sqlite.location import sqlite_uri
from bascule.databases.sqlite.opening import allows, create_file
from bascule.databases.sqlite.waiting import until_free
from bascule.domain.history import Fact, Holder
from bascule.errors import Refused
from bascule.state.tables import RARE, RARE_SQL

if TYPE_CHECKING:
    from bascule.domain.metrics import Tally

WAIT = 5.0
"""Seconds for the file's own lock, which nobody holds longer than it takes to write a fact."""

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

_TABLES = (
    "CREATE TABLE IF NOT EXISTS bascule_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS bascule_journal (
  number INTEGER PRIMARY KEY,
  identity TEXT NOT NULL,
  kind TEXT NOT NULL,
  run_id TEXT NOT NULL,
  migration TEXT NOT NULL,
  direction TEXT NOT NULL,
  step INTEGER,
  at TEXT NOT NULL,
  data TEXT NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS bascule_holder (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  token INTEGER NOT NULL,
  owner TEXT NOT NULL,
  run TEXT NOT NULL,
  since TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started TEXT NOT NULL,
  released INTEGER NOT NULL
)""",
)
_APPEND = (
    "INSERT INTO bascule_journal (identity, kind, run_id, migration, direction, step, at, data) "
    f"VALUES (?, ?, ?, ?, ?, ?, {NOW}, ?)"
)


class Sidecar:
    """The open file. Make one with `open_sidecar`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, key: FileKey, identity: str | None) -> None:
        self.path = path
        self.identity = identity
        """Of the database it belongs to; None while it is only being made."""
        self._connection = connection
        self._key = key
        self._rare = False
        """The index of the rare kinds of facts is there, as far as anybody has looked."""

    def is_current(self) -> bool:
        """The file that has the name now is the one that is open."""
        return key_of(self.path) == self._key

    def settle(self, identity: str, *, because: str, unless_empty: bool) -> None:
        """Make the tables, and give the file to the database of this identity. The caller holds that database's
        write lock, so that only one process does so at a time. `because` is kept as a fact; with `unless_empty` only
        where there are facts already.
        """
        connection = self._connection
        # A fact is a few hundred bytes, and each one writes a page.
        connection.execute("PRAGMA page_size = 1024")
        # Python's own busy wait does not cover the change to WAL: it needs the file for a moment all to itself.
        until_free(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone(), seconds=WAIT, path=self.path)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in _TABLES:
                connection.execute(table)
            words = {"layout": str(LAYOUT), "identity": identity}
            connection.executemany("INSERT OR REPLACE INTO bascule_meta VALUES (?, ?)", words.items())
            self.identity = identity
            (empty,) = connection.execute("SELECT NOT EXISTS (SELECT 1 FROM bascule_journal)").fetchone()
            if not (empty and unless_empty):
                fact = Fact(kind="repaired", run_id="", migration="", data={"what": "sidecar", "words": because})
                connection.execute(_APPEND, self._row(fact))
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise

    def append(self, facts: Sequence[Fact], *, durable: bool) -> None:
        """Write facts; when `durable` they survive a power loss from here on. Raises sqlite3.Error."""
        if durable:
            self._connection.execute("PRAGMA synchronous = FULL")
        try:
            if len(facts) == 1:
                self._connection.execute(_APPEND, self._row(facts[0]))
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(_APPEND, map(self._row, facts))
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise
        finally:
            if durable:
                self._connection.execute("PRAGMA synchronous = NORMAL")

    def journal(
        self, *, migration: str | None, run_id: str | None, limit: int | None, kinds: Sequence[str], after: int
    ) -> list[Fact]:
        """Facts about the file's database, oldest first. Raises sqlite3.Error."""
        conditions, values = ["identity = ?"], [self.identity]
        if after:
            conditions.append(f"number > {int(after)}")
        for column, wanted in (("migration", migration), ("run_id", run_id)):
            if wanted is not None:
                conditions.append(f"{column} = ?")
                values.append(wanted)
        if kinds:
            conditions.append(f"kind IN ({', '.join('?' * len(kinds))})")
            values.extend(kinds)
        table = "bascule_journal"
        if kinds and set(kinds) <= set(RARE) and self._knows_the_rare():
            # SQLite sees that an index of some rows will do only by the very words that the index was made with.
            conditions.append(RARE_SQL)
            table += " INDEXED BY bascule_journal_rare"
        rows = self._connection.execute(
            f"SELECT number, kind, run_id, migration, direction, step, at, data FROM {table} "
            f"WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT {-1 if limit is None else int(limit)}",
            values,
        ).fetchall()
        return [_fact(row) for row in reversed(rows)]

    def _knows_the_rare(self) -> bool:
        if not self._rare:
            self._rare = bool(self.ask("SELECT 1 FROM sqlite_master WHERE name = 'bascule_journal_rare'"))
        return self._rare

    def tally(self, *, after: int, upto: int | None) -> list[Tally]:
        """As `Target.tally`. Raises sqlite3.Error."""
        from bascule.domain.metrics import COUNTED, Tally

        where, values = (
            "identity = ? AND number > ? AND number <= ?",
            (self.identity, after, 2**62 if upto is None else upto),
        )
        kinds = ", ".join("?" * len(COUNTED))
        rows = self._connection.execute(
            f"""SELECT substr(at, 1, 10), kind, direction, '', count(*), coalesce(sum(json_extract(data, '$.ms')), 0),
  count(json_extract(data, '$.ms')), max(at)
FROM bascule_journal WHERE {where} AND kind IN ({kinds}) GROUP BY 1, 2, 3
UNION ALL
SELECT substr(at, 1, 10), kind, direction, rule.value, count(*), 0, 0, max(at)
FROM bascule_journal, json_each(data, '$.rules') AS rule
WHERE {where} AND kind = 'validation_failed' GROUP BY 1, 2, 3, 4""",
            (*values, *COUNTED, *values),
        ).fetchall()
        return [
            Tally(
                day=day,
                kind=kind,
                direction=direction,
                rule=str(rule),
                count=count,
                ms=int(ms),
                timed=timed,
                last=datetime.fromisoformat(last),
            )
            for day, kind, direction, rule, count, ms, timed, last in rows
        ]

    def newest(self, *, older_than: float) -> int:
        """As `Target.newest_fact`. Raises sqlite3.Error."""
        before = datetime.now(UTC) - timedelta(seconds=older_than) if older_than else datetime.max.replace(tzinfo=UTC)
        row = self._connection.execute(
            "SELECT number FROM bascule_journal WHERE identity = ? AND at < ? ORDER BY number DESC LIMIT 1",
            (self.identity, before.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
        ).fetchone()
        return int(row[0]) if row else 0

    def holder(self, *, ttl: float) -> Holder | None:
        """Who has the lease by the file's own words, whether or not that process is still there; None after a clean
        release.

        The lease of a living process does not run out; `expires_at` is `ttl` seconds from now, as if it had just
        been renewed.
        """
        row = self._connection.execute(
            "SELECT token, owner, run, since, pid, started FROM bascule_holder WHERE NOT released"
        ).fetchone()
        if row is None:
            return None
        token, owner, run, since, pid, begun = row
        frozen = ", stopped by a signal" if begun and begun == started(pid) and is_stopped(pid) else ""
        return Holder(
            owner=owner,
            run=run,
            since=datetime.fromisoformat(since),
            expires_at=datetime.now(UTC) + timedelta(seconds=ttl),
            token=token,
            backend=f"pid {pid}{frozen}",
        )

    def is_owner_alive(self) -> bool:
        """The process that has the lease by the file's own words can be seen. False says little: it may be in another
        container.
        """
        row = self._connection.execute("SELECT pid, started FROM bascule_holder WHERE NOT released").fetchone()
        return row is not None and row[1] != "" and row[1] == started(row[0])

    def last_token(self) -> int:
        """The highest token given out so far."""
        row = self._connection.execute("SELECT token FROM bascule_holder").fetchone()
        return int(row[0]) if row else 0

    def write_holder(self, *, token: int, owner: str, run: str) -> None:
        """The lease is ours. Raises sqlite3.Error."""
        pid = os.getpid()
        self._connection.execute(
            f"INSERT OR REPLACE INTO bascule_holder VALUES (1, ?, ?, ?, {NOW}, ?, ?, 0)",
            (token, owner, run, pid, started(pid)),
        )

    def write_released(self, token: int) -> None:
        """We gave it back. Raises sqlite3.Error."""
        self._connection.execute("UPDATE bascule_holder SET released = 1 WHERE token = ?", (token,))

    def is_locked(self) -> bool:
        """A process has the lease. Takes nothing."""
        return is_locked(self.path)

    # The state store, which has a connection of its own (`bascule.databases.sqlite.state`)

    def has_state(self) -> bool:
        """The tables of the state store are there. Raises sqlite3.Error."""
        return bool(self.ask("SELECT 1 FROM sqlite_master WHERE name = 'bascule_note'"))

    def make_state(self, tables: Sequence[str]) -> None:
        """Make them. Raises sqlite3.Error."""
        with self.writing():
            for table in tables:
                self._connection.execute(table)

    def ask(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """One statement and its rows. Raises sqlite3.Error."""
        return self._connection.execute(sql, tuple(values)).fetchall()

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[None]:
        """A transaction; once it has ended it survives a power loss, where it is `durable`. Raises sqlite3.Error."""
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def close(self) -> None:
        """Give everything back."""
        self._connection.close()
        users.leave(self._key)

    def _row(self, fact: Fact) -> tuple[object, ...]:
        data = json.dumps(fact.data) if fact.data else "{}"
        return (self.identity, fact.kind, fact.run_id, fact.migration, fact.direction, fact.step, data)


def open_sidecar(path: Path) -> Sidecar | None:
    """The file as it is; None when there is none.

    Raises:
        Refused: it is of a newer layout, or not a sidecar at all (code ``sidecar_broken``).
        OSError: it may not be looked at.
        sqlite3.Error: it may not be read, or is locked.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        # Following a link here would let whoever can write the folder choose what we write.
        raise _broken(path, "is not a regular file")
    key = (status.st_dev, status.st_ino)
    users.enter(key)
    try:
        connection = _connect(path)
    except BaseException:
        users.leave(key)
        raise
    try:
        identity = _read_identity(path, connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        return Sidecar(path, connection, key, identity)
    except BaseException:
        connection.close()
        users.leave(key)
        raise


def create_sidecar(path: Path, *, like: os.stat_result) -> Sidecar:
    """The file, made where it was not there. Raises as `open_sidecar`."""
    create_file(path, like=like)
    sidecar = open_sidecar(path)
    if sidecar is None:
        raise FileNotFoundError(f"{path} was deleted as soon as it was made")
    return sidecar


def _connect(path: Path) -> sqlite3.Connection:
    uri = sqlite_uri(path, "rw")
    if not allows(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        # Without the right to make the -shm file SQLite reads a WAL database only when told that nobody writes it.
        uri += "&immutable=1"
    return sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False)


def _read_identity(path: Path, connection: sqlite3.Connection) -> str | None:
    try:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'bascule_meta'").fetchone() is None:
            return None
        meta = dict(connection.execute("SELECT key, value FROM bascule_meta").fetchall())
    except sqlite3.DatabaseError as exc:
        if is_busy(exc) or isinstance(exc, sqlite3.OperationalError):
            raise
        raise _broken(path, f"cannot be read ({exc})") from exc
    if "layout" in meta:
        refuse_newer(meta["layout"], what=str(path))
    return meta.get("identity")


def _fact(row: tuple[Any, ...]) -> Fact:
    number, kind, run_id, migration, direction, step, at, data = row
    return Fact(
        number=number,
        kind=kind,
        run_id=run_id,
        migration=migration,
        direction=direction,
        step=step,
        at=datetime.fromisoformat(at),
        data=json.loads(data),
    )


def _broken(path: Path, what: str) -> Refused:
    return Refused(
        f"{path} should be Bascule's sidecar file, but {what}.",
        code="sidecar_broken",
        hint="Move it away; a new one is made. Only the history of runs is in it: which migrations are "
        "applied stands in the database.",
        details={"path": str(path)},
    )
