"""Databases made out of a backup: one that is compared and thrown away, or one that gets its name when it is whole.

Nobody reads it before it is whole, so rows and indexes come in on two connections at once. Where the role may make no
database, rows are proved in temporary tables of a transaction that is rolled back.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from bascule.databases.postgres.archive import Entry
from bascule.databases.postgres.digests import added, differing, read_digest, read_digests
from bascule.databases.postgres.dump import SCHEMA, SEQUENCES
from bascule.databases.postgres.dump_catalog import BLOCK
from bascule.databases.postgres.load import (
    Rows,
    Source,
    batched,
    by_stream,
    copy_in,
    copy_one,
    look_for_names,
    make_all,
    set_sequences,
    settings_for_session,
    table_of,
)
from bascule.databases.postgres.message import identifier, literal
from bascule.databases.postgres.restore_plan import INDEXES, RestorePlan, plan_anew
from bascule.databases.postgres.row_proof import (
    Psql,
    WentIn,
    all_bytes_out,
    bytes_out,
    coming_out,
    differences,
    grouped,
)
from bascule.databases.postgres.row_sums import RowSum
from bascule.databases.postgres.tool_access import Access
from bascule.domain.backup import TableDigest
from bascule.errors import MigrationFailed, Refused
from bascule.ports.dump import Difference, Restored, Verified, Watch

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

Comparison = Literal["columns", "rows", "count"]
"""With the digests of the manifest; with the bytes that were loaded; nothing but the numbers of rows."""

PREFIX = "bascule_scratch_"
"""Then the number of the database it was made from, and chance: eight hexadecimal digits each."""
_MADE_FROM = """SELECT pg_catalog.lpad(pg_catalog.to_hex(oid::bigint), 8, '0') FROM pg_catalog.pg_database
WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"""
_LEFT_BEHIND = """SELECT s.datname::text
FROM (SELECT datname, pg_catalog.substr(datname::text, %s, 8) AS origin
  FROM pg_catalog.pg_database WHERE datname::text OPERATOR(pg_catalog.~) %s) AS s
LEFT JOIN pg_catalog.pg_database AS d ON pg_catalog.lpad(pg_catalog.to_hex(d.oid::bigint), 8, '0') = s.origin
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  OR d.oid IS NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datname OPERATOR(pg_catalog.=) s.datname)"""
_LOCK = 7026
"""Any number: it keeps our advisory locks apart from those of others."""
_CONNECTIONS = 2
_TEMPORARY = "pg_temp.bascule_scratch"
_WORTH_HALVES = 64 << 20


def verify(
    access: Access,
    source: Source,
    *,
    major: int,
    tables: Sequence[str] | None,
    psql: str | None = None,
    watch: Watch | None = None,
) -> Verified:
    """Restore to a scratch database, or to temporary tables, and compare. `major`: the server's."""
    import psycopg

    begun = time.monotonic()
    wanted = source.names(tables)
    data = source.schema_data
    rows = source.rows(wanted)
    source.verify([source.manifest.stream(SCHEMA), source.manifest.stream(SEQUENCES), *rows], watch)
    comparison = _comparison(source, major)
    place, proved, why = "a database of its own", True, ""
    with access.connect() as connection:
        if _may_create(connection):
            try:
                with _scratch(access, connection, data["made_with"]) as name:
                    filled = _fill(access, name, source, rows, scratch=True, compare=comparison, psql=psql, watch=watch)
            except MigrationFailed as failed:
                if not isinstance(failed.__cause__, psycopg.errors.InsufficientPrivilege):
                    raise
                why = f"the role may not make all of the schema ({failed.__cause__.diag.message_primary})"
        else:
            why = "the role may make no database"
        if why:
            filled = _fill_temporary(access, source, rows, compare=comparison, watch=watch)
            place, proved = "temporary tables", False
            filled.notes.append(f"{why}: rows were proved, and the schema's script was not")
    found = filled.digests
    return Verified(
        tables=tuple(sorted(wanted)),
        rows=sum(digest.rows for digest in found.values()),
        differences=(*_differences(source, found, compared=comparison == "columns"), *filled.differences),
        schema_proved=proved,
        digests_compared=comparison != "count",
        place=place,
        seconds=time.monotonic() - begun,
        notes=tuple(filled.notes),
    )


def digests_in(access: Access, source: Source, tables: Sequence[str] | None) -> dict[str, TableDigest]:
    """Of the content of a backup, digested in temporary tables. Where its types are no longer there, the names of the
    columns are all that is told of a table.
    """
    wanted = source.names(tables)
    rows = source.rows(wanted)
    source.verify(rows)
    try:
        return _fill_temporary(access, source, rows, compare="columns", watch=None).digests
    except MigrationFailed:
        # Of one of them, perhaps; the others can still be told, each by itself.
        return dict(_digests_singly(access, source, grouped(rows)))


def _digests_singly(
    access: Access, source: Source, by_table: Mapping[str, Sequence[Rows]]
) -> Iterator[tuple[str, TableDigest]]:
    for name, parts in by_table.items():
        try:
            digest = _fill_temporary(access, source, parts, compare="columns", watch=None).digests[name]
        except MigrationFailed:
            count = sum(part.rows or 0 for part in parts)
            digest = TableDigest(rows=count, columns={each.name: "" for each in table_of(parts[0]).columns})
        yield name, digest


def _comparison(source: Source, major: int) -> Comparison:
    if not any(digest.columns for digest in source.manifest.digests.values()):
        return "rows"
    return "columns" if source.schema_data["major"] == major else "count"


def restore_to(access: Access, source: Source, name: str, *, watch: Watch | None = None) -> Restored:
    """Make a database of that name. Raises what the port says."""
    begun = time.monotonic()
    data = source.schema_data
    with access.connect() as connection:
        if connection.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone():
            raise Refused(
                f"There is a database {name} already.",
                code="database_exists",
                hint="Nothing was touched. Name another one.",
            )
        if not _may_create(connection):
            raise Refused(
                "The role may make no database.",
                code="no_rights",
                hint="Nothing was touched. Let an administrator ALTER ROLE … CREATEDB, or name a role that may.",
            )
        source.verify(source.manifest.streams, watch)
        with _scratch(access, connection, data["made_with"]) as scratch:
            filled = _fill(access, scratch, source, source.rows(), scratch=False, compare="count", watch=watch)
            connection.execute(f"ALTER DATABASE {identifier(scratch)} RENAME TO {identifier(name)}")
    return Restored(
        place=name,
        rows={table: digest.rows for table, digest in filled.digests.items()},
        seconds=time.monotonic() - begun,
        notes=tuple(filled.notes),
    )


@contextmanager
def empty_copy(access: Access, entries: Sequence[Entry], made_with: dict[str, Any], path: str) -> Iterator[str]:
    """A scratch database with this schema, for proving what made it. Raises `Refused`, psycopg.Error."""
    with access.connect() as connection:
        if not _may_create(connection):
            raise Refused("The role may make no database.", code="no_rights")
        with _scratch(access, connection, made_with) as name:
            with access.connect(database=name) as filled:
                settings_for_session(filled)
                look_for_names(filled, path, local=False)
                plan = plan_anew(entries, scratch=True)
                make_all(filled, (*plan.before, *plan.after))
            yield name


def sweep(access: Access) -> list[str]:
    """Drop scratch databases whose makers are gone: those made from this database, whose lock can be tried here (an
    advisory lock is known in its own database only), and those whose database is no longer there and that nobody uses.
    """
    found = []
    with access.connect() as connection:
        names = connection.execute(_LEFT_BEHIND, (len(PREFIX) + 1, f"^{PREFIX}[0-9a-f]{{16}}$")).fetchall()
        for (name,) in names:
            held = connection.execute(f"SELECT pg_catalog.pg_try_advisory_lock({_LOCK}, {_hashed(name)})").fetchone()
            if held is None or not held[0]:
                continue
            try:
                connection.execute(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
                found.append(name)
            finally:
                connection.execute(f"SELECT pg_catalog.pg_advisory_unlock({_LOCK}, {_hashed(name)})")
    return found


@contextmanager
def _scratch(access: Access, connection: Connection, made_with: dict[str, Any]) -> Iterator[str]:
    """A new database; dropped at the end unless it has got another name by then. The lock says that we live."""
    row = connection.execute(_MADE_FROM).fetchone()
    name = f"{PREFIX}{row[0] if row else ''}{secrets.token_hex(4)}"
    connection.execute(f"SELECT pg_catalog.pg_advisory_lock({_LOCK}, {_hashed(name)})")
    _create(connection, name, made_with)
    try:
        yield name
    finally:
        if not connection.closed:
            connection.execute(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")


def _create(connection: Connection, name: str, made_with: dict[str, Any]) -> None:
    import psycopg

    options = [f"TEMPLATE template0 ENCODING {literal(made_with['encoding'])}"]
    row = connection.execute("SELECT pg_catalog.current_setting('server_version_num')::int / 10000").fetchone()
    major = row[0] if row else 0
    options += [f"LC_COLLATE {literal(made_with['collate'])} LC_CTYPE {literal(made_with['ctype'])}"]
    if made_with["provider"] == "i" and major >= 15:
        options.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(made_with['locale'])}")
    elif made_with["provider"] == "b" and major >= 17:
        options.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(made_with['locale'])}")
    try:
        connection.execute(f"CREATE DATABASE {identifier(name)} {' '.join(options)}")
    except psycopg.Error as exc:
        raise MigrationFailed(
            f"No database could be made to restore to: {' '.join(str(exc).split())}.",
            code="restore_failed",
            hint="Nothing was touched. Where the server does not know the locale, install it there.",
        ) from exc


def _may_create(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT (rolcreatedb OR rolsuper) AND NOT pg_catalog.pg_is_in_recovery() "
        "FROM pg_catalog.pg_roles WHERE rolname = current_user"
    ).fetchone()
    return bool(row and row[0])


@dataclass(slots=True, kw_only=True)
class _Filled:
    """What is in restored tables."""

    digests: dict[str, TableDigest]
    notes: list[str] = field(default_factory=list)
    """What was left out."""
    differences: list[Difference] = field(default_factory=list)
    """Between what went in and what comes out."""


def _fill(
    access: Access,
    database: str,
    source: Source,
    coming: Sequence[Rows],
    *,
    scratch: bool,
    compare: Comparison,
    psql: str | None = None,
    watch: Watch | None,
) -> _Filled:
    """Schema, rows, indexes, constraints, sequences."""
    import psycopg

    plan = plan_anew(source.entries(), scratch=scratch)
    notes = list(plan.notes)
    connections: list[Connection] = []
    try:
        for _ in range(_CONNECTIONS):
            connections.append(access.connect(database=database))
            settings_for_session(connections[-1])
            look_for_names(connections[-1], source.schema_data.get("path"), local=False)
            # The rename that comes last is written to the disk, and with it everything before.
            connections[-1].execute("SET synchronous_commit = off")
        _make_all(connections[0], plan.before, notes)
        went_in = WentIn() if compare == "rows" else None
        rows = _load_all(connections, source, coming, went_in, watch)
        _make_after(connections, plan, notes, large={each.table for each in coming if each.member is None})
        set_sequences(connections[0], source.sequences(), owned=None)
        for view in source.schema_data["refresh"]:
            connections[0].execute(f"REFRESH MATERIALIZED VIEW {view}")
        for connection in connections:
            look_for_names(connection, None, local=False)
        if compare == "columns":
            return _Filled(digests=_digest_all(connections, coming), notes=notes)
        filled = _Filled(digests={table: TableDigest(rows=n, columns={}) for table, n in rows.items()}, notes=notes)
        if went_in is not None:
            way = (psql, access.environment(database=database)) if psql else None
            filled.differences += _compare_all(connections, source, coming, went_in, way)
        return filled
    except psycopg.Error as exc:
        raise MigrationFailed(
            f"The backup could not be restored: {' '.join(str(exc).split())}.",
            code="restore_failed",
            hint="The database was not touched. Look at the server's words.",
        ) from exc
    finally:
        for connection in connections:
            connection.close()


def _make_all(connection: Connection, entries: Sequence[Entry], notes: list[str]) -> None:
    wanted = (entry for entry in entries if entry.kind != "SCHEMA" or entry.tag != "public")
    make_all(connection, wanted, owners=_lenient(connection, notes))


def _lenient(connection: Connection, notes: list[str]) -> Callable[[str], None]:
    """Another server need not have the roles."""

    def run(statement: str) -> None:
        import psycopg

        try:
            connection.execute(statement)
        except (psycopg.errors.UndefinedObject, psycopg.errors.InsufficientPrivilege) as exc:
            note = f"owners or rights were not set: {exc.diag.message_primary}"
            if note not in notes:
                notes.append(note)

    return run


def _make_after(
    connections: Sequence[Connection], plan: RestorePlan, notes: list[str], *, large: Collection[str]
) -> None:
    """Indexes on all connections, those of one table on one of them; then what needs indexes. `large`: the tables whose
    indexes are worth a connection for each.
    """
    indexes: dict[str, list[Entry]] = {}
    rest = []
    for entry in plan.after:
        if entry.kind in INDEXES and entry.table is not None:
            indexes.setdefault(entry.table, []).append(entry)
        else:
            rest.append(entry)
    # One table's indexes are dealt out too, plain ones: two of them can be built at the same time.
    work: list[list[Entry]] = []
    quick = [entry for table, entries in indexes.items() if table not in large for entry in entries]
    for table, entries in indexes.items():
        if table not in large:
            continue
        constraints = [entry for entry in entries if entry.kind == "CONSTRAINT"]
        work += [constraints] if constraints else []
        work += [[entry] for entry in entries if entry.kind == "INDEX"]

    def build(connection: Connection, entries: list[Entry]) -> None:
        make_all(connection, entries, owners=_lenient(connection, notes))

    _share(connections, [*work, *batched(quick)], build)
    # In pg_dump's order: a comment on a foreign key comes after that.
    _make_all(connections[0], rest, notes)


def _load_all(
    connections: Sequence[Connection],
    source: Source,
    coming: Sequence[Rows],
    went_in: WentIn | None,
    watch: Watch | None,
) -> dict[str, int]:
    rows: dict[str, int] = {each.table: 0 for each in coming}
    parts = grouped(coming)
    whole, done = sum(each.plain_bytes for each in coming), 0
    lock = threading.Lock()

    def loaded(what: Rows, count: int) -> None:
        nonlocal done
        with lock:
            rows[what.table] += count
            done += what.plain_bytes
            if watch is not None:
                watch(what.table, done, whole)

    def load(connection: Connection, together: list[Rows]) -> None:
        several = len(together) == 1 and len(parts[together[0].table]) > 1
        sums = RowSum() if went_in is not None and several else None
        copy_in(connection, source, together, freeze=False, sums=sums, loaded=loaded)
        if went_in is not None and sums is not None:
            went_in.add(together[0].table, sums)

    _share(connections, sorted(by_stream(coming), key=lambda together: -together[0].stream.plain_bytes), load)
    return rows


def _digest_all(connections: Sequence[Connection], coming: Sequence[Rows]) -> dict[str, TableDigest]:
    tables = {each.table: table_of(each) for each in coming}
    found: dict[str, list[TableDigest]] = {name: [] for name in tables}
    lock = threading.Lock()

    def digest(connection: Connection, work: list[tuple[str, str]]) -> None:
        parts = list(read_digests(connection, [(tables[name], where) for name, where in work]))
        with lock:
            for (name, _), part in zip(work, parts, strict=True):
                found[name].append(part)

    small = {each.table for each in coming if each.member is not None}
    large = [[each] for each in _halves(connections[0], [name for name in tables if name not in small])]
    _share(connections, [*large, *batched((name, "") for name in tables if name in small)], digest)
    return {name: added(parts) for name, parts in found.items()}


def _compare_all(
    connections: Sequence[Connection],
    source: Source,
    coming: Sequence[Rows],
    went_in: WentIn,
    psql: Psql | None,
) -> list[Difference]:
    """What comes out of the tables otherwise than it went in. One stream comes out as the bytes that it was; several
    were loaded at once, and their rows come out mixed.
    """
    by_table = grouped(coming)
    tables = {name: table_of(parts[0]) for name, parts in by_table.items()}
    several = [name for name, parts in by_table.items() if len(parts) > 1]
    small = [name for name, parts in by_table.items() if parts[0].member is not None]
    came_out, wrong = WentIn(), []

    def look(connection: Connection, work: list[tuple[str, str]]) -> None:
        if len(work) == 1:
            look_at_one(connection, *work[0])
            return
        names = [name for name, _ in work]
        for name, digest in zip(names, all_bytes_out(connection, [tables[name] for name in names]), strict=True):
            if digest != by_table[name][0].plain_sha256:
                wrong.append(name)

    def look_at_one(connection: Connection, name: str, where: str) -> None:
        if len(by_table[name]) > 1:
            came_out.add(name, coming_out(connection, tables[name], where=where, psql=psql))
        elif bytes_out(connection, tables[name], psql=psql) != by_table[name][0].plain_sha256:
            wrong.append(name)

    alone = {*tables} - {*several} - {*small}
    work = [[each] for each in _halves(connections[0], several)] + [[(name, "")] for name in tables if name in alone]
    _share(connections, [*work, *batched((name, "") for name in small)], look)
    wrong += [name for name in several if not came_out.of(name).same_as(went_in.of(name))]
    return [each for name in wrong for each in differences(connections[0], source, by_table[name], psql=psql)]


def _halves(connection: Connection, names: Iterable[str]) -> list[tuple[str, str]]:
    """The tables, the large ones as two: by name and condition."""
    work: list[tuple[str, str]] = []
    for name in names:
        row = connection.execute(f"SELECT pg_catalog.pg_relation_size({literal(name)})").fetchone()
        size = row[0] if row else 0
        middle = size // BLOCK // 2
        halves = [f" WHERE ctid < '({middle},0)'", f" WHERE ctid >= '({middle},0)'"] if size > _WORTH_HALVES else [""]
        work += [(name, half) for half in halves]
    return work


def _fill_temporary(
    access: Access, source: Source, coming: Sequence[Rows], *, compare: Comparison, watch: Watch | None
) -> _Filled:
    import psycopg

    by_table = grouped(coming)
    filled = _Filled(digests={})
    with access.connect() as connection, source.reader() as reader:
        settings_for_session(connection)
        for done, (name, parts) in enumerate(by_table.items()):
            table = table_of(parts[0])
            columns = ", ".join(
                f"{column.quoted} {column.type}" + (f" COLLATE {column.collation}" if column.collation else "")
                for column in table.columns
            )
            try:
                connection.execute("BEGIN")
                connection.execute(f"CREATE TEMPORARY TABLE bascule_scratch ({columns}) ON COMMIT DROP")
                sums = RowSum() if compare == "rows" else None
                rows = 0
                for part in parts:
                    rows += copy_one(connection, reader, part, into=_TEMPORARY, sums=sums)
                filled.digests[name] = (
                    read_digest(connection, table, source=_TEMPORARY)
                    if compare == "columns"
                    else TableDigest(rows=rows, columns={})
                )
                if sums is not None and not sums.same_as(coming_out(connection, table, name=_TEMPORARY)):
                    filled.differences += differences(connection, source, parts, name=_TEMPORARY)
                connection.execute("ROLLBACK")
            except psycopg.Error as exc:
                raise MigrationFailed(
                    f"The rows of {name} could not be restored: {' '.join(str(exc).split())}.",
                    code="restore_failed",
                    hint="The database was not touched. The role needs TEMPORARY on the database, or CREATEDB.",
                ) from exc
            if watch is not None:
                watch(name, done + 1, len(by_table))
    return filled


def _differences(source: Source, found: dict[str, TableDigest], *, compared: bool) -> Iterator[Difference]:
    expected: dict[str, int] = {}
    for each in source.rows():
        expected[each.table] = expected.get(each.table, 0) + (each.rows or 0)
    for table, digest in found.items():
        before = source.manifest.digests.get(table) if compared else None
        before = before or TableDigest(rows=expected[table], columns={})
        for column, words in differing(before, digest).items():
            yield Difference(table=table, column=column, words=words)


def _share(connections: Sequence[Connection], work: Sequence[T], act: Callable[[Connection, T], None]) -> None:
    """Do it on all connections at once. Raises the first error, when all have stopped."""
    waiting = list(work)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def serve(connection: Connection) -> None:
        try:
            while True:
                with lock:
                    if failures or not waiting:
                        return
                    item = waiting.pop(0)
                act(connection, item)
        except BaseException as exc:  # noqa: BLE001 - it is raised by the one who waits
            failures.append(exc)

    threads = [threading.Thread(target=serve, args=(connection,), daemon=True) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _hashed(name: str) -> int:
    return int.from_bytes(bytes.fromhex(name[-8:]), "big", signed=True)
