"""The `DataReader` of PostgreSQL: fused scans by ranges of blocks, on connections that share one snapshot."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.door import Door
from bascule.databases.postgres.errors import refusal
from bascule.databases.postgres.validation_catalog import read_catalog
from bascule.databases.postgres.validation_worker import GaveWay, Guard, Locked, Worker
from bascule.errors import BasculeError, Interrupted
from bascule.ports.validation import (
    AggregateTest,
    Catalog,
    DuplicateTest,
    Key,
    Outcome,
    QueryTest,
    ReferenceTest,
    RowTest,
    Test,
    ValidationOptions,
)
from bascule.validation.aggregates import judged, together
from bascule.validation.scans import (
    SAMPLES,
    Pass,
    duplicates_sql,
    fused_sql,
    literal,
    named,
    plan_passes,
    query_sql,
    ranges,
    reference_sql,
    rows_sql,
    table_sql,
)

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

WORKERS: Final = 2
_LARGEST: Final = 2_048
"""Blocks of one range: 16 MiB, which take a thirtieth of a second. At the end one connection waits for no longer."""
_WORTH_HALVES: Final = 1_024
"""Blocks from which on a table is read by all connections at once."""
_FEW: Final = 20
"""Statements up to which, over small tables, another connection takes longer to be opened than it saves."""
_VISIBLE: Final = 0.9
"""Share of the blocks from which on an index alone can answer."""
_NOT_ALL: Final = 0.9999
"""A sample is one, even if it has read more rows than the server thinks there are."""
_POLL: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    number: int
    each: Pass
    first: int = 0
    end: int | None = None


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What is known of one test so far."""

    offenders: int = 0
    rows: int = 0
    ms: float = 0.0
    sample: list[Mapping[str, Any]] = field(default_factory=list)
    problem: str = ""
    value: Any = None
    """Of an aggregate."""


class PostgresReader:
    """See `bascule.ports.validation.DataReader`."""

    def __init__(
        self,
        url: str | Callable[[], str],
        *,
        own_schema: str = "bascule",
        search_path: str | None = None,
        workers: int = WORKERS,
    ) -> None:
        """`url` may be a function, which is asked for each connection."""
        self._door = Door(url, application="bascule validate", tag="")
        self._own, self._workers_wanted = own_schema, workers
        self._settings = _path_sql(search_path)
        self._main: Worker | None = None
        self._beside: Connection | None = None
        self._beside_lock = threading.Lock()

    def state(self) -> tuple[str, str] | None:
        """As the port. What the role may not ask proves nothing."""
        import psycopg

        from bascule.databases.postgres.server_state import server_state

        with contextlib.closing(self._door.open()) as connection:
            try:
                return server_state(connection)
            except psycopg.Error:
                return None

    def catalog(self, options: ValidationOptions) -> Catalog:
        """As the port. The rows are read as they are at this moment."""
        self._hang_up()
        import psycopg

        try:
            self._main = worker = Worker(self._door.open(), seconds=options.seconds, settings=self._settings)
            return read_catalog(
                lambda sql, given: worker.ask(sql, given, settings=_BARE),
                worker.attempt,
                options,
                own=self._own,
                version=worker.connection.info.server_version,
                encoding=worker.connection.info.parameter_status("server_encoding") or "UTF8",
            )
        except psycopg.Error as exc:
            raise self._refusal(exc, "read the catalog") from exc

    def run(
        self,
        catalog: Catalog,
        tests: Sequence[Test],
        options: ValidationOptions,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
        stopping: Callable[[], str | None] = lambda: None,
    ) -> list[Outcome]:
        """As the port."""
        assert self._main is not None, "the catalog is read first"
        read = {test.table for test in tests if not isinstance(test, QueryTest)}
        reading = _Reading(catalog, tests, options, workers=self._workers_wanted)
        with contextlib.ExitStack() as stack:
            workers = [self._main, *(self._helpers(stack, options) if reading.worth_helpers else ())]
            guard = stack.enter_context(Guard(self._door.open, workers))
            for worker in workers:
                thread = threading.Thread(target=reading.work, args=(worker,), name="bascule reader", daemon=True)
                reading.threads.append(thread)
                thread.start()
            _wait(reading, workers, progress, stopping)
            rewritten = _rewritten(guard.end() or stack.enter_context(self._door.open()), catalog, read)
        return reading.outcomes(rewritten)

    def query(self, sql: str, *, seconds: float | None = None) -> Sequence[tuple[Any, ...]]:
        """As the port. One at a time."""
        import psycopg

        limit = 0 if seconds is None else round(seconds * 1000)
        with self._beside_lock:
            if self._beside is None or self._beside.closed:
                self._beside = self._door.open()
            connection = self._beside
            try:
                connection.execute(
                    f"BEGIN READ ONLY; SET LOCAL statement_timeout = {limit or 60_000}; SET LOCAL lock_timeout = 500; "
                    f"SET LOCAL row_security = off; {'; '.join(self._settings)}".encode()
                )
                return connection.execute(sql.encode()).fetchall()
            except psycopg.Error as exc:
                raise self._refusal(exc, "ask what a rule wants to know") from exc
            finally:
                if not connection.closed:
                    connection.execute(b"ROLLBACK")

    def close(self) -> None:
        """Hang up."""
        self._hang_up()
        if self._beside is not None:
            self._beside.close()
            self._beside = None

    def _hang_up(self) -> None:
        if self._main is not None:
            self._main.close()
            self._main = None

    def _helpers(self, stack: contextlib.ExitStack, options: ValidationOptions) -> Iterator[Worker]:
        """More connections of the same snapshot; none behind a pooler, which may have only this one for us."""
        import psycopg

        assert self._main is not None, "the catalog is read first"
        if self._main.pooled:
            return
        single = "SET LOCAL max_parallel_workers_per_gather = 0"
        try:
            snapshot = self._main.export()
            for _ in range(self._workers_wanted - 1):
                connection = stack.enter_context(contextlib.closing(self._door.open()))
                settings = (*self._settings, single)
                yield Worker(connection, seconds=options.seconds, snapshot=snapshot, settings=settings)
            self._main.connection.execute(single.encode())
        except (psycopg.Error, BasculeError):
            # Every connection is taken, or the server exports no snapshot: one is enough.
            if self._main.connection.broken:
                raise

    def _refusal(self, exc: psycopg.Error, doing: str) -> BasculeError:
        return refusal(exc, schema=self._own, user=self._door.user, database=self._door.database, doing=doing)


def _rewritten(connection: Connection, catalog: Catalog, keys: set[Key]) -> set[Key]:
    """Tables that were rewritten, emptied or dropped meanwhile: their older rows were not to be seen any more."""
    oids = {catalog.tables[key].identity: key for key in keys if key in catalog.tables}
    sql = b"""SELECT asked.oid::bigint, coalesce(pg_catalog.pg_relation_filenode(asked.oid), 0)::bigint
FROM pg_catalog.unnest(%(oids)s::oid[]) AS asked(oid)"""
    now: dict[int, int] = dict(connection.execute(sql, {"oids": list(oids)}).fetchall())
    return {key for oid, key in oids.items() if now.get(oid) != catalog.tables[key].file}


_BARE: Final = ("SET LOCAL search_path = ''",)
"""So that the catalog writes names with their schemas."""


def _path_sql(search_path: str | None) -> tuple[str, ...]:
    return (
        () if search_path is None else (f"SELECT pg_catalog.set_config('search_path', {literal(search_path)}, true)",)
    )


def _wait(
    reading: _Reading,
    workers: Sequence[Worker],
    progress: Callable[[int, int], None],
    stopping: Callable[[], str | None],
) -> None:
    told = -1
    try:
        while any(thread.is_alive() for thread in reading.threads):
            reading.threads[0].join(_POLL) if reading.threads[0].is_alive() else time.sleep(_POLL / 10)
            if told != reading.done:
                told = reading.done
                progress(told, reading.count)
            if (signal := stopping()) is not None:
                raise Interrupted(f"Stopped by {signal} while the rows were looked at.", hint="Nothing was changed.")
    except BaseException:
        reading.stop()
        while any(thread.is_alive() for thread in reading.threads):
            for worker in workers:
                if worker.busy:
                    worker.cancel()
            time.sleep(_POLL)
        raise


class _Reading:
    """All passes over the tables, which workers take one after the other."""

    def __init__(self, catalog: Catalog, tests: Sequence[Test], options: ValidationOptions, *, workers: int) -> None:
        self._catalog, self._tests, self._options = catalog, tests, options
        self._tallies = [_Tally() for _ in tests]
        self._passes = plan_passes(catalog, tests, options)
        jobs = [job for number, each in enumerate(self._passes) for job in self._jobs(number, each, workers)]
        self._queue = deque(jobs)
        self._lock = threading.Lock()
        self.count = len(jobs)
        self.worth_helpers = len(jobs) > _FEW or sum(map(self._blocks, self._passes)) >= _WORTH_HALVES
        """More than one connection would have something to do."""
        self.done = 0
        self.threads: list[threading.Thread] = []

    def _blocks(self, each: Pass) -> float:
        table = self._catalog.tables.get(each.table) if each.table else None
        return (table.pages if table else 0) * (100.0 if each.percent is None else each.percent) / 100

    def _jobs(self, number: int, each: Pass, workers: int) -> Iterator[_Job]:
        table = self._catalog.tables.get(each.table) if each.table else None
        if table is None or not each.fused or each.percent is not None:
            yield _Job(number=number, each=each)
            return
        least = workers if table.pages >= _WORTH_HALVES else 1
        for first, end in ranges(table.pages, _LARGEST, least):
            yield _Job(number=number, each=each, first=first, end=end)

    def stop(self) -> None:
        """Begin nothing more."""
        self._queue.clear()

    def work(self, worker: Worker) -> None:
        """Take jobs until there are none; or until the connection is lost, when the others go on."""
        while not worker.connection.broken:
            try:
                job = self._queue.popleft()
            except IndexError:
                return
            self._do(worker, job, job.each.tests)
            with self._lock:
                self.done += 1

    def outcomes(self, rewritten: set[Key]) -> list[Outcome]:
        """Of all tests."""
        for job in self._queue:
            self._note(job.each.tests, "the connection to the database was lost")
        share = {number: (each.percent or 100.0) / 100 for each in self._passes for number in each.tests}
        return [
            self._outcome(test, tally, share[number], rewritten)
            for number, (test, tally) in enumerate(zip(self._tests, self._tallies, strict=True))
        ]

    def _outcome(self, test: Test, tally: _Tally, share: float, rewritten: set[Key]) -> Outcome:
        problem = tally.problem
        if not isinstance(test, QueryTest) and test.table in rewritten and not tally.offenders:
            problem = problem or f"{test.table[1]} was rewritten, emptied or dropped while it was read"
        if isinstance(test, AggregateTest) and not problem:
            return judged(test, tally.value, rows=tally.rows, ms=tally.ms)
        return Outcome(
            offenders=tally.offenders,
            rows=tally.rows,
            sample=tuple(tally.sample[:SAMPLES]),
            ms=tally.ms,
            share=self._share_read(test, tally, share),
            problem=problem,
        )

    def _share_read(self, test: Test, tally: _Tally, wanted: float) -> float:
        """Chance decides how many blocks a sample reads: what was really read makes better estimates."""
        table = self._catalog.tables.get(test.table) if isinstance(test, RowTest) else None
        if wanted >= 1 or table is None or not table.rows or not tally.rows:
            return wanted
        return min(tally.rows / table.rows, _NOT_ALL)

    def _do(self, worker: Worker, job: _Job, numbers: Sequence[int]) -> None:
        import psycopg

        try:
            self._ask(worker, job, numbers)
        except GaveWay:
            self._note(numbers, "somebody else waited for the table each time it was read, and was let pass")
        except Locked:
            self._note(numbers, "somebody else held a lock on the table")
        except psycopg.errors.QueryCanceled:
            self._note(numbers, f"it took longer than {self._options.seconds:g} s")
        except (psycopg.Error, UnicodeError) as exc:
            if len(numbers) > 1:
                # One condition that raises must not take the answers of the others away.
                half = len(numbers) // 2
                self._do(worker, job, numbers[:half])
                self._do(worker, job, numbers[half:])
            else:
                words = exc.diag.message_primary if isinstance(exc, psycopg.Error) else None
                self._note(numbers, words or str(exc).strip())

    def _note(self, numbers: Sequence[int], problem: str) -> None:
        with self._lock:
            for number in numbers:
                self._tallies[number].problem = self._tallies[number].problem or problem

    def _ask(self, worker: Worker, job: _Job, numbers: Sequence[int]) -> None:
        first = self._tests[numbers[0]]
        if isinstance(first, RowTest | AggregateTest):
            tests = [test for number in numbers if isinstance(test := self._tests[number], RowTest | AggregateTest)]
            self._ask_fused(worker, job, numbers, tests)
        elif isinstance(first, ReferenceTest):
            self._ask_reference(worker, job, numbers[0], first)
        elif isinstance(first, DuplicateTest):
            source = f"ONLY {table_sql(first.table)}"
            count = duplicates_sql(self._catalog, source, first)
            self._ask_one(worker, numbers[0], count, duplicates_sql(self._catalog, source, first, sample=True))
        else:
            self._ask_one(worker, numbers[0], *query_sql(first))

    def _ask_fused(
        self, worker: Worker, job: _Job, numbers: Sequence[int], tests: Sequence[RowTest | AggregateTest]
    ) -> None:
        assert job.each.table is not None, "conditions are of a table"
        source = f"ONLY {table_sql(job.each.table)}{_block_sample(job.each.percent)}"
        where = _range(job.first, job.end)
        begun = time.monotonic()
        ((rows, *counts),) = worker.ask(fused_sql(source, tests, where))
        ms = (time.monotonic() - begun) * 1000
        for number, test, count in zip(numbers, tests, counts, strict=True):
            tally = self._tallies[number]
            found = self._offenders(worker, job, test) if count and not tally.sample else []
            with self._lock:
                tally.rows += rows
                tally.ms += ms / len(tests)
                if isinstance(test, RowTest):
                    tally.offenders += count
                    tally.sample += found
                else:
                    tally.value = together(test, tally.value, count)

    def _offenders(self, worker: Worker, job: _Job, test: RowTest | AggregateTest) -> list[Mapping[str, Any]]:
        """A few rows of the range that offend."""
        if isinstance(test, AggregateTest):
            return []
        source = f"ONLY {table_sql(test.table)}{_block_sample(job.each.percent)}"
        sql = rows_sql(self._catalog, source, test, _range(job.first, job.end))
        return self._sample(worker, sql, test.table, named(self._catalog, test.table, test.show))

    def _ask_reference(self, worker: Worker, job: _Job, number: int, test: ReferenceTest) -> None:
        source = f"ONLY {table_sql(test.table)} AS this{_block_sample(job.each.percent)}"
        whole = test.with_descendants or test.parent in self._catalog.partitioned
        parent = table_sql(test.parent) if whole else f"ONLY {table_sql(test.parent)}"
        child, above = self._catalog.tables.get(test.table), self._catalog.table(test.parent)
        seen = child is not None and above is not None and min(child.visible, above.visible) >= _VISIBLE
        # A merge of two indexes reads neither table, but the planner takes a hash of one of them for cheaper.
        settings = ("SET LOCAL enable_hashjoin = off",) if test.indexed and seen and job.each.percent is None else ()
        count = reference_sql(self._catalog, source, parent, test)
        begun = time.monotonic()
        ((offenders,),) = worker.ask(count, settings=settings)
        tally = self._tallies[number]
        tally.ms += (time.monotonic() - begun) * 1000
        tally.offenders = offenders
        tally.rows = round((child.rows or 0) * (job.each.percent or 100) / 100) if child else 0
        if offenders:
            sql = reference_sql(self._catalog, source, parent, test, sample=True)
            names = named(self._catalog, test.table, test.columns)
            tally.sample = self._sample(worker, sql, test.table, names, settings=settings)

    def _ask_one(self, worker: Worker, number: int, count: str, sample: str) -> None:
        test, tally = self._tests[number], self._tallies[number]
        begun = time.monotonic()
        tally.offenders = int(worker.ask(count)[0][0])
        tally.ms = (time.monotonic() - begun) * 1000
        if isinstance(test, DuplicateTest):
            table = self._catalog.tables.get(test.table)
            tally.rows = round(table.rows or 0) if table else 0
            names, key = [*test.columns, "rows"], test.table
        else:
            tally.rows, names, key = tally.offenders, [], ("", "")
        if tally.offenders:
            tally.sample = self._sample(worker, sample, key, names)

    def _sample(
        self, worker: Worker, sql: str, key: Key, names: Sequence[str], *, settings: Sequence[str] = ()
    ) -> list[Mapping[str, Any]]:
        """The count stands, whether its rows can be shown or not."""
        import psycopg

        try:
            rows = worker.ask(sql, settings=settings)
        except (psycopg.Error, UnicodeError, GaveWay, Locked):
            return []
        table = self._catalog.tables.get(key)
        shown = names or (["place"] if table else worker.names)
        return [sample_row(table.shown if table else "", shown, row) for row in rows]


def sample_row(table: str, names: Sequence[str], row: Sequence[Any]) -> Mapping[str, Any]:
    """One row that offends, as texts."""
    names = names or [str(number) for number in range(1, len(row) + 1)]
    values = {name: None if value is None else str(value)[:80] for name, value in zip(names, row, strict=False)}
    return {"table": table, "row": values} if table else {"row": values}


def _range(first: int, end: int | None) -> str:
    parts = [f"ctid >= '({first},0)'::pg_catalog.tid"] if first else []
    parts += [f"ctid < '({end},0)'::pg_catalog.tid"] if end is not None else []
    return " AND ".join(parts)


def _block_sample(percent: float | None) -> str:
    return "" if percent is None else f" TABLESAMPLE SYSTEM ({percent})"
