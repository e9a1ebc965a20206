"""What a script sets for its session (PRAGMA, ATTACH): made before its transaction, and taken back after it.

The connection serves many migrations, so nothing that one of them set may reach the next. Temporary objects stay:
later steps of the same script may rely on them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

_TELLING = re.compile(r"\s*(?:PRAGMA|ATTACH|DETACH)\b", re.IGNORECASE)
# Atomic, so that a statement of ten thousand comments is read once.
_CONTROL = re.compile(
    r"(?>\s+|;|--[^\n]*|/\*.*?(?:\*/|\Z))*+(BEGIN|COMMIT|END|ROLLBACK)\b(.*)", re.IGNORECASE | re.DOTALL
)
_TO_SAVEPOINT = re.compile(r"\s+(?:TRANSACTION\s+)?TO\b", re.IGNORECASE)

# Those that end with the connection. The lasting ones (user_version, auto_vacuum, a change to or from WAL…) are the
# author's to set for good.
_PRAGMAS = (
    "foreign_keys",
    "legacy_alter_table",
    "ignore_check_constraints",
    "recursive_triggers",
    "writable_schema",
    "trusted_schema",
    "cell_size_check",
    "automatic_index",
    "reverse_unordered_selects",
    "query_only",
    "read_uncommitted",
    "secure_delete",
    "synchronous",
    "fullfsync",
    "cache_size",
    "cache_spill",
    "max_page_count",
    "temp_store",
    "threads",
    "locking_mode",
    "journal_mode",
    "busy_timeout",
)
_LASTING_JOURNALS = {"wal", "delete"}
UNSAFE_JOURNALS = {"off", "memory"}
"""With these a transaction that is killed in the middle leaves a damaged file."""


def ends_transaction(text: str) -> bool:
    """The statement would begin or end the transaction that Bascule holds around it."""
    control = _CONTROL.match(text)
    return control is not None and not (control[1].upper() == "ROLLBACK" and _TO_SAVEPOINT.match(control[2]))


def changes_session(texts: Iterable[str]) -> bool:
    """One of these statements may set something that outlives a transaction."""
    return any(_TELLING.match(text) for text in texts)


class SessionState:
    """How a connection was set at one moment, and the way back to it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Look. Only outside a transaction."""
        self._connection = connection
        self._pragmas = self._look()
        self._databases = self._attached()

    def restore(self) -> None:
        """Set it back. Only outside a transaction. Raises sqlite3.Error, after which the connection is best closed."""
        for name in self._attached() - self._databases:
            self._connection.execute('DETACH DATABASE "{}"'.format(name.replace('"', '""')))
        for name, value in self._look().items():
            before = self._pragmas.get(name)
            if value == before or (name == "journal_mode" and value in _LASTING_JOURNALS):
                continue
            self._connection.execute(f"PRAGMA {name} = {before}").fetchall()
            if name == "locking_mode":
                # Giving up an exclusive lock takes one more access.
                self._connection.execute("SELECT count(*) FROM main.sqlite_master").fetchone()

    def _look(self) -> dict[str, object]:
        values: dict[str, object] = {}
        for name in _PRAGMAS:
            row = self._connection.execute(f"PRAGMA main.{name}").fetchone()
            if row is not None:
                values[name] = row[0]
        # The one that cannot be asked for its value.
        (folds,) = self._connection.execute("SELECT 'a' LIKE 'A'").fetchone()
        values["case_sensitive_like"] = int(not folds)
        return values

    def _attached(self) -> set[str]:
        names = {row[1] for row in self._connection.execute("PRAGMA database_list").fetchall()}
        return names - {"main", "temp"}
