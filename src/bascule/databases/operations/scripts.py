"""SQL text as an author sends it: one statement or several."""

from __future__ import annotations

from bascule.databases.operations import refusals
from bascule.databases.operations.control import ends_transaction, ignored_inside_transaction
from bascule.domain.statement import Dialect, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.refused import refusal
from bascule.sql.split import split


def statements_in(sql: str, dialect: Dialect) -> tuple[Statement, ...]:
    """The statements of the text. Raises ValueError for text that cannot be read as SQL or holds no statement."""
    try:
        statements = split(sql, dialect)
    except SqlSyntaxProblem as problem:
        raise ValueError(f"op.execute: the text is not SQL: {problem.message}") from problem
    if not statements:
        raise ValueError("op.execute: the text holds no statement")
    return statements


def check_inside_transaction(sql: str, dialect: Dialect) -> None:
    """Raise MigrationFailed for a statement that would end the transaction, or silently do nothing inside one, and for
    one that no migration may hold.
    """
    try:
        pieces = [statement.text for statement in split(sql, dialect)]
    except SqlSyntaxProblem:
        # The server is to say what is wrong with it.
        pieces = [sql]
    for piece in pieces:
        if (word := ends_transaction(piece, dialect)) is not None:
            raise refusals.ending_refused(word)
        if (pragma := ignored_inside_transaction(piece, dialect)) is not None:
            raise refusals.pragma_ignored(pragma)
        if (reason := refusal(piece, dialect)) is not None:
            raise refusals.not_in_a_migration(reason)
