"""What Bascule does around a script, as SQL that a person can run with psql."""

from __future__ import annotations

from bascule.databases.postgres.catalog import touch_json
from bascule.databases.postgres.layout import make_sql
from bascule.databases.postgres.message import identifier, literal
from bascule.domain.history import LedgerEntry
from bascule.domain.statement import Touch
from bascule.ports.database import LedgerChange

_COLUMNS = "name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, parser, how, repeatable, script"

SETTINGS = "SET standard_conforming_strings = on;\n"
"""As in the sessions of a run: the scripts' texts were read that way, and ours are written for it."""


def setup(schema: str) -> str:
    """Makes Bascule's own schema, in a transaction."""
    return f"BEGIN;\n{make_sql(schema)}\nCOMMIT;\n"


def keep(schema: str, migration: str, touch: Touch) -> str:
    """Keeps the look of before, as a run does."""
    return f"SELECT {identifier(schema)}.keep({literal(migration)}, {literal(touch_json(touch))}::pg_catalog.jsonb);"


def ledger(schema: str, change: LedgerChange) -> str:
    """The ledger row's statements."""
    own = identifier(schema)
    if change.entry is None:
        name = literal(change.remove)
        return f"DELETE FROM {own}.ledger WHERE name = {name};\nDELETE FROM {own}.before WHERE migration = {name};"
    entry = change.entry
    return (
        f"DELETE FROM {own}.ledger WHERE name = {literal(entry.name)};\n"
        f"INSERT INTO {own}.ledger ({_COLUMNS})\nVALUES ({_values(entry)});"
    )


def leaving(schema: str, migration: str) -> tuple[str, ...]:
    """Off the ledger, with marks; the look of before stays."""
    own, name = identifier(schema), literal(migration)
    return f"DELETE FROM {own}.ledger WHERE name = {name}", f"DELETE FROM {own}.mark WHERE migration = {name}"


def _values(entry: LedgerEntry) -> str:
    words = (entry.exact_hash, entry.semantic_hash, entry.parser, entry.how)
    return ", ".join(
        (
            literal(entry.name),
            literal(entry.version),
            literal(entry.run_id),
            "pg_catalog.clock_timestamp()",
            "0",
            *(literal(word) for word in words),
            "true" if entry.repeatable else "false",
            literal(entry.script),
        )
    )
