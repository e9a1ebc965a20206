"""SQLite's PRAGMA: which ones no transaction can hold, and which ones a new connection would not know."""

from __future__ import annotations

from bascule.domain.statement import Effect, Insight, Statement, Touch
from bascule.sql.sqlite.words import Words

# Refused inside a transaction, or (foreign_keys, the dangerous one) passed over there without a word.
_OUTSIDE = frozenset(("foreign_keys", "journal_mode", "locking_mode", "synchronous", "temp_store", "wal_checkpoint"))

# They change what is stored, or only the transaction they stand in, and so leave nothing in the session.
_NOT_OF_THE_SESSION = frozenset(
    ("application_id", "defer_foreign_keys", "incremental_vacuum", "journal_mode", "user_version", "wal_checkpoint")
)

# Their argument says what to look at, or do: it sets nothing.
_ASKS = frozenset(
    (
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "optimize",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    )
)

# What they set is kept in the file, beside the schema.
_KEPT = frozenset(
    ("application_id", "auto_vacuum", "default_cache_size", "encoding", "journal_mode", "page_size", "user_version")
)

_TAKES_NO_VALUE = frozenset(("wal_checkpoint",))


def inspect_pragma(words: Words, statement: Statement) -> Insight:
    """A PRAGMA that only asks leaves nothing behind; one that sets may."""
    words.take("pragma")
    name = words.name()
    if words.take("."):
        name = words.name()
    sets = words.peek() in ("=", "(") and name not in _ASKS
    if not sets and name not in _TAKES_NO_VALUE:
        return Insight(kind="PRAGMA", transactional=True)
    transactional = name not in _OUTSIDE
    return Insight(
        kind="PRAGMA",
        transactional=transactional,
        session=name not in _NOT_OF_THE_SESSION,
        touch=_touch(name, statement),
        effect=None if transactional else Effect(action="harmless"),
    )


def _touch(name: str, statement: Statement) -> Touch:
    if name in _KEPT:
        return Touch(unseen=(f"line {statement.line}: PRAGMA {name} sets what is kept beside the schema",))
    if name != "writable_schema":
        return Touch()
    reason = f"line {statement.line}: PRAGMA writable_schema opens the schema to what parsing cannot follow"
    return Touch(everything=True, reasons=(reason,))
