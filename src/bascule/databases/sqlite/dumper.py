"""The `Dumper` of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bascule.backups.encryption import encryption_of
from bascule.databases.sqlite.copies import sweep_copies
from bascule.databases.sqlite.digests import read_digest
from bascule.databases.sqlite.dump import dump
from bascule.databases.sqlite.errors import is_busy
from bascule.databases.sqlite.location import Location, locate
from bascule.databases.sqlite.opening import open_database
from bascule.databases.sqlite.restore import Source, digests_of, export, made_since, restore, restore_to, verify
from bascule.databases.sqlite.tables import chosen, read_tables
from bascule.domain.backup import TableDigest
from bascule.domain.statement import Dialect
from bascule.errors import LockNotAvailable, MigrationFailed, TargetUnreachable
from bascule.ports.backup_store import BackupStore
from bascule.ports.dump import Beside, Dumped, DumpRequest, Guard, Keys, Restored, Stored, Verified, Watch

_PATIENCE = 10.0


class SqliteDumper:
    """A `bascule.ports.dump.Dumper` of the file at a path or ``sqlite:///`` address."""

    dialect: Dialect = "sqlite"
    proves_by_bytes = True

    def __init__(self, path_or_url: str) -> None:
        self._location = locate(path_or_url)

    def sizes(self, tables: Sequence[str] | None = None) -> Mapping[str, int]:
        """As the port: the file's size, shared out evenly among the tables, where SQLite does not tell."""
        with self._told(), self._open() as connection:
            there = read_tables(connection)
            found = chosen(there, tables, where=str(self._location.path))
            try:
                return {
                    name: connection.execute(
                        "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN "
                        "(SELECT name FROM main.sqlite_master WHERE tbl_name = ?)",
                        (name,),
                    ).fetchone()[0]
                    for name in found
                }
            except sqlite3.OperationalError:
                whole = self._location.path.stat().st_size
                return {name: whole // len(there) for name in found}

    def dump(
        self, request: DumpRequest, *, store: BackupStore, encryption: Keys | None, watch: Watch | None = None
    ) -> Dumped:
        """As the port."""
        with self._told():
            self._open().close()
            return dump(self._location, request, store=store, encryption=encryption_of(encryption), watch=watch)

    def verify(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> Verified:
        """As the port."""
        with self._told():
            return verify(self._location, Source(backup), tables=tables, watch=watch)

    def restore(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        guard: Guard | None = None,
        watch: Watch | None = None,
    ) -> Restored:
        """As the port. Tables that were made since are kept beside those of the backup."""
        with self._told():
            source = Source(backup)
            return restore(self._location, source, tables=tables, guard=guard, watch=watch)

    def made_since(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        words: frozenset[str] | None = None,
    ) -> Sequence[str]:
        """As the port."""
        with self._told():
            return made_since(self._location, Source(backup), tables=tables, words=words)

    def restore_beside(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> Sequence[Beside]:
        """As the port: tables ``bascule_beside_…``."""
        from bascule.databases.sqlite.beside import restore_beside

        with self._told():
            source = Source(backup)
            return restore_beside(self._location, source, tables=tables, watch=watch)

    def restore_to(
        self,
        backup: Stored,
        name: str,
        *,
        watch: Watch | None = None,
    ) -> Restored:
        """As the port: a new file at that path or address."""
        with self._told():
            return restore_to(locate(name).path, Source(backup), watch=watch)

    def export(
        self,
        backup: Stored,
        *,
        write: Callable[[bytes], object],
    ) -> None:
        """As the port, for the program sqlite3."""
        with self._told():
            export(Source(backup), self._location.path, write)

    def digests(self, tables: Sequence[str] | None = None) -> Mapping[str, TableDigest]:
        """As the port."""
        with self._told(), self._open() as connection:
            connection.execute("BEGIN")
            found = chosen(read_tables(connection), tables, where=str(self._location.path))
            return {name: read_digest(connection, table) for name, table in found.items() if not table.virtual}

    def digests_of(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
    ) -> Mapping[str, TableDigest]:
        """As the port: of all tables, whichever are asked for."""
        if any(digest.columns for digest in backup.manifest.digests.values()):
            return backup.manifest.digests
        with self._told():
            return digests_of(self._location, Source(backup))

    def sweep(self) -> Sequence[str]:
        """As the port: folders named ``.NAME.bascule-copy-…`` beside the database."""
        return sweep_copies(self._location.path)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _open(self) -> _Closing:
        found = open_database(self._location, read_only=True, wait=_PATIENCE, on_progress=None, every=0)
        if found is None:
            raise TargetUnreachable(f"There is no database at {self._location.path}.", hint="Check the path.")
        return _Closing(found)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's and the system's errors as ours."""
        try:
            yield
        except sqlite3.Error as exc:
            if is_busy(exc):
                raise LockNotAvailable(
                    f"{self._location.path} is in use, for longer than {_PATIENCE:.0f} seconds.",
                    hint="Nothing was changed. Run again in a moment.",
                ) from exc
            raise _failed(self._location, str(exc)) from exc
        except OSError as exc:
            raise _failed(self._location, exc.strerror or str(exc)) from exc


class _Closing:
    """A connection that is closed at the end of the block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def close(self) -> None:
        """At once."""
        self._connection.close()


def _failed(location: Location, words: str) -> MigrationFailed:
    return MigrationFailed(
        f"{location.path}: {words}.",
        code="dump_failed",
        hint="Nothing was changed. A backup needs as much room beside the database as that takes itself.",
    )
