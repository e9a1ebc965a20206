"""A dump of PostgreSQL: schema, rows, sequences and digests of one moment.

The order matters. The tables are locked (as a reader locks, so that nobody is made to wait but who would rewrite them)
before the snapshot is taken: TRUNCATE and the ALTER TABLEs that write a table anew make it look empty to older
snapshots.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bascule.backups.encryption import Encryption, encryption_of
from bascule.backups.naming import stream_path
from bascule.backups.pipeline import store_stream
from bascule.databases.postgres.archive import Entry, read_entries, with_tables, write_entries
from bascule.databases.postgres.digests import added
from bascule.databases.postgres.dump_catalog import (
    BLOCK,
    Column,
    DatabaseFacts,
    Table,
    oids_of,
    read_database,
    read_extensions,
    read_names,
    read_parts,
    read_populated,
    read_sequences,
    read_tables,
)
from bascule.databases.postgres.dump_task import Range, Task, begin_in_snapshot, run_task, settings_sql
from bascule.databases.postgres.dump_workers import Workers
from bascule.databases.postgres.pg_tools import PgTools
from bascule.databases.postgres.tool_access import Access
from bascule.domain.backup import Member, StreamRecord, TableDigest
from bascule.errors import BasculeError, LockNotAvailable, MigrationFailed, Refused
from bascule.ports.backup_store import BackupStore
from bascule.ports.dump import Dumped, DumpRequest, Keys, Watch

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

SCHEMA, SEQUENCES = "schema", "sequences"
"""Names of the two streams beside the tables'."""

_WORTH_PROCESSES = 12 << 20
"""Bytes from which on processes of our own are worth the 0.15 s that one takes to start."""
_SMALL = 4 << 20
"""Bytes of a table below which it shares a stream with others."""
_SMALLEST_BUNDLE = 1 << 20
_LARGEST_BUNDLE = 16 << 20
_SMALLEST_PART = 32 << 20
_LARGEST_PART = 1 << 30
_RANGES_SINCE = 14
"""The version from which on the server finds a range of blocks without reading what is before it."""
_LOOKS = 5
_LOCKED_AT_ONCE = 200
_COLUMN = tuple(each.name for each in fields(Column))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is known of the snapshot."""

    snapshot: str
    until: datetime
    facts: DatabaseFacts
    tables: tuple[Table, ...]
    schema: Callable[[], bytes]
    """What pg_dump writes of it; waits for that. Raises `MigrationFailed`."""


def usual_workers() -> int:
    """Processes that dump at the same time where nobody says how many."""
    return min(2, os.cpu_count() or 1)


class PostgresDump:
    """One dump. `schema` is Bascule's own, which is left out."""

    def __init__(
        self,
        access: Access,
        *,
        schema: str,
        tools: PgTools,
        workers: int | None = None,
        early: Workers | None = None,
    ) -> None:
        """`early`: processes that are starting already; whoever started them ends them."""
        self._access, self._schema, self._tools, self._early = access, schema, tools, early
        self._workers = workers or usual_workers()

    def dump(
        self, request: DumpRequest, *, store: BackupStore, encryption: Keys | None, watch: Watch | None = None
    ) -> Dumped:
        """As the port's. Raises also psycopg.Error."""
        keys = encryption_of(encryption)
        public = keys.public() if keys else None
        with self._access.connect() as connection, self.moment(connection, request.tables) as moment:
            tasks = self._tasks(request, moment.tables, moment.facts, encrypted=keys is not None)
            whole = sum(task.size for task in tasks)
            write = partial(self._write, request, store, public)
            tell = _teller(watch, whole)
            if self._workers < 2 or sum(map(_worth, tasks)) < _WORTH_PROCESSES:
                parts_later = _beside(lambda: self._here(request, tasks, moment, store, public, tell))
                try:
                    entries = self.entries(connection, moment)
                finally:
                    parts = parts_later()
            else:
                with nullcontext(self._early) if self._early else self._new_workers() as workers:
                    parts_later = workers.run(self._job(request, store, public, moment), tasks, done=tell)
                    entries = self.entries(connection, moment)
                    parts = parts_later()
            chosen = entries
            if request.tables is not None:
                extensions = read_extensions(connection, [table.oid for table in moment.tables])
                chosen = chosen_entries(entries, {table.name for table in moment.tables}, extensions)
            streams = [write(SCHEMA, write_entries(chosen), self._schema_data(connection, chosen, moment))]
            streams += [_record(task, parts[task.name]) for task in tasks]
            # After the rows: a value that a row has was given out by then.
            sequences = read_sequences(connection, [entry.oid for entry in chosen if entry.kind == "SEQUENCE"])
            streams.append(write(SEQUENCES, (json.dumps(each).encode() + b"\n" for each in sequences), {}))
        return Dumped(
            until=moment.until,
            server=self._access.where(),
            server_version=moment.facts.version_text,
            database=moment.facts.name,
            scope="database" if request.tables is None else "tables",
            tables=tuple(table.name for table in moment.tables),
            streams=tuple(streams),
            digests=_digests(tasks, parts),
            tools={"pg_dump": self._tools.version},
            notes=_notes(moment, whole=request.tables is None),
        )

    def _new_workers(self) -> Workers:
        return Workers(self._workers, environment=self._access.environment())

    @contextmanager
    def moment(self, connection: Connection, names: Sequence[str] | None) -> Iterator[Moment]:
        """A snapshot of these tables, held to the end of the block. Raises `Refused`, `LockNotAvailable`."""
        oids = sorted(oids_of(connection, names, own=self._schema))
        for _ in range(_LOOKS):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                connection.execute(settings_sql())
                self._lock(connection, oids)
                row = connection.execute(
                    "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.statement_timestamp()"
                ).fetchone()
                assert row is not None, "it answers one row"
                seen = sorted(_again(connection, oids, names, own=self._schema))
                if seen == oids:
                    schema = self._schema_of(row[0])
                    try:
                        yield Moment(
                            snapshot=row[0],
                            until=row[1].astimezone(UTC),
                            facts=read_database(connection),
                            tables=read_tables(connection, oids),
                            schema=schema,
                        )
                    finally:
                        # It needs the snapshot, and nobody must be left to read on.
                        with suppress(BasculeError, OSError):
                            schema()
                    return
                oids = seen
            finally:
                if not connection.closed:
                    connection.execute("ROLLBACK")
        raise MigrationFailed(
            "Tables were created and dropped all the time while the backup was about to begin.",
            code="dump_failed",
            hint="Nothing was changed. Run again when that has ended.",
        )

    def entries(self, connection: Connection, moment: Moment) -> tuple[Entry, ...]:
        """The whole schema in the snapshot, each entry with the table it is a part of."""
        return with_tables(read_entries(moment.schema()), read_parts(connection))

    def _schema_of(self, snapshot: str) -> Callable[[], bytes]:
        """pg_dump begins at once: it takes longer than all that is looked up meanwhile."""
        environment = self._access.environment()
        return _beside(lambda: self._tools.dump_schema(environment, snapshot=snapshot, without=self._schema))

    def _lock(self, connection: Connection, oids: Sequence[int]) -> None:
        """Nothing but the tables' names is asked before, and that of no snapshot that stays."""
        import psycopg

        with self._access.connect() as beside:
            tables = read_names(beside, oids)
        # Foreign tables cannot be locked, and have no rows here.
        names = [f"ONLY {name}" for name, kind in tables if kind != "f"]
        try:
            for start in range(0, len(names), _LOCKED_AT_ONCE):
                connection.execute(
                    f"LOCK TABLE {', '.join(names[start : start + _LOCKED_AT_ONCE])} IN ACCESS SHARE MODE"
                )
        except psycopg.errors.LockNotAvailable as exc:
            raise LockNotAvailable(
                "A table of the backup is locked by somebody who changes its schema, for longer than ten seconds.",
                hint="Nothing was changed. Run again when that has ended.",
            ) from exc
        except psycopg.errors.UndefinedTable:
            # Dropped just now: the look that follows sees other tables, and all begins anew.
            connection.execute("ROLLBACK")
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def _tasks(
        self, request: DumpRequest, tables: Sequence[Table], facts: DatabaseFacts, *, encrypted: bool
    ) -> list[Task]:
        def task(folder: str, number: int, ranges: Sequence[Range], size: int) -> Task:
            name = f"{folder}/{number:05d}"
            path = stream_path(request.backup_id, name, encrypted=encrypted)
            return Task(name=name, path=path, ranges=tuple(ranges), size=size, digest=request.digests)

        with_rows = [table for table in tables if table.kind == "r"]
        bundles = bundled(with_rows, workers=self._workers)
        together = {table.oid for bundle in bundles for table in bundle}
        alone: list[tuple[Range, int]] = []
        for table in with_rows:
            if table.oid in together:
                continue
            for part, (first, end) in enumerate(self._ranges(table, facts)):
                blocks = (table.blocks if end is None else end) - first
                # Long values lie beside the rows, evenly as far as anybody knows.
                size = int(table.whole_size * blocks / table.blocks) if table.blocks else 0
                alone.append((Range(table=table, part=part, first=first, end=end), size))
        tasks = [task("tables", number, [one], size) for number, (one, size) in enumerate(alone, 1)]
        for number, bundle in enumerate(bundles, 1):
            ranges = [Range(table=table) for table in bundle]
            tasks.append(task("bundles", number, ranges, sum(map(_weight, bundle))))
        return tasks

    def _ranges(self, table: Table, facts: DatabaseFacts) -> list[tuple[int, int | None]]:
        each = min(max(_SMALLEST_PART, table.whole_size // (self._workers * 4)), _LARGEST_PART)
        count = min(table.whole_size // each, table.blocks) if facts.major >= _RANGES_SINCE else 1
        if count < 2 or not table.columns:
            return [(0, None)]
        bounds = [table.blocks * number // count for number in range(count)]
        return list(zip(bounds, [*bounds[1:], None], strict=True))

    def _here(
        self,
        request: DumpRequest,
        tasks: Sequence[Task],
        moment: Moment,
        store: BackupStore,
        keys: Encryption | None,
        tell: Callable[[Task], None],
    ) -> dict[str, dict[str, Any]]:
        found = {}
        with self._access.connect() as connection:
            begin_in_snapshot(connection, moment.snapshot)
            for task in tasks:
                found[task.name] = run_task(
                    task,
                    store=store,
                    encryption=keys,
                    level=request.level,
                    connection=lambda: connection,
                    psql=None,
                )
                tell(task)
            connection.execute("ROLLBACK")
        return found

    def _job(self, request: DumpRequest, store: BackupStore, keys: Encryption | None, moment: Moment) -> dict[str, Any]:
        return {
            "store": store.address,
            "recipients": list(keys.recipients) if keys else [],
            "level": request.level,
            "snapshot": moment.snapshot,
            "psql": str(self._tools.psql) if self._tools.psql else None,
        }

    def _write(
        self,
        request: DumpRequest,
        store: BackupStore,
        keys: Encryption | None,
        name: str,
        lines: Iterator[bytes],
        data: Mapping[str, Any],
    ) -> StreamRecord:
        path = stream_path(request.backup_id, name, encrypted=keys is not None)
        stored = store_stream(store, path, lines, encryption=keys, level=request.level, threads=0)
        values = {key: value for key, value in asdict(stored).items() if key != "path"}
        return StreamRecord(name=name, kind=name, data=data, **values)

    def _schema_data(self, connection: Connection, entries: Sequence[Entry], moment: Moment) -> dict[str, Any]:
        populated = read_populated(connection, own=self._schema)
        views = [entry for entry in entries if entry.kind == "MATERIALIZED VIEW"]
        refreshed = [name for name in map(name_of, views) if name in populated]
        return {
            "made_with": moment.facts.made_with,
            "major": moment.facts.major,
            "origin": moment.facts.origin,
            "refresh": refreshed,
            "path": moment.facts.path,
            "large_objects": moment.facts.large_objects,
            "parents": {table.name: list(table.parents) for table in moment.tables if table.parents},
        }


def name_of(entry: Entry) -> str:
    """The name of a table-like thing, as the server prints it: it stands at the end of what drops it."""
    return entry.drop.rstrip(";").removeprefix(f"DROP {entry.kind} ").strip()


def chosen_entries(entries: Sequence[Entry], tables: set[str], extensions: Collection[str] = ()) -> tuple[Entry, ...]:
    """What belongs to these tables, these extensions, and all that they need which belongs to no other table."""
    by_id = {entry.id: entry for entry in entries}
    chosen = {entry.id for entry in entries if entry.table in tables}
    chosen |= {entry.id for entry in entries if entry.kind == "EXTENSION" and entry.tag in extensions}
    waiting = list(chosen)
    while waiting:
        at = waiting.pop()
        for need in by_id[at].needs:
            found = by_id.get(need)
            if found is not None and need not in chosen and (found.table is None or _inherits(by_id[at], found)):
                chosen.add(need)
                waiting.append(need)
    spoken = {
        entry.id
        for entry in entries
        if not entry.oid and entry.needs and entry.table is None and all(need in chosen for need in entry.needs)
    }
    return tuple(entry for entry in entries if entry.id in chosen | spoken)


def _inherits(entry: Entry, need: Entry) -> bool:
    """It cannot be made without that table, not even apart from everything else."""
    return entry.kind == need.kind == "TABLE" and "\nINHERITS (" in entry.sql


def _again(connection: Connection, oids: Sequence[int], names: Sequence[str] | None, *, own: str) -> list[int]:
    """What is there now, in the snapshot. Names were looked up under the path of the user's: here by their oids."""
    if names is None:
        return oids_of(connection, None, own=own)
    there = [name for name, _ in read_names(connection, oids)]
    return oids_of(connection, there, own=own)


def _record(task: Task, answer: Mapping[str, Any]) -> StreamRecord:
    kept = {name: answer[name] for name in ("plain_bytes", "stored_bytes", "sha256", "plain_sha256")}
    rows = sum(each["rows"] for each in answer["ranges"])
    if task.is_bundle:
        members = tuple(_members(task, answer["ranges"]))
        return StreamRecord(name=task.name, kind="bundle", rows=rows, members=members, **kept)
    (one,) = task.ranges
    data = _data(one.table)
    return StreamRecord(name=task.name, kind="rows", table=one.table.name, part=one.part, rows=rows, data=data, **kept)


def _members(task: Task, answers: Sequence[Mapping[str, Any]]) -> Iterator[Member]:
    offset = 0
    for one, answer in zip(task.ranges, answers, strict=True):
        kept = {name: answer[name] for name in ("rows", "plain_bytes", "plain_sha256")}
        yield Member(table=one.table.name, offset=offset, data=_data(one.table), **kept)
        offset += answer["plain_bytes"]


def _data(table: Table) -> dict[str, Any]:
    columns = [{name: getattr(column, name) for name in _COLUMN} for column in table.columns]
    return {"format": "text", "columns": columns, "key": list(table.key)}


def bundled(tables: Sequence[Table], *, workers: int) -> list[list[Table]]:
    """The tables that are small, in the groups that are stored together. One alone is stored as a large one is."""
    small = [table for table in tables if table.whole_size < _SMALL]
    if len(small) < 2:
        return []
    # As large as reading one table out of it may cost, and small enough that all workers have some.
    most = min(max(_SMALLEST_BUNDLE, sum(map(_weight, small)) // (workers * 3)), _LARGEST_BUNDLE)
    bundles: list[list[Table]] = [[]]
    held = 0
    for table in small:
        if held + _weight(table) > most and bundles[-1]:
            bundles.append([])
            held = 0
        bundles[-1].append(table)
        held += _weight(table)
    if len(bundles[-1]) == 1:
        last = bundles.pop()
        bundles[-1:] = [[*bundles[-1], *last]] if bundles else []
    # A large one of the small may have been left alone between two others.
    return [bundle for bundle in bundles if len(bundle) > 1]


def _worth(task: Task) -> int:
    """Bytes that may be worth a process. The first block of a small table is nearly empty for all that is known."""
    return sum(max(0, one.table.whole_size - BLOCK) for one in task.ranges) if task.is_bundle else task.size


def _weight(table: Table) -> int:
    """What it costs, in bytes: a table without rows is work as well."""
    return max(table.whole_size, BLOCK)


def _digests(tasks: Sequence[Task], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, TableDigest]:
    parts: dict[str, list[TableDigest]] = {}
    for task in tasks:
        answer = answers[task.name]
        for one, found in zip(task.ranges, answer["ranges"], strict=True):
            digest = TableDigest(rows=found["rows"], columns=found.get("digest", {}))
            parts.setdefault(one.table.name, []).append(digest)
    return {table: added(each) for table, each in parts.items()}


def _notes(moment: Moment, *, whole: bool) -> tuple[str, ...]:
    notes = [f"{table.name} is a foreign table: its rows are not in it" for table in moment.tables if table.kind == "f"]
    if whole and moment.facts.large_objects:
        notes.append(f"{moment.facts.large_objects} large objects are not in it: keep them with pg_dump")
    return tuple(notes)


def _beside(act: Callable[[], T]) -> Callable[[], T]:
    """Begin with it in a thread: most of it is waiting, as is what is done meanwhile. What is answered waits for it."""
    answers: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(act())
        except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
            failures.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait() -> T:
        thread.join()
        if failures:
            raise failures[0]
        return answers[0]

    return wait


def _teller(watch: Watch | None, whole: int) -> Callable[[Task], None]:
    done = 0
    lock = threading.Lock()

    def tell(task: Task) -> None:
        nonlocal done
        with lock:
            done += task.size
        if watch is not None:
            watch(task.words, done, whole)

    return tell


def missing_rights(exc: BaseException) -> Refused:
    """A role that may not read what is to be dumped."""
    return Refused(
        f"The role may not read what is to be backed up: {str(exc).strip()}.",
        code="no_rights",
        hint="Nothing was changed. Grant it SELECT on the tables and sequences, and USAGE on their schemas "
        "(the role pg_read_all_data has both).",
    )
