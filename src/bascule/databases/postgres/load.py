"""Rows from the store into tables, and the statements around them."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from bascule.backups.bundle import Cutter
from bascule.backups.encryption import encryption_of
from bascule.backups.naming import stream_path
from bascule.backups.pipeline import read_stream, verify_stored
from bascule.databases.postgres.archive import Entry, stored_entries
from bascule.databases.postgres.copies import copied_in
from bascule.databases.postgres.dump import SCHEMA, SEQUENCES, name_of
from bascule.databases.postgres.dump_catalog import Column, Table
from bascule.databases.postgres.dump_task import SETTINGS
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.row_sums import RowSum
from bascule.domain.backup import Member, StreamRecord
from bascule.errors import MigrationFailed, Refused
from bascule.ports.dump import Stored, Watch

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
T = TypeVar("T")

_AT_ONCE = 100
"""Statements in a message."""
_AHEAD = 8
"""Pieces of 256 KiB that are decompressed while the server still works on those before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a table, or of a part of it, and where they are in the backup."""

    table: str
    rows: int | None
    plain_bytes: int
    plain_sha256: str
    data: Mapping[str, Any]
    stream: StreamRecord
    member: Member | None = None
    """Which of them, where the stream holds several tables."""


class Source:
    """A backup to restore from."""

    def __init__(self, backup: Stored) -> None:
        manifest = backup.manifest
        if manifest.dialect != "postgresql":
            raise Refused(
                f"The backup {manifest.id} is one of {manifest.dialect}.",
                code="backup_dialect",
                hint="Restore it into a database of that kind.",
            )
        self.manifest, self._store = manifest, backup.store
        self._encryption = encryption_of(backup.keys)
        self._verified: set[str] = set()

    def rows(self, tables: Collection[str] | None = None) -> list[Rows]:
        """What there is of these tables (None: of all), in the order in which it was stored."""
        return [
            each
            for stream in self.manifest.streams
            for each in _rows_in(stream)
            if tables is None or each.table in tables
        ]

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

    def verify(self, streams: Iterable[StreamRecord | Rows], watch: Watch | None = None) -> None:
        """Read them to their ends and compare them with their records. Raises as the pipeline does."""
        named = {stream.name: stream for stream in (_stream_of(each) for each in streams)}
        waiting = [stream for name, stream in named.items() if name not in self._verified]
        whole, done = sum(stream.stored_bytes for stream in waiting), 0
        for stream in waiting:
            verify_stored(self._store, self.path(stream), record=stream, others=self.manifest.streams)
            self._verified.add(stream.name)
            done += stream.stored_bytes
            if watch is not None:
                watch("reading the backup", done, whole)

    def pieces(self, stream: StreamRecord) -> Generator[bytes, None, None]:
        """The stream's bytes as they were dumped."""
        return read_stream(
            self._store,
            self.path(stream),
            record=stream,
            encryption=self._encryption,
            verified=stream.name in self._verified,
        )

    def reader(self) -> RowReader:
        """What reads rows. Of a stream that holds several tables it reads on where it is, so ask in their order."""
        return RowReader(self)

    def path(self, stream: StreamRecord) -> str:
        """Where it stands in the store."""
        return stream_path(self.manifest.id, stream.name, encrypted=self.manifest.encryption is not None)

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


class RowReader:
    """Rows out of the streams of a backup. Not safe to use from two threads at once; close it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: tuple[str, Cutter] | None = None

    def __enter__(self) -> RowReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pieces(self, rows: Rows) -> Generator[bytes, None, None]:
        """The rows as they were dumped, compared with the manifest on the way. Raises as the pipeline."""
        if rows.member is None:
            return self._source.pieces(rows.stream)
        return self._cutter(rows.stream, rows.member).rows_of(rows.member)

    def close(self) -> None:
        """Read no further."""
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def _cutter(self, stream: StreamRecord, member: Member) -> Cutter:
        if self._open is not None and self._open[0] == stream.name and self._open[1].position <= member.offset:
            return self._open[1]
        self.close()
        cutter = Cutter(self._source.pieces(stream), path=self._source.path(stream))
        self._open = (stream.name, cutter)
        return cutter


def by_stream(rows: Iterable[Rows]) -> list[list[Rows]]:
    """Those that are read in one go."""
    found: dict[str, list[Rows]] = {}
    for each in rows:
        found.setdefault(each.stream.name, []).append(each)
    return list(found.values())


def table_of(rows: Rows) -> Table:
    """The table as it was when its rows were dumped, as far as loading and digesting it needs."""
    return Table(
        oid=0,
        name=rows.table,
        kind="r",
        size=rows.plain_bytes,
        whole_size=rows.plain_bytes,
        parents=(),
        columns=tuple(Column(**column) for column in rows.data["columns"]),
        key=tuple(rows.data["key"]),
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
    together: Sequence[Rows],
    *,
    into: Mapping[str, str] | None = None,
    freeze: bool,
    sums: RowSum | None = None,
    loaded: Callable[[Rows, int], None],
) -> None:
    """Load what stands in one stream, and tell how many rows each table got. `into`: the place, where it is not the
    table's own; `sums` gets what went in. Raises psycopg.Error and what reading it raises.
    """
    places = [(into or {}).get(each.table, each.table) for each in together]
    statements = [_copy_statement(each, place, freeze=freeze) for each, place in zip(together, places, strict=True)]
    with source.reader() as reader:
        if together[0].member is None:
            (alone,) = together
            loaded(alone, copy_one(connection, reader, alone, into=places[0], freeze=freeze, sums=sums))
            return
        pieces = (_summed(reader.pieces(each), sums) for each in together)
        for each, count in zip(together, copied_in(connection, statements, pieces), strict=True):
            loaded(each, _all_of(each, count))


def copy_one(
    connection: Connection, reader: RowReader, rows: Rows, *, into: str, freeze: bool = True, sums: RowSum | None
) -> int:
    """Load one table, or a part of one; answers its rows. Raises as `copy_in`."""
    with connection.cursor() as cursor:
        with (
            cursor.copy(_copy_statement(rows, into, freeze=freeze)) as copy,
            _ahead(reader.pieces(rows), sums) as pieces,
        ):
            for piece in pieces:
                copy.write(piece)
        return _all_of(rows, cursor.rowcount)


def _all_of(rows: Rows, count: int) -> int:
    if rows.rows is not None and count != rows.rows:
        raise MigrationFailed(
            f"{rows.table}: {count} rows went in and {rows.rows} came out when the backup was taken.",
            code="restore_failed",
            hint="Something on the target swallows rows, a trigger for one.",
        )
    return count


def _copy_statement(rows: Rows, place: str, *, freeze: bool) -> str:
    columns = ", ".join(column["quoted"] for column in rows.data["columns"])
    return f"COPY {place}{f' ({columns})' if columns else ''} FROM STDIN{' WITH (FREEZE)' if freeze else ''}"


def _summed(pieces: Iterator[bytes], sums: RowSum | None) -> Iterator[bytes]:
    return pieces if sums is None else sums.through(pieces)


def run_all(connection: Connection, statements: Iterable[str]) -> None:
    """One after the other, many in a message. Outside of a transaction each message is one of its own, so that the
    locks of thousands of objects are not held at once. Raises psycopg.Error.
    """
    for message in batched(statements):
        connection.execute(";\n".join(message))


def batched(statements: Iterable[T]) -> Iterator[list[T]]:
    """Lists of what one message holds."""
    rest = iter(statements)
    while message := list(islice(rest, _AT_ONCE)):
        yield message


def make_all(connection: Connection, entries: Iterable[Entry], *, owners: Callable[[str], None] | None = None) -> None:
    """As `make` one after the other, many in a message. With `owners` the connection is outside of a transaction: a
    message that fails has then made nothing, and its entries are made one by one.

    Raises psycopg.Error.
    """
    import psycopg

    for message in batched(entries):
        singly = any(entry.kind == "DEFAULT ACL" for entry in message) or _gives_rights(connection)
        if not singly:
            try:
                connection.execute(";\n".join(text for entry in message for text in _statements(entry)))
                continue
            except psycopg.Error:
                if owners is None or connection.broken:
                    raise
        for entry in message:
            make(connection, entry, owners=owners)


def _statements(entry: Entry) -> Iterator[str]:
    if entry.sql:
        yield entry.sql
    if entry.kind != "ACL" and (owning := entry.owning()):
        yield owning


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
    run_all(
        connection, (_set_sequence(*each, only_forward=owned is not None and each[0] not in owned) for each in values)
    )


def _set_sequence(name: str, value: int, called: bool, *, only_forward: bool) -> str:
    forward = f" WHERE (SELECT last_value FROM {name}) < {value}" if only_forward else ""
    return (
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
    if not entry.drop.startswith("DROP ") or not _gives_rights(connection):
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


def _gives_rights(connection: Connection) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT FROM pg_catalog.pg_default_acl)").fetchone()
    return bool(row and row[0])


def _rows_in(stream: StreamRecord) -> Iterator[Rows]:
    if stream.kind == "rows":
        yield _rows_of(stream, stream, None)
    for member in stream.members:
        yield _rows_of(stream, member, member)


def _rows_of(stream: StreamRecord, what: StreamRecord | Member, member: Member | None) -> Rows:
    return Rows(
        table=what.table or "",
        rows=what.rows,
        plain_bytes=what.plain_bytes,
        plain_sha256=what.plain_sha256,
        data=what.data,
        stream=stream,
        member=member,
    )


def _stream_of(what: StreamRecord | Rows) -> StreamRecord:
    return what.stream if isinstance(what, Rows) else what


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
