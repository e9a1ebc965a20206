"""Putting a SQLite backup back: the file is made whole beside the database, then one transaction takes it over."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bascule.backups.encryption import encryption_of
from bascule.backups.naming import stream_path
from bascule.backups.pipeline import read_stream, verify_stored
from bascule.databases.sqlite.copies import copy_beside
from bascule.databases.sqlite.digests import count_rows, read_digest
from bascule.databases.sqlite.dump import STREAM, connect_copy, copy_pages
from bascule.databases.sqlite.errors import is_busy
from bascule.databases.sqlite.location import Location, sqlite_uri
from bascule.databases.sqlite.made_since import Again, gone_since, kept_since, told_since
from bascule.databases.sqlite.opening import connect, create_file
from bascule.databases.sqlite.rowlooks import not_as_before
from bascule.databases.sqlite.tables import (
    Table,
    chosen,
    copy_table,
    keep_ahead,
    quoted,
    read_counters,
    read_tables,
    read_views,
)
from bascule.domain.backup import StreamRecord, TableDigest
from bascule.errors import LockNotAvailable, MigrationFailed, Refused
from bascule.ports.dump import (
    Difference,
    Guard,
    Restored,
    Stored,
    Verified,
    Watch,
    newer_objects,
    written_before,
    written_meanwhile,
)

_PATIENCE = 10.0
"""Seconds to wait for other connections."""
_LOOKS = 5
"""How often a restore is begun anew because somebody wrote."""


class Source:
    """A backup to restore from."""

    def __init__(self, backup: Stored) -> None:
        manifest = backup.manifest
        if manifest.dialect != "sqlite":
            raise Refused(
                f"The backup {manifest.id} is one of {manifest.dialect}.",
                code="backup_dialect",
                hint="Restore it into a database of that kind.",
            )
        self.manifest, self._store = manifest, backup.store
        self._encryption = encryption_of(backup.keys)

    @property
    def record(self) -> StreamRecord:
        """Its one stream."""
        return self.manifest.stream(STREAM)

    def verify(self) -> None:
        """Read it to its end and compare. Raises as the pipeline does."""
        verify_stored(self._store, self._path, record=self.record, others=self.manifest.streams)

    @contextmanager
    def unpacked(
        self, beside: Path, watch: Watch | None = None, *, stays: bool = False, restoring: bool = False
    ) -> Iterator[Path]:
        """The database file, whole and looked at, in a folder of its own beside a path; that of an encrypted backup
        elsewhere, unless it is to stay there. `restoring`: its rows come to lie on that disk anyway. Raises as
        `verify`, `Refused` (``no_room_in_memory``), OSError.
        """
        self.verify()
        hidden = self.record.plain_bytes if self.manifest.encryption is not None and not stays else None
        with copy_beside(beside, hidden=hidden, only=not restoring) as copy:
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            done = 0
            with os.fdopen(handle, "wb") as file:
                pieces = read_stream(
                    self._store, self._path, record=self.record, encryption=self._encryption, verified=True
                )
                for piece in pieces:
                    file.write(piece)
                    done += len(piece)
                    if watch is not None:
                        watch(beside.name, done, self.record.plain_bytes)
            yield copy

    @property
    def _path(self) -> str:
        return stream_path(self.manifest.id, STREAM, encrypted=self.manifest.encryption is not None)


def verify(location: Location, source: Source, *, tables: Sequence[str] | None, watch: Watch | None = None) -> Verified:
    """Make the file, let SQLite look through it, and compare the digests."""
    begun = time.monotonic()
    differences, rows = [], 0
    expected = source.manifest.digests
    with source.unpacked(location.path, watch) as copy, connect_copy(copy) as connection:
        try:
            words = [row[0] for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
            found = chosen(read_tables(connection), tables, where="the backup")
            for name, table in found.items():
                if table.virtual:
                    continue
                before = expected.get(name)
                # The bytes of the file are those that were taken: without digests of then there is nothing to compare.
                columns = before is not None and bool(before.columns)
                digest = read_digest(connection, table) if columns else count_rows(connection, table)
                rows += digest.rows
                differences += [
                    Difference(table=name, column=column, words=said) for column, said in _differing(before, digest)
                ]
        except sqlite3.DatabaseError as exc:
            raise _failed(exc) from exc
    if words != ["ok"]:
        differences += [Difference(table="", column=None, words=word) for word in words]
    missing = set(source.manifest.tables) - set(found) if tables is None else set()
    differences += [Difference(table=name, column=None, words="is not there") for name in sorted(missing)]
    return Verified(
        tables=tuple(found),
        rows=rows,
        differences=tuple(differences),
        schema_proved=True,
        digests_compared=True,
        place="a file of its own",
        seconds=time.monotonic() - begun,
    )


def restore(
    location: Location,
    source: Source,
    *,
    tables: Sequence[str] | None,
    guard: Guard | None = None,
    watch: Watch | None = None,
) -> Restored:
    """In one transaction of the target's. Raises what the port says, and OSError."""
    begun = time.monotonic()
    whole = tables is None and source.manifest.scope == "database"
    guard = guard or Guard()
    for _ in range(_LOOKS):
        try:
            rows, notes, kept = _restored(location, source, tables, guard, watch, whole=whole)
        except _WrittenMeanwhile:
            continue
        seconds = time.monotonic() - begun
        return Restored(place=location.url, rows=rows, seconds=seconds, notes=tuple(notes), kept=tuple(kept))
    raise LockNotAvailable(
        f"{location.path} was written all the time while the restore was about to begin.",
        hint="Nothing was changed. Stop what writes to it, then run again.",
    )


def made_since(
    location: Location, source: Source, *, tables: Sequence[str] | None, words: frozenset[str] | None
) -> tuple[str, ...]:
    """As the port. Raises OSError."""
    if not location.path.exists():
        return ()
    with source.unpacked(location.path, restoring=tables is None) as copy, connect_copy(copy) as connection:
        connection.execute(f"ATTACH {_literal(sqlite_uri(location.path, 'rw'))} AS target")
        names = list(chosen(read_tables(connection), tables, where="the backup"))
        if words is None:
            return tuple(told_since(connection, names, then="main", now="target"))
        return tuple(gone_since(connection, names, words, then="main", now="target"))


def _restored(
    location: Location,
    source: Source,
    tables: Sequence[str] | None,
    guard: Guard,
    watch: Watch | None,
    *,
    whole: bool,
) -> _Done:
    """Once. Raises `_WrittenMeanwhile` where it is to be begun anew."""
    with source.unpacked(location.path, watch, restoring=tables is None) as copy:
        if not location.path.exists():
            create_file(location.path)
        target = connect(location.path, mode="rw", wait=_PATIENCE)
        try:
            if whole:
                return _restore_whole(target, location.path, copy, guard)
            return _restore_tables(target, copy, tables, guard)
        except sqlite3.Error as exc:
            if is_busy(exc):
                raise LockNotAvailable(
                    f"{location.path} is in use, for longer than {_PATIENCE:.0f} seconds.",
                    hint="Nothing was changed. Stop what uses it, then run again.",
                ) from exc
            raise _failed(exc) from exc
        finally:
            target.close()


def restore_to(path: Path, source: Source, *, watch: Watch | None = None) -> Restored:
    """As a new file, which gets its name when it is whole. Raises `Refused`, OSError."""
    begun = time.monotonic()
    if path.exists():
        raise _exists(path)
    with source.unpacked(path, watch, stays=True) as copy:
        with connect_copy(copy) as connection:
            rows = _counted(connection)
            if source.record.data.get("wal"):
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(copy, path)
        except FileExistsError as exc:
            raise _exists(path) from exc
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return Restored(place=f"sqlite:///{path}", rows=rows, seconds=time.monotonic() - begun)


def digests_of(location: Location, source: Source) -> dict[str, TableDigest]:
    """Of all its tables, but virtual ones. Raises as `Source.verify`, sqlite3.Error, OSError."""
    with source.unpacked(location.path) as copy, connect_copy(copy) as connection:
        tables = read_tables(connection)
        return {name: read_digest(connection, table) for name, table in tables.items() if not table.virtual}


def export(source: Source, beside: Path, write: Callable[[bytes], object]) -> None:
    """Write it as SQL for sqlite3. Raises as the pipeline."""
    from bascule.databases.sqlite.export import script

    with source.unpacked(beside) as copy, connect_copy(copy) as connection:
        for line in script(connection, source.manifest):
            write(line)


_Done = tuple[dict[str, int], list[str], list[tuple[str, str]]]
"""Rows, notes, and what was kept."""


class _WrittenMeanwhile(Exception):
    """Somebody has written to the target after what is not in the backup was taken over from it."""


def _restore_whole(target: sqlite3.Connection, path: Path, copy: Path, guard: Guard) -> _Done:
    """The pages of the file, after what is in the target and not of the backup was put into it as well."""
    with connect_copy(copy) as source, _Changes(target, path) as changes:
        rows = _counted(source)
        notes, kept = _carry_over(source, path, guard)

        def locked() -> None:
            if changes.seen():
                raise _WrittenMeanwhile

        # SQLite keeps the pages that it overwrites until the last one is written: killed before, it puts them back.
        copy_pages(source, target, what=f"{path} is in use", locked=locked)
    return rows, notes, kept


class _Changes:
    """Whether anybody has committed to a database since. It can be asked while this process holds its lock."""

    def __init__(self, target: sqlite3.Connection, path: Path) -> None:
        self._wal = target.execute("PRAGMA main.journal_mode").fetchone()[0] == "wal"
        # Closing any handle of a file gives up all locks that this process has on it: not in WAL mode, where a
        # connection at rest has one, and only when the target is closed.
        self._handle = -1 if self._wal else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._reader = connect(path, mode="rw", wait=_PATIENCE)
        self._target = target
        self._before = self._now()

    def __enter__(self) -> _Changes:
        return self

    def __exit__(self, *_: object) -> None:
        self._target.close()
        self._reader.close()
        if not self._wal:
            os.close(self._handle)

    def seen(self) -> bool:
        """Somebody has."""
        return self._now() != self._before

    def _now(self) -> bytes | int:
        if self._wal:
            found: int = self._reader.execute("PRAGMA main.data_version").fetchone()[0]
            return found
        # The change counter in the file's header: nobody may read by SQLite while the target is locked.
        return os.pread(self._handle, 4, 24)


def _carry_over(source: sqlite3.Connection, path: Path, guard: Guard) -> tuple[list[str], list[tuple[str, str]]]:
    source.execute("PRAGMA foreign_keys = OFF")
    source.execute(f"ATTACH {_literal(sqlite_uri(path, 'rw'))} AS target")
    source.execute("BEGIN")
    try:
        names = list(read_tables(source))
        again = _guarded(source, guard, names, then="main", now="target")
        notes, kept = _made_again(source, again)
        notes += _carry_tables(source)
        if guard.ahead:
            keep_ahead(source, read_counters(source, "target"))
        written_before(not_as_before(source, guard.proves_of, guard.proves), guard)
        for statement in guard.then:
            source.execute(statement)
        known = read_views(source)
        for name, statements in read_views(source, "target").items():
            if name not in known:
                for statement in statements:
                    source.execute(statement)
        source.execute("COMMIT")
    except sqlite3.OperationalError as exc:
        raise Refused(
            f"A table that was made since the backup stands in its way: {exc}.",
            code="restore_blocked",
            hint="Nothing was changed. Restore to another file, or rename or drop what SQLite names.",
        ) from exc
    finally:
        if source.in_transaction:
            source.execute("ROLLBACK")
        source.execute("DETACH target")
    return notes, kept


def _carry_tables(source: sqlite3.Connection) -> list[str]:
    notes = []
    there = read_tables(source) | read_tables(source, ours=True)
    for ours in (True, False):
        for name, table in read_tables(source, "target", ours=ours).items():
            if name in there or _is_shadow(name, there):
                continue
            if table.virtual:
                notes.append(f"{name} is a virtual table made since then: it was not kept")
                continue
            copy_table(source, table, source="target")
            if not ours:
                notes.append(f"{name} was made since then, and was kept")
    return notes


def _guarded(connection: sqlite3.Connection, guard: Guard, names: Sequence[str], *, then: str, now: str) -> Again:
    """What is to be made again, by table. Raises `Refused` where there is more to lose than somebody agreed to."""
    there = read_tables(connection, now)
    if guard.words is not None:
        gone = gone_since(connection, names, guard.words, then=then, now=now)
        if more := [each for each in gone if each not in guard.goes]:
            raise newer_objects(more)
    for name in names if guard.rows is not None else ():
        if name not in there or there[name].virtual:
            continue
        before, digest = (guard.rows or {}).get(name), read_digest(connection, there[name], schema=now)
        if digest != before and (digest.rows or before is not None):
            raise written_meanwhile(name)
    if guard.words is None:
        return {}
    return kept_since(connection, [name for name in names if name in there], guard.words, then=then, now=now)


def _made_again(connection: sqlite3.Connection, again: Again) -> tuple[list[str], list[tuple[str, str]]]:
    """Answers it as notes, and as `Restored.kept`."""
    notes, kept = [], []
    for name, parts in again.items():
        for kind, part, statements in parts:
            for statement in statements:
                connection.execute(statement)
            notes.append(f"{kind} {part} on {name} was made since then, and was kept")
            kept.append((f"table {name}", f"{kind} {part} "))
    return notes, kept


def _restore_tables(target: sqlite3.Connection, copy: Path, names: Sequence[str] | None, guard: Guard) -> _Done:
    target.execute("PRAGMA foreign_keys = OFF")
    target.execute("PRAGMA legacy_alter_table = ON")
    target.execute(f"ATTACH {_literal(sqlite_uri(copy, 'ro'))} AS backup")
    rows = {}
    tables = chosen(read_tables(target, "backup"), names, where="the backup")
    target.execute("BEGIN IMMEDIATE")
    try:
        now = read_tables(target)
        again = _guarded(target, guard, list(tables), then="backup", now="main")
        before = _violations(target)
        counters = read_counters(target) if guard.ahead else {}
        for name in tables:
            if name in now:
                target.execute(f"DROP TABLE main.{quoted(name)}")
        for name, table in tables.items():
            rows[name] = copy_table(target, table, source="backup")
        keep_ahead(target, counters)
        written_before(not_as_before(target, guard.proves_of, guard.proves), guard)
        notes, kept = _made_again(target, again)
        broken = _violations(target) - before
        notes += [f"rows of {child} refer to rows of {parent} that are not there" for child, parent in sorted(broken)]
        for statement in guard.then:
            target.execute(statement)
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise
    return rows, notes, kept


def _violations(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    try:
        return {(row[0], row[2]) for row in connection.execute("PRAGMA main.foreign_key_check").fetchall()}
    except sqlite3.OperationalError:
        return set()  # a parent has no such key: SQLite would refuse writes to the child, whoever restores what


def _counted(connection: sqlite3.Connection) -> dict[str, int]:
    return {
        name: connection.execute(f"SELECT count(*) FROM main.{quoted(name)}").fetchone()[0]
        for name, table in read_tables(connection).items()
        if not table.virtual
    }


def _differing(before: TableDigest | None, after: TableDigest) -> Iterator[tuple[str | None, str]]:
    if before is None:
        return
    if before.rows != after.rows:
        yield None, f"{after.rows} rows instead of {before.rows}"
        return
    for column, digest in before.columns.items():
        if after.columns.get(column) != digest:
            yield column, "has other values"


def _is_shadow(name: str, tables: Mapping[str, Table]) -> bool:
    """A table that a virtual one keeps its content in: it is made with that one."""
    return any(table.virtual and name.startswith(f"{other}_") for other, table in tables.items())


def _exists(path: Path) -> Refused:
    return Refused(
        f"There is a file {path} already.", code="database_exists", hint="Nothing was touched. Name another one."
    )


def _failed(exc: BaseException) -> MigrationFailed:
    return MigrationFailed(
        f"The backup could not be restored: {exc}.",
        code="restore_failed",
        hint="Nothing was changed: it was one transaction. Look at SQLite's words.",
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
