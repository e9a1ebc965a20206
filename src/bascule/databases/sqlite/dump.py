"""A dump of SQLite: a database file of one moment, as one stream.

SQLite's backup API makes the copy, which is right in WAL mode too; of a few tables a new file is made. Bascule's own
tables are then taken out of it. Other connections go on reading all the time, and writing too where the database is in
WAL mode; in the other modes writers wait while the pages are copied (0.7 GB a second).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bascule.backups.encryption import Encryption
from bascule.backups.naming import stream_path
from bascule.backups.pipeline import store_stream
from bascule.databases.sqlite.copies import copy_beside
from bascule.databases.sqlite.digests import count_rows, read_digest
from bascule.databases.sqlite.location import Location, sqlite_uri
from bascule.databases.sqlite.opening import connect
from bascule.databases.sqlite.tables import Table, chosen, copy_table, quoted, read_tables
from bascule.domain.backup import StreamRecord, TableDigest
from bascule.errors import LockNotAvailable
from bascule.ports.backup_store import BackupStore
from bascule.ports.dump import Dumped, DumpRequest, Watch

STREAM = "database"
_PATIENCE = 10.0
"""Seconds to wait for a writer."""
_PIECE = 1 << 20
_STEP = 1024
"""Pages that a restore writes between two looks at the clock."""


def dump(
    location: Location,
    request: DumpRequest,
    *,
    store: BackupStore,
    encryption: Encryption | None,
    watch: Watch | None = None,
) -> Dumped:
    """As the port. Raises also sqlite3.Error, OSError."""
    hidden = _size(location.path, request.tables) if encryption is not None else None
    with copy_beside(location.path, hidden=hidden) as copy:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
        source = connect(location.path, mode="rw", wait=_PATIENCE)
        try:
            tables = chosen(read_tables(source), request.tables, where=str(location.path))
            wal = source.execute("PRAGMA main.journal_mode").fetchone()[0] == "wal"
            if request.tables is None:
                until = copy_whole(source, copy)
            else:
                until = _copy_tables(source, location.path, tables, copy)
        finally:
            source.close()
        held, digests, notes = _finish(copy, digests=request.digests)
        size = copy.stat().st_size
        path = stream_path(request.backup_id, STREAM, encrypted=encryption is not None)
        keys = encryption.public() if encryption else None
        stored = store_stream(store, path, _pieces(copy, watch), encryption=keys, level=request.level)
    record = StreamRecord(
        name=STREAM,
        kind="sqlite",
        plain_bytes=stored.plain_bytes,
        stored_bytes=stored.stored_bytes,
        sha256=stored.sha256,
        plain_sha256=stored.plain_sha256,
        data={"wal": wal, "size": size},
    )
    return Dumped(
        until=until,
        server=location.url,
        server_version=sqlite3.sqlite_version,
        database=location.path.name,
        scope="database" if request.tables is None else "tables",
        tables=tuple(held),
        streams=(record,),
        digests=digests,
        tools={"sqlite": sqlite3.sqlite_version},
        notes=tuple(notes),
    )


def _size(path: Path, names: Sequence[str] | None) -> int:
    """Bytes that the copy will take, about: those of the tables, where SQLite tells, else of the file."""
    whole = path.stat().st_size
    if names is None:
        return whole
    connection = connect(path, mode="rw", wait=_PATIENCE)
    try:
        tables = chosen(read_tables(connection), names, where=str(path))
        marks = ", ".join("?" for _ in tables)
        (found,) = connection.execute(
            "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN "
            f"(SELECT name FROM main.sqlite_master WHERE tbl_name IN ({marks}))",
            tuple(tables),
        ).fetchone()
        return min(whole, int(found) * 2)
    except sqlite3.OperationalError:
        return whole
    finally:
        connection.close()


def copy_whole(source: sqlite3.Connection, copy: Path) -> datetime:
    """Every page, of one moment, which is answered. Raises `LockNotAvailable`, sqlite3.Error."""
    until = datetime.now(UTC)
    with connect_copy(copy) as into:
        copy_pages(source, into, what="The database is being written")
    return until


def copy_pages(
    source: sqlite3.Connection, into: sqlite3.Connection, *, what: str, locked: Callable[[], None] | None = None
) -> None:
    """All at once: page by page, a writer in another process would make it begin anew each time. `locked` is called
    when nobody else can write to the target any more, before anything of it is overwritten; what it raises leaves the
    target as it is. The source is nobody else's then.
    """
    begun, first = time.monotonic(), True

    def still_waiting(status: int, _remaining: int, _total: int) -> None:
        nonlocal first
        if first and locked is not None and status == sqlite3.SQLITE_OK:
            first = False
            locked()
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() - begun > _PATIENCE:
            raise LockNotAvailable(
                f"{what}, for longer than {_PATIENCE:.0f} seconds.", hint="Nothing was changed. Run again in a moment."
            )

    pages = -1
    if locked is not None:
        # The first step takes the lock; it must not be the last one too, which commits.
        pages = max(1, min(_STEP, source.execute("PRAGMA main.page_count").fetchone()[0] // 2))
    source.backup(into, pages=pages, progress=still_waiting, sleep=0.02)


class connect_copy:  # noqa: N801 - used as a function
    """A connection to a copy that nobody else uses, and that is thrown away if anything goes wrong."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path, mode="rw", wait=0)
        self._connection.execute("PRAGMA synchronous = OFF")

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _copy_tables(source: sqlite3.Connection, path: Path, tables: dict[str, Table], copy: Path) -> datetime:
    page_size, encoding = (source.execute(f"PRAGMA main.{name}").fetchone()[0] for name in ("page_size", "encoding"))
    with connect_copy(copy) as into:
        into.execute(f"PRAGMA page_size = {page_size}")
        into.execute(f"PRAGMA encoding = '{encoding}'")
        into.execute("PRAGMA journal_mode = OFF").fetchone()
        into.execute(f"ATTACH {_literal(sqlite_uri(path, 'rw'))} AS source")
        until = datetime.now(UTC)
        into.execute("BEGIN")
        into.execute("SELECT count(*) FROM source.sqlite_master").fetchone()
        now = read_tables(into, "source")
        for name in tables:
            # What is copied is the table as it is at this moment; a moment ago it was seen to be there.
            copy_table(into, chosen(now, [quoted(name)], where=str(path))[name], source="source")
        into.execute("COMMIT")
        into.execute("DETACH source")
    return until


def _finish(copy: Path, *, digests: bool) -> tuple[list[str], dict[str, TableDigest], list[str]]:
    """Take Bascule's own out of the copy; answer its tables, their digests (or rows), and what there is to say."""
    with connect_copy(copy) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        ours = read_tables(connection, ours=True)
        if ours:
            connection.execute("PRAGMA journal_mode = OFF").fetchone()
            connection.execute("PRAGMA secure_delete = ON").fetchone()
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN")
            for name in ours:
                connection.execute(f"DROP TABLE main.{quoted(name)}")
            connection.execute("COMMIT")
        tables = read_tables(connection)
        looked = read_digest if digests else count_rows
        found = {name: looked(connection, table) for name, table in tables.items() if not table.virtual}
        virtual = [name for name, table in tables.items() if table.virtual]
    notes = [f"{name} is a virtual table: it is in the backup, and was not digested" for name in virtual]
    return list(tables), found, notes


def _pieces(path: Path, watch: Watch | None) -> Iterator[bytes]:
    whole, done = path.stat().st_size, 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece
            done += len(piece)
            if watch is not None:
                watch(path.name, done, whole)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
