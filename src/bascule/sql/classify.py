"""What one statement is: its kind, what it touches and destroys, and whether a transaction can hold it."""

from __future__ import annotations

from bascule.domain.statement import Dialect, Insight, Statement


def inspect(statement: Statement, dialect: Dialect) -> Insight:
    """What reading the statement tells before it runs; never raises for SQL that cannot be read.

    A statement that is not understood has kind ``UNKNOWN`` and a touch of everything that says why: whether it is
    right is for the server to say, which may be newer than the grammar.
    """
    # Imported here: cutting a script and hashing it need no grammar.
    if dialect == "sqlite":
        from bascule.sql.sqlite.classify import inspect_sqlite

        return inspect_sqlite(statement)
    from bascule.sql.postgres.classify import inspect_postgresql

    return inspect_postgresql(statement)
