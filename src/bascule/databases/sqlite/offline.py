"""What Bascule does around a script, as SQL that a person can run with the sqlite3 shell."""

from __future__ import annotations

import uuid

from bascule.databases.sqlite.layout import LAYOUT, TABLES
from bascule.databases.sqlite.memory import NOW
from bascule.domain.history import LedgerEntry
from bascule.ports.database import LedgerChange

_COLUMNS = "name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, parser, how, repeatable, script"


def setup() -> str:
    """Makes Bascule's own tables, in a transaction.

    Where they are already there nothing happens: two scripts made before either was run both bring them along.
    """
    words = {"layout": str(LAYOUT), "identity": str(uuid.uuid4()), "token": "0"}
    rows = ", ".join(f"({_text(key)}, {_text(value)})" for key, value in words.items())
    tables = "".join(f"{_unless_there(table)};\n" for table in TABLES)
    return f"BEGIN IMMEDIATE;\n{tables}INSERT OR IGNORE INTO main.bascule_meta VALUES {rows};\nCOMMIT;\n"


def ledger(change: LedgerChange) -> str:
    """The ledger row's statements."""
    if change.entry is None:
        name = _text(change.remove or "")
        return (
            f"DELETE FROM main.bascule_ledger WHERE name = {name};\n"
            f"DELETE FROM main.bascule_before WHERE migration = {name};"
        )
    entry = change.entry
    return (
        f"DELETE FROM main.bascule_ledger WHERE name = {_text(entry.name)};\n"
        f"INSERT INTO main.bascule_ledger ({_COLUMNS})\nVALUES ({_values(entry)});"
    )


def leaving(migration: str) -> tuple[str, ...]:
    """Off the ledger, with marks; the look of before stays."""
    name = _text(migration)
    kept = f"SELECT name, before FROM main.bascule_ledger WHERE name = {name} AND before IS NOT NULL"
    return (
        f"INSERT OR IGNORE INTO main.bascule_before {kept}",
        f"DELETE FROM main.bascule_ledger WHERE name = {name}",
        f"DELETE FROM main.bascule_step WHERE migration = {name}",
    )


def _unless_there(create: str) -> str:
    """``CREATE … main.name`` as ``CREATE … IF NOT EXISTS main.name``."""
    return create.replace(" main.", " IF NOT EXISTS main.", 1)


def _values(entry: LedgerEntry) -> str:
    words = (entry.exact_hash, entry.semantic_hash, entry.parser, entry.how)
    first = (_text(entry.name), _text(entry.version), _text(entry.run_id), NOW, "0")
    return ", ".join((*first, *map(_text, words), "1" if entry.repeatable else "0", _text(entry.script)))


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
