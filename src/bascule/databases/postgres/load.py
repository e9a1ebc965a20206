"""Rows from the store into tables, and the statements around them."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bascule.backups.encryption import Encryption
from bascule.backups.naming import stream_path
from bascule.backups.pipeline import read_stream, verify_stored
from bascule.databases.postgres.archive import Entry, stored_entries
from bascule.databases.postgres.dump import SCHEMA, SEQUENCES, name_of
from bascule.databases.postgres.dump_catalog import Column, Table
from bascule.databases.postgres.dump_task import SETTINGS
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.row_sums import RowSum
from bascule.domain.backup import Manifest, StreamRecord
from bascule.errors import MigrationFailed, Refused
from bascule.ports.backup_store import BackupStore
from bascule.ports.dump import Watch

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

RESTORE_SETTINGS: dict[str, str] = {
    **SETTINGS,
    "search_path": "",
    "check_function_bodies": "off",
    "default_tablespace": "",
    "default_table_access_method": "heap",
    "standard_conforming_strings": "on",
}
_AHEAD = 8
"""Pieces of 256 KiB that are decompressed while the server still works on those before them."""


class Source:
    """A backup to restore from."""

    def __init__(self, manifest: Manifest, *, store: BackupStore, encryption: Encryption | None) -> None:
        if manifest.dialect != "postgresql":
            raise Refused(
                f"The backup {manifest.id} is one of {manifest.dialect}.",
                code="backup_dialect",
                hint="Restore it into a database of that kind.",
            )
        self.manifest, self._store, self._encryption = manifest, store, encryption
        self._verified: set[str] = set()

    @property
    def streams(self) -> Sequence[StreamRecord]:
        """Those that hold rows."""
        return [stream for stream in self.manifest.streams if stream.kind == "rows"]

    def names(self, wanted: Sequence[str] | None) -> set[str]:
        """The tables of the backup by names as a person writes them, with their partitions and children.

        Raises `Refused` (``no_such_table``).
        """
        from bascule.databases.postgres.restore_plan import closed_tables

        if wanted is None:
            return set(self.manifest.tables)
        found = set()
        for name in wanted:
            fitting = [table for table in self.manifest.tables if name == table or table.endswith(f".{name}")]
            if name not in fitting and len(fitting) != 1:
                raise Refused(
                    f"{'There is no table' if not fitting else 'There are several tables'} {name} in the backup.",
                    code="no_such_table",
                    hint=f"It has {', '.join(fitting or self.manifest.tables[:20])}.",
                )
            found.add(name if name in fitting else fitting[0])
        return closed_tables(found, self.schema_data["parents"]) & set(self.manifest.tables)

    def verify(self, streams: Iterable[StreamRecord], watch: Watch | None = None) -> None:
        """Read them to their ends and compare them with their records. Raises as the pipeline does."""
        waiting = [stream for stream in streams if stream.name not in self._verified]
        whole, done = sum(stream.stored_bytes for stream in waiting), 0
        for stream in waiting:
            verify_stored(self._store, self._path(stream), record=stream, others=self.manifest.streams)
            self._verified.add(stream.name)
            done += stream.stored_bytes
            if watch is not None:
                watch("reading the backup", done, whole)

    def pieces(self, stream: StreamRecord) -> Generator[bytes, None, None]:
        """The stream's bytes as they were dumped."""
        return read_stream(
            self._store,
            self._path(stream),
            record=stream,
            encryption=self._encryption,
            verified=stream.name in self._verified,
        )

    def entries(self) -> tuple[Entry, ...]:
        """The schema."""
        return stored_entries(b"".join(self.pieces(self.manifest.stream(SCHEMA))))

    def sequences(self) -> list[tuple[str, int, bool]]:
        """Name, value, and whether it was given out."""
        content = b"".join(self.pieces(self.manifest.stream(SEQUENCES)))
        return [tuple(json.loads(line)) for line in content.splitlines()]

    @property
    def schema_data(self) -> Mapping[str, Any]:
        """What the dump noted about the schema. Raises `Refused` (``backup_key_missing``) while it is sealed."""
        data = self.manifest.stream(SCHEMA).data
        if not data:
            raise Refused(
                f"The backup {self.manifest.id} is encrypted, and its manifest was not opened. Nothing was touched.",
                code="backup_key_missing",
                hint="Give the key that it was encrypted to.",
            )
        return data

    def _path(self, stream: StreamRecord) -> str:
        return stream_path(self.manifest.id, stream.name, encrypted=self.manifest.encryption is not None)


def table_of(stream: StreamRecord) -> Table:
    """The table as it was when the stream was dumped, as far as loading and digesting it needs."""
    assert stream.table is not None, "rows are of a table"
    return Table(
        oid=0,
        name=stream.table,
        kind="r",
        size=stream.plain_bytes,
        whole_size=stream.plain_bytes,
        parents=(),
        columns=tuple(Column(**column) for column in stream.data["columns"]),
        key=tuple(stream.data["key"]),
        generated=False,
    )


def settings_for_session(connection: Connection) -> None:
    """The settings, for all that follows on this connection."""
    connection.execute(";".join(f"SET {name} = '{value}'" for name, value in RESTORE_SETTINGS.items()))


def look_for_names(connection: Connection, path: str | None, *, local: bool) -> None:
    """What the schema's statements name is qualified, so they need no path. Functions that compute columns, index
    entries and checks may have been written for the application's: they run when a table is made, and when rows come
    in.
    """
    connection.execute("SELECT pg_catalog.set_config('search_path', %s, %s)", (path or "", local))


def local_settings() -> str:
    """The settings, for one transaction."""
    return ";".join(f"SET LOCAL {name} = '{value}'" for name, value in RESTORE_SETTINGS.items())


def copy_in(
    connection: Connection,
    source: Source,
    stream: StreamRecord,
    *,
    into: str = "",
    freeze: bool,
    sums: RowSum | None = None,
) -> int:
    """Load one stream; answers its rows. `sums` gets what went in. Raises psycopg.Error and what reading it raises."""
    table = table_of(stream)
    columns = ", ".join(column.quoted for column in table.columns)
    how = " WITH (FREEZE)" if freeze else ""
    statement = f"COPY {into or table.name}{f' ({columns})' if columns else ''} FROM STDIN{how}"
    with connection.cursor() as cursor:
        with cursor.copy(statement) as rows, _ahead(source.pieces(stream), sums) as pieces:
            for piece in pieces:
                rows.write(piece)
        loaded = cursor.rowcount
    if stream.rows is not None and loaded != stream.rows:
        raise MigrationFailed(
            f"{table.name}: {loaded} rows went in and {stream.rows} came out when the backup was taken.",
            code="restore_failed",
            hint="Something on the target swallows rows, a trigger for one.",
        )
    return loaded


def make(connection: Connection, entry: Entry, *, owners: Callable[[str], None] | None = None) -> None:
    """Make what the entry says, with its owner. `owners` runs what gives owners and rights, where that may fail.

    Raises psycopg.Error.
    """
    if entry.kind == "ACL":
        (owners or connection.execute)(entry.sql)
        return
    if entry.sql:
        connection.execute(entry.sql)
    if entry.kind in ("TABLE", "SEQUENCE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "FUNCTION", "PROCEDURE"):
        _take_back_defaults(connection, entry)
    owning = entry.owning()
    if owning:
        (owners or connection.execute)(owning)


def set_sequences(connection: Connection, values: Iterable[tuple[str, int, bool]], *, owned: set[str] | None) -> None:
    """As they were. Those not in `owned` (None: all are) are other tables' too, and only ever go forward."""
    for name, value, called in values:
        forward = "" if owned is None or name in owned else f" WHERE (SELECT last_value FROM {name}) < {value}"
        connection.execute(
            f"SELECT pg_catalog.setval(c.oid, {value}, {str(called).lower()}) "
            f"FROM (SELECT pg_catalog.to_regclass({literal(name)}) AS oid) AS c{forward}"
        )


def owned_sequences(entries: Iterable[Entry], tables: set[str]) -> set[str]:
    """Sequences that are a part of these tables, by name as the server prints it."""
    return {name_of(entry) if not _is_identity(entry) else _identity_name(entry)
            for entry in entries if entry.kind == "SEQUENCE" and entry.table in tables}  # fmt: skip


def _is_identity(entry: Entry) -> bool:
    return entry.sql.lstrip().startswith("ALTER TABLE")


def _identity_name(entry: Entry) -> str:
    _, _, rest = entry.sql.partition("SEQUENCE NAME ")
    return rest.partition("\n")[0].strip()


def _take_back_defaults(connection: Connection, entry: Entry) -> None:
    """What ALTER DEFAULT PRIVILEGES gives to everything new. Rights in a dump are told from a state without it."""
    row = connection.execute("SELECT EXISTS (SELECT FROM pg_catalog.pg_default_acl)").fetchone()
    if row is None or not row[0] or not entry.drop.startswith("DROP "):
        return
    name = entry.drop.removeprefix("DROP ").removesuffix(";").removeprefix(entry.kind).strip()
    what = entry.kind if entry.kind in ("SEQUENCE", "FUNCTION", "PROCEDURE") else "TABLE"
    if entry.kind in ("FUNCTION", "PROCEDURE"):
        find, kind = f"SELECT proacl FROM pg_catalog.pg_proc WHERE oid = {literal(name)}::pg_catalog.regprocedure", "f"
    else:
        find, kind = f"SELECT relacl FROM pg_catalog.pg_class WHERE oid = {literal(name)}::pg_catalog.regclass", "r"
    rows = connection.execute(
        f"SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END "
        f"FROM pg_catalog.aclexplode(({find})) AS a LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee "
        f"WHERE a.grantee <> a.grantor AND NOT ('{kind}' = 'f' AND a.grantee = 0)"
    ).fetchall()
    for (grantee,) in rows:
        connection.execute(f"REVOKE ALL ON {what} {name} FROM {grantee}")


class _ahead:  # noqa: N801 - used as a function
    """The pieces, read in a thread that is a little ahead."""

    def __init__(self, pieces: Generator[bytes, None, None], sums: RowSum | None) -> None:
        self._pieces, self._sums = pieces, sums
        self._ready: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=_AHEAD)
        self._stopped = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Iterator[bytes]:
        self._thread.start()
        return self._given()

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _given(self) -> Iterator[bytes]:
        while (piece := self._ready.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def _read(self) -> None:
        try:
            for piece in self._pieces:
                if self._stopped:
                    return
                if self._sums is not None:
                    self._sums.add(piece)
                self._ready.put(piece)
            self._ready.put(None)
        except BaseException as exc:  # noqa: BLE001 - it is raised where the pieces are wanted
            self._ready.put(exc)
        finally:
            self._pieces.close()
