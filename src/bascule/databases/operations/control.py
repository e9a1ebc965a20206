"""What the first words of a statement tell: does it end the transaction it runs in, does it only read?"""

from __future__ import annotations

from itertools import islice

from bascule.domain.statement import Dialect
from bascule.sql.lexer import fold, significant

_READ_WITH_ARGUMENT = frozenset(
    (
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "foreign_key_check",
        "integrity_check",
        "quick_check",
    )
)
"""Pragmas of SQLite that read although something in parentheses follows them; any other then sets a value."""

_IGNORED_IN_A_TRANSACTION = frozenset(("foreign_keys", "journal_mode"))

_WRITES_INSIDE_WITH = frozenset(("insert", "update", "delete", "merge"))


def ends_transaction(sql: str, dialect: Dialect) -> str | None:
    """The transaction command that `sql` is, in words of SQL; None for everything else, savepoints included."""
    first, *rest = [*_words(sql, dialect, limit=4), ""]
    if first in ("commit", "end", "abort", "begin"):
        return first.upper()
    if first == "rollback" and "to" not in rest[:2]:
        return "ROLLBACK"
    if first in ("start", "prepare") and rest[0] == "transaction":
        return f"{first.upper()} TRANSACTION"
    return None


def transaction_command(sql: str, dialect: Dialect) -> str | None:
    """The transaction command that `sql` is, savepoints included; None for everything else."""
    first = next(iter(_words(sql, dialect, limit=1)), "")
    return first.upper() if first in ("savepoint", "release", "rollback") else ends_transaction(sql, dialect)


def ignored_inside_transaction(sql: str, dialect: Dialect) -> str | None:
    """The pragma that `sql` sets, where SQLite takes the setting inside a transaction and silently does nothing."""
    if dialect != "sqlite":
        return None
    words = _words(sql, dialect, limit=6)
    if words[:1] != ["pragma"] or not {"=", "("} & set(words):
        return None
    return next((word for word in words if word in _IGNORED_IN_A_TRANSACTION), None)


def only_reads(sql: str, dialect: Dialect) -> bool:
    """Whether `sql` is a query, going by its words. A function that a query calls may still write."""
    words = _words(sql, dialect)
    while words[:1] == ["("]:
        words.pop(0)
    first = words[0] if words else ""
    if first == "select":
        return "into" not in words
    if first == "with":
        return "into" not in words and not _WRITES_INSIDE_WITH & set(words)
    if first == "explain":
        return "analyze" not in words and "analyse" not in words
    if first == "pragma":
        return _pragma_reads(words[1:])
    return first in ("values", "table", "show")


def _pragma_reads(words: list[str]) -> bool:
    if "=" in words:
        return False
    return "(" not in words or bool(_READ_WITH_ARGUMENT & set(words[: words.index("(")]))


def _words(sql: str, dialect: Dialect, limit: int | None = None) -> list[str]:
    """Words and signs, folded, without strings and quoted names, whose contents are no keywords."""
    tokens = islice(significant(sql, dialect), limit)
    return [fold(sql[start:end]) for kind, start, end in tokens if kind in ("word", "symbol", "operator")]
