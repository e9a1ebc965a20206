"""``op``: Alembic's operations on one of our carriers, and the operations Bascule adds.

The one file that knows Alembic from inside. What it relies on and what Alembic does not promise: a `DefaultImpl`'s
constructor, its ``execute``, ``bulk_insert`` and ``prep_table_for_batch``; that a `MigrationContext` and its operations
work through ``context.impl``; and that a class of impl without a ``__dialect__`` of its own is not registered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import groupby
from types import new_class
from typing import TYPE_CHECKING, Any

from alembic.ddl.impl import DefaultImpl
from alembic.operations import BatchOperations, Operations
from alembic.runtime.migration import MigrationContext

from bascule.databases.operations.backfill import Backfill
from bascule.databases.operations.carrier import Carrier
from bascule.databases.operations.literals import literal

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_ESCAPED_COLON = re.compile(r"\\(:[\w$]*)(?![:\w$])")
"""``\\:name``, which authors write because SQLAlchemy would take ``:name`` for a parameter. Here nothing is one."""


def make_op(carrier: Carrier) -> Operations:
    """The object that is handed to the author's function."""
    context = _Context(carrier.connection.dialect, carrier.connection, {"transactional_ddl": True})
    context.carrier = carrier
    context.impl = _impl(context, carrier)
    return _Op(context)


class _Context(MigrationContext):
    """Alembic's context, without its hand on the transaction."""

    carrier: Carrier

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        self.carrier.enter_autocommit()
        yield

    def begin_transaction(self, _per_migration: bool = False) -> AbstractContextManager[None, bool | None]:
        return nullcontext()


class _Op(Operations):
    """Alembic's vocabulary and Bascule's additions."""

    def __init__(self, context: _Context) -> None:
        super().__init__(context)
        self._carrier = context.carrier

    def get_bind(self) -> Connection:
        return self._carrier.bind()

    @contextmanager
    def batch_alter_table(self, table_name: str, *arguments: Any, **options: Any) -> Iterator[BatchOperations]:
        with self._carrier.copying(), super().batch_alter_table(table_name, *arguments, **options) as batch:
            yield batch

    def literal(self, value: object) -> str:
        """The SQL text that means `value`, for the expressions of `backfill`. Raises TypeError, ValueError."""
        return literal(value, self._carrier.dialect)

    def backfill(
        self,
        table: str,
        set: Mapping[str, str],  # noqa: A002 - the word users know from UPDATE
        where: str | None = None,
        key: str | Sequence[str] | None = None,
        batch: int | None = None,
        *,
        schema: str | None = None,
    ) -> None:
        """Set columns of the existing rows of `table` to SQL expressions.

        The texts go to the server as written: ``%`` and ``:`` are not placeholders; values are written by `literal`.
        Rows that do not meet `where` are left alone. In a transactional migration it is one UPDATE inside its
        transaction. In one with ``transactional = False`` it runs in batches, each committed by itself, along `key`
        (the primary key unless given: one column or several, never NULL), up to the largest key there is when it
        begins: rows added meanwhile are the application's own to fill. `batch` is the number of rows in one; None: as
        many as take some 20 ms.
        """
        work = Backfill.declared(table, set, where=where, key=key, batch=batch, schema=schema)
        self._carrier.backfill(work)


class _CarriedImpl(DefaultImpl):
    """What differs from Alembic's own implementation of each database."""

    carrier: Carrier

    def execute(self, sql: Any, execution_options: dict[str, Any] | None = None) -> None:
        """``op.execute``: a text goes as written. It cannot have parameters; Alembic only fails on its colons."""
        if isinstance(sql, str):
            self.carrier.send(_ESCAPED_COLON.sub(r"\1", sql))
        else:
            super().execute(sql, execution_options)

    def bulk_insert(self, table: Any, rows: Any, multiinsert: bool = True) -> None:
        at_once = self.carrier.rows_per_insert
        if at_once is None or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            super().bulk_insert(table, rows, multiinsert=multiinsert)
            return
        for some in _alike(rows, at_once if multiinsert else 1):
            self.carrier.connection.execute(table.insert().inline().values(some))

    def prep_table_for_batch(self, batch_impl: Any, table: Any) -> None:
        self.carrier.recreate(table.name, table.schema, reflected=batch_impl.reflected)
        super().prep_table_for_batch(batch_impl, table)


def _impl(context: _Context, carrier: Carrier) -> _CarriedImpl:
    base = DefaultImpl.get_by_dialect(context.dialect)
    carried: type[_CarriedImpl] = new_class("CarriedImpl", (_CarriedImpl, base))
    impl = carried(context.dialect, carrier.connection, False, True, None, {})
    impl.carrier = carrier
    return impl


def _alike(rows: list[dict[str, Any]], at_most: int) -> Iterator[list[dict[str, Any]]]:
    """The rows in order, in lists whose rows have the same columns: one statement can hold no others."""
    for _, same in groupby(rows, key=lambda row: tuple(sorted(row))):
        columns_equal = list(same)
        for start in range(0, len(columns_equal), at_most):
            yield columns_equal[start : start + at_most]
