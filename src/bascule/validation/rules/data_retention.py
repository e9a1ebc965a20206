"""Rows that are older than the project says they may get.

Bad: sessions of 2019. Good: ``table = "sessions", column = "last_seen", keep = "90d"`` and a job that deletes.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, ColumnFacts, Declaration, Inspection, Rule
from bascule.validation.declared import only_declared
from bascule.validation.scans import quoted

_DAY = 86_400


def _older(asked: Asked, declaration: Declaration, column: ColumnFacts) -> tuple[str, str]:
    name, seconds = quoted(column.name), declaration.keep_seconds or 0.0
    kept = f"{seconds / _DAY:g} days" if seconds >= _DAY else f"{seconds:g} s"
    if asked.catalog.dialect == "sqlite":
        moment = f"CASE typeof({name}) WHEN 'integer' THEN datetime({name}, 'unixepoch') ELSE datetime({name}) END"
        return f"({moment}) < datetime('now', '-{seconds:.0f} seconds')", f"is older than {kept}"
    return f"{name} < now() - interval '{seconds:.0f} seconds'", f"is older than {kept}"


def inspect(asked: Asked) -> Inspection:
    """Nothing but declarations."""
    return only_declared(
        asked,
        lambda declaration, column: _older(asked, declaration, column),
        advice="Delete or archive what is older than it may get.",
    )


RULE = Rule(
    id="data_retention",
    name="Data Retention",
    description="No rows are older than declared.",
    category="business_logic",
    severity="info",
    inspect=inspect,
)
