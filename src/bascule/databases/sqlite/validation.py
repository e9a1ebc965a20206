"""The `DataReader` of SQLite: one fused pass after the other, in one thread.

In WAL mode all is read in one transaction, which nobody waits for. In the other modes a reader keeps writers from
ending their transactions, so nothing is held between statements, and tables are read by ranges of
rows that take an instant each. Only a join or a grouping is read at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from bascule.databases.sqlite.errors import is_busy, unreachable
from bascule.databases.sqlite.location import locate
from bascule.databases.sqlite.opening import open_database
from bascule.databases.sqlite.stopping import INSTRUCTIONS
from bascule.databases.sqlite.validation_catalog import read_catalog
from bascule.errors import Interrupted, LockNotAvailable, Refused, TargetUnreachable
from bascule.ports.validation import (
    AggregateTest,
    Catalog,
    DuplicateTest,
    Outcome,
    QueryTest,
    ReferenceTest,
    RowTest,
    Test,
    ValidationOptions,
)
from bascule.validation.aggregates import judged, together
from bascule.validation.scans import (
    Pass,
    duplicates_sql,
    fused_sql,
    named,
    plan_passes,
    query_sql,
    reference_sql,
    rows_sql,
    table_sql,
)

_WAIT: Final = 5.0
"""Seconds to wait for a lock."""
_ROWS: Final = 100_000
"""Rows of one range."""
_SPAN: Final = 500
"""Ranges of one table; rows whose numbers lie further apart are read in longer ones."""


class _Limit:
    """What SQLite asks every few thousand of its steps: whether to go on."""

    def __init__(self) -> None:
        self.until: float | None = None
        self.stopping: Callable[[], str | None] = lambda: None
        self.timed_out = False
        self.stopped = ""

    def __call__(self) -> int:
        if self.until is not None and time.monotonic() > self.until:
            self.timed_out = True
            return 1
        self.stopped = self.stopped or self.stopping() or ""
        return int(bool(self.stopped))

    def begin(self, seconds: float | None) -> None:
        """A statement begins that may take so long."""
        self.timed_out = False
        self.until = None if seconds is None else time.monotonic() + seconds


class SqliteReader:
    """See `bascule.ports.validation.DataReader`."""

    def __init__(self, path_or_url: str) -> None:
        self._location = locate(path_or_url)
        self._limit = _Limit()
        self._connection: sqlite3.Connection | None = None
        self._beside = threading.Lock()

    def state(self) -> tuple[str, str] | None:
        """As the port."""
        from bascule.databases.sqlite.file_state import file_state

        found = file_state(self._location.path)
        return None if found is None else (f"{self._location.path} {sqlite3.sqlite_version}", found)

    def catalog(self, options: ValidationOptions) -> Catalog:
        """As the port. A file that is not there has no tables."""
        self.close()
        with self._told():
            connection = self._connection = self._open(self._limit)
            if connection is None:
                return Catalog(dialect="sqlite")
            (mode,) = connection.execute("PRAGMA main.journal_mode").fetchone()
            if mode == "wal":
                connection.execute("BEGIN")
            return read_catalog(connection)

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
        assert self._connection is not None, "the catalog is read first, and has tables"
        self._limit.stopping = stopping
        reading = _Reading(self._connection, self._limit, catalog, tests, options)
        passes = plan_passes(catalog, tests, options)
        for number, each in enumerate(passes):
            progress(number, len(passes))
            self._limit.stopped = self._limit.stopped or stopping() or ""
            if not self._limit.stopped:
                reading.do(each, each.tests)
            if self._limit.stopped:
                raise Interrupted(
                    f"Stopped by {self._limit.stopped} while the rows were looked at.", hint="Nothing was changed."
                )
        progress(len(passes), len(passes))
        return [reading.outcomes[number] for number in range(len(tests))]

    def query(self, sql: str, *, seconds: float | None = None) -> Sequence[tuple[Any, ...]]:
        """As the port. One at a time."""
        limit = _Limit()
        limit.begin(seconds)
        with self._beside, self._told():
            connection = self._open(limit)
            if connection is None:
                raise TargetUnreachable(f"There is no database at {self._location.path}.", hint="Check the path.")
            with contextlib.closing(connection):
                try:
                    return connection.execute(sql).fetchall()
                except sqlite3.Error as exc:
                    if is_busy(exc):
                        raise
                    words = f"it took longer than {seconds:g} s" if limit.timed_out else str(exc)
                    raise Refused(f"SQLite: {words}.", code="rule_query", hint="Look at the rule's statement.") from exc

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, limit: _Limit) -> sqlite3.Connection | None:
        found = open_database(self._location, read_only=True, wait=_WAIT, on_progress=limit, every=INSTRUCTIONS)
        if found is not None:
            # Text that is no UTF-8 is something to be told about, not to fail on.
            found.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return found

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            if is_busy(exc):
                raise LockNotAvailable(
                    f"{self._location.path} is in use, for longer than {_WAIT:.0f} seconds.",
                    hint="Nothing was changed. Run again in a moment.",
                ) from exc
            raise unreachable(exc, path=self._location.path) from exc


class _Reading:
    """The passes over the tables."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        limit: _Limit,
        catalog: Catalog,
        tests: Sequence[Test],
        options: ValidationOptions,
    ) -> None:
        self._connection, self._limit = connection, limit
        self._catalog, self._tests, self._options = catalog, tests, options
        self.outcomes: dict[int, Outcome] = {
            number: Outcome(problem="it was not asked") for number in range(len(tests))
        }

    def do(self, each: Pass, numbers: Sequence[int]) -> None:
        """Answer these tests, whatever happens."""
        try:
            self._ask(each, numbers)
        except sqlite3.Error as exc:
            if self._limit.timed_out:
                self._note(numbers, f"it took longer than {self._options.seconds:g} s")
            elif len(numbers) > 1 and not self._limit.stopped:
                # One condition that raises must not take the answers of the others away.
                half = len(numbers) // 2
                self.do(each, numbers[:half])
                self.do(each, numbers[half:])
            else:
                self._note(numbers, str(exc))

    def _note(self, numbers: Sequence[int], problem: str) -> None:
        for number in numbers:
            self.outcomes[number] = Outcome(problem=problem)

    def _ask(self, each: Pass, numbers: Sequence[int]) -> None:
        self._limit.begin(self._options.seconds)
        begun = time.monotonic()
        first = self._tests[numbers[0]]
        if isinstance(first, RowTest | AggregateTest):
            tests = [test for number in numbers if isinstance(test := self._tests[number], RowTest | AggregateTest)]
            counts, rows = self._fused(tests)
            ms = (time.monotonic() - begun) * 1000 / len(tests)
            for number, test, count in zip(numbers, tests, counts, strict=True):
                if isinstance(test, AggregateTest):
                    self.outcomes[number] = judged(test, count, rows=rows, ms=ms)
                    continue
                shown = named(self._catalog, test.table, test.show)
                sql = rows_sql(self._catalog, table_sql(test.table), test)
                sample = self._sample(sql, test, shown) if count else ()
                self.outcomes[number] = Outcome(offenders=count, rows=rows, sample=sample, ms=ms)
            return
        count_sql, sample_sql, shown = self._statements(first)
        ((offenders, *_),) = self._connection.execute(count_sql).fetchall()
        ms = (time.monotonic() - begun) * 1000
        table = None if isinstance(first, QueryTest) else self._catalog.tables.get(first.table)
        self.outcomes[numbers[0]] = Outcome(
            offenders=int(offenders),
            rows=round(table.rows or 0) if table else int(offenders),
            sample=self._sample(sample_sql, first, shown) if offenders else (),
            ms=ms,
        )

    def _statements(self, test: Test) -> tuple[str, str, list[str]]:
        if isinstance(test, ReferenceTest):
            source, parent = f"{table_sql(test.table)} AS this", table_sql(test.parent)
            count = reference_sql(self._catalog, source, parent, test)
            sample = reference_sql(self._catalog, source, parent, test, sample=True)
            return count, sample, named(self._catalog, test.table, test.columns)
        if isinstance(test, DuplicateTest):
            source = table_sql(test.table)
            count = duplicates_sql(self._catalog, source, test)
            return count, duplicates_sql(self._catalog, source, test, sample=True), [*test.columns, "rows"]
        assert isinstance(test, QueryTest), "conditions and aggregates are fused"
        return (*query_sql(test), [])

    def _fused(self, tests: Sequence[RowTest | AggregateTest]) -> tuple[list[Any], int]:
        """Counts or values of the tests, and how many rows were read."""
        totals: list[Any] = [0 if isinstance(test, RowTest) else None for test in tests]
        read = 0
        for where in self._ranges(tests[0]):
            ((rows, *counts),) = self._connection.execute(fused_sql(table_sql(tests[0].table), tests, where)).fetchall()
            read += rows
            totals = [
                total + count if isinstance(test, RowTest) else together(test, total, count)
                for test, total, count in zip(tests, totals, counts, strict=True)
            ]
        return totals, read

    def _ranges(self, test: RowTest | AggregateTest) -> Iterator[str]:
        """Conditions that divide the rows, where a statement over all of them would keep writers waiting."""
        table = self._catalog.tables[test.table]
        taken = {column.name.lower() for column in table.columns}
        if self._connection.in_transaction or not table.rows or "rowid" in taken:
            yield ""
            return
        least, most = self._connection.execute(f"SELECT min(rowid), max(rowid) FROM {table_sql(test.table)}").fetchone()
        if least is None:
            return
        step = max(_ROWS, -(-(most - least + 1) // _SPAN))
        for first in range(least, most + 1, step):
            # The last range is open, for rows that are added meanwhile.
            yield f"rowid >= {first}" + (f" AND rowid < {first + step}" if first + step <= most else "")

    def _sample(self, sql: str, test: Test, names: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
        """The count stands, whether its rows can be shown or not."""
        self._limit.begin(self._options.seconds)
        try:
            cursor = self._connection.execute(sql)
            rows = cursor.fetchall()
        except sqlite3.Error:
            return ()
        table = None if isinstance(test, QueryTest) else self._catalog.tables.get(test.table)
        shown = names or (["place"] if table else [column[0] for column in cursor.description])
        return tuple(_row(table.shown if table else "", shown, row) for row in rows)


def _row(table: str, names: Sequence[str], row: Sequence[Any]) -> Mapping[str, Any]:
    names = names or [str(number) for number in range(1, len(row) + 1)]
    values = {name: None if value is None else str(value)[:80] for name, value in zip(names, row, strict=False)}
    return {"table": table, "row": values} if table else {"row": values}
