"""A backfill in batches: which rows each takes, how large it is, and where the next run goes on after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bascule.databases.operations.backfill import BackfillText
from bascule.domain.statement import Dialect, Statement

DONE = "done"
"""The cursor of a batched step that has come to its end."""

_START = 500
_CAP = 50_000
_GROWTH = 1.5
_AIM = 0.020
"""Seconds a batch should take: short enough that nobody who waits for one of its rows notices."""


class BatchedSteps(Protocol):
    """How a batched step is performed and remembered.

    `step` is the same statement in all three: the whole UPDATE as it would be without batches, with its place in the
    script. Compare it with what is remembered as for any other step. Cursors are opaque texts; they hold keys of rows.
    """

    def position(self, step: Statement) -> str | None:
        """The cursor that the last committed batch of this step left, on this run or an earlier one.

        `DONE` after `finish`; None when it has not begun. Raises where another statement was performed at this place.
        """

    def run(self, step: Statement, batch: Statement, cursor: str) -> int:
        """In one transaction: perform `batch`, keep `cursor` as the position of `step`. Answers the rows changed."""

    def finish(self, step: Statement) -> None:
        """Remember that the step is done."""


Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Rows of a query, on a connection that may only read and holds no transaction open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a backfill has come. Keys are SQL literals, as the server itself wrote them."""

    after: tuple[str, ...] | None
    """Key of the last row of the last batch; None before the first."""
    upto: tuple[str, ...]
    """Largest key when the backfill began: it ends there, however many rows are being added."""

    def text(self) -> str:
        """For keeping."""
        return json.dumps({"after": self.after, "upto": self.upto})

    @classmethod
    def parsed(cls, text: str) -> Cursor:
        """What `text` made."""
        kept = json.loads(text)
        after = kept["after"]
        return cls(after=None if after is None else tuple(after), upto=tuple(kept["upto"]))


@dataclass(slots=True, kw_only=True)
class Pace:
    """The number of rows of the next batch, following the time that the last ones took."""

    fixed: int | None = None
    rows: int = field(default=_START, init=False)

    def __post_init__(self) -> None:
        self.rows = self.fixed or _START

    def took(self, seconds: float) -> None:
        """A batch of `rows` rows took so long: grow, shrink, or stay as it is."""
        if self.fixed is not None:
            return
        if seconds < _AIM:
            self.rows = min(int(self.rows * _GROWTH), _CAP)
        elif seconds > 2 * _AIM:
            self.rows = max(int(self.rows / _GROWTH), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLoop:
    """One backfill step on its way through the table."""

    step: Statement
    text: BackfillText
    dialect: Dialect
    ask: Ask
    steps: BatchedSteps
    clock: Callable[[], float]

    def perform(self) -> None:
        """Begin, or go on where the last committed batch ended, and finish. Raises ValueError where there is no key."""
        kept = self.steps.position(self.step)
        if kept == DONE:
            return
        keys = self.text.work.key or self._primary_key()
        cursor = self._start(keys) if kept is None else Cursor.parsed(kept)
        if cursor is not None:
            self._run(keys, cursor)
        self.steps.finish(self.step)

    def _run(self, keys: tuple[str, ...], cursor: Cursor) -> None:
        pace = Pace(fixed=self.text.work.batch)
        while cursor.after != cursor.upto:
            end = self._end_of_batch(keys, cursor, pace.rows)
            batch = replace(self.step, text=self.text.update(self._between(keys, cursor.after, end)))
            cursor = replace(cursor, after=end)
            started = self.clock()
            self.steps.run(self.step, batch, cursor.text())
            pace.took(self.clock() - started)

    def _start(self, keys: tuple[str, ...]) -> Cursor | None:
        """Before the first batch; None when the table is empty. Raises ValueError for a key that not every row has."""
        self._refuse_missing_keys(keys)
        last = self._key_of(keys, f"ORDER BY {', '.join(f'{self.text.quote(key)} DESC' for key in keys)} LIMIT 1")
        return None if last is None else Cursor(after=None, upto=last)

    def _end_of_batch(self, keys: tuple[str, ...], cursor: Cursor, rows: int) -> tuple[str, ...]:
        """Key of the last row of the next batch. Rows that need no filling count too: finding them costs the same."""
        order = ", ".join(self.text.quote(key) for key in keys)
        rest = f"WHERE {self._between(keys, cursor.after, cursor.upto)} ORDER BY {order} LIMIT 1 OFFSET {rows - 1}"
        return self._key_of(keys, rest) or cursor.upto

    def _between(self, keys: tuple[str, ...], after: tuple[str, ...] | None, upto: tuple[str, ...]) -> str:
        key = _row([self.text.quote(name) for name in keys])
        end = f"{key} <= {_row(upto)}"
        return end if after is None else f"{key} > {_row(after)} AND {end}"

    def _key_of(self, keys: tuple[str, ...], rest: str) -> tuple[str, ...] | None:
        """Key of the first row that a query ending in `rest` finds, as literals."""
        columns = ", ".join(self._literal_of(self.text.quote(key)) for key in keys)
        rows = self.ask(f"SELECT {columns} FROM {self.text.table} {rest}")
        return tuple(str(value) for value in rows[0]) if rows else None

    def _literal_of(self, column: str) -> str:
        return f"quote_literal({column}::text)" if self.dialect == "postgresql" else f"quote({column})"

    def _refuse_missing_keys(self, keys: tuple[str, ...]) -> None:
        missing = " OR ".join(f"{self.text.quote(key)} IS NULL" for key in keys)
        if self.text.work.key is not None and self.ask(f"SELECT 1 FROM {self.text.table} WHERE {missing} LIMIT 1"):
            raise ValueError(
                f"op.backfill: {', '.join(keys)} of {self.text.table} is NULL in some rows, "
                "which no batch would reach: give a key that every row has"
            )

    def _primary_key(self) -> tuple[str, ...]:
        find = _primary_key_of_postgresql if self.dialect == "postgresql" else _primary_key_of_sqlite
        keys = find(self.text, self.ask)
        if not keys:
            raise ValueError(
                f"op.backfill: {self.text.table} has no primary key to cut batches along: give key=…, "
                "a column or columns that are never NULL, with an index"
            )
        return keys


def _row(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"({', '.join(values)})"


def _primary_key_of_postgresql(text: BackfillText, ask: Ask) -> tuple[str, ...]:
    table = text.table.replace("'", "''")
    rows = ask(
        "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(number, place), pg_attribute a "
        f"WHERE i.indrelid = '{table}'::regclass AND i.indisprimary "
        "AND a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place"
    )
    return tuple(row[0] for row in rows)


def _primary_key_of_sqlite(text: BackfillText, ask: Ask) -> tuple[str, ...]:
    """A key that is never NULL and that VACUUM does not renumber, as it does a bare rowid."""
    table, schema = (name.replace("'", "''") for name in (text.work.table, text.work.schema or "main"))
    rows = ask(f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table}', '{schema}') WHERE pk ORDER BY pk")
    if len(rows) == 1 and str(rows[0][1]).upper() == "INTEGER":
        return (rows[0][0],)
    return tuple(row[0] for row in rows) if all(row[2] for row in rows) else ()
