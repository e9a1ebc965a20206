"""An author's function inside a transaction that its caller opened and will end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bascule.databases.operations.author import AuthorFunction, call
from bascule.databases.operations.transaction_carrier import OnStatement, TransactionCarrier
from bascule.domain.statement import Dialect, Statement


def run_in_transaction(
    function: AuthorFunction, connection: Any, *, dialect: Dialect, on_statement: OnStatement | None = None
) -> None:
    """Call the author's function with an ``op`` that works on `connection`, the driver's own (psycopg or sqlite3).

    `connection` is inside a transaction that was opened by sending BEGIN (psycopg: in autocommit mode; sqlite3:
    ``isolation_level`` None). It is still inside it when this returns; nothing is committed or rolled back here. When
    this raises, the caller rolls back. `on_statement` is told each statement before it is sent, reads included
    (`only_reads` tells them apart), numbered, with its line in the author's file; what it raises stops the function.

    Raises MigrationFailed (the author's function raised, or tried to end the transaction) and the driver's own errors.
    """
    with _prepared_statements_off(connection):
        carrier = TransactionCarrier(function, connection, dialect, on_statement or _unheard)
        try:
            _run(function, carrier)
        finally:
            carrier.release()


def _run(function: AuthorFunction, carrier: TransactionCarrier) -> None:
    from bascule.databases.operations.vocabulary import make_op

    with carrier.outside.comes_first():
        call(function, make_op(carrier), state=lambda: "unchanged")
    carrier.check_whole()


@contextmanager
def _prepared_statements_off(connection: Any) -> Iterator[None]:
    # psycopg prepares what is sent often; a statement prepared before an ALTER TABLE fails after it.
    if not hasattr(connection, "prepare_threshold"):
        yield
        return
    before = connection.prepare_threshold
    connection.prepare_threshold = None
    try:
        yield
    finally:
        connection.prepare_threshold = before


def _unheard(_statement: Statement) -> None:
    pass
