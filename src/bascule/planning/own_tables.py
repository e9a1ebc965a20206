"""Bascule's own tables are no migration's business: a script that writes to them would make the ledger a lie."""

from __future__ import annotations

import re

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect, Insight
from bascule.errors import Refused

_SQLITE = re.compile(r"\bbascule_(?:meta|ledger|step|before|preimage)", re.IGNORECASE)
_READS = ("SELECT", "EXPLAIN", "ANALYZE")


def require_not_ours(planned: PlannedMigration, dialect: Dialect, *, own: str) -> None:
    """`own`: the schema in which Bascule keeps its things. Raises `Refused` (``own_tables``)."""
    for step in planned.steps:
        for statement, insight in zip(step.statements, step.insights, strict=True):
            if insight.kind in _READS or not _names_ours(statement.text, insight, dialect, own):
                continue
            raise Refused(
                f"{planned.name}, line {statement.line}: {insight.kind} would change Bascule's own tables.",
                code="own_tables",
                hint="Take it out. What the ledger says is changed with bascule mark, and bascule accept for an edited "
                "file.",
            )


def _names_ours(text: str, insight: Insight, dialect: Dialect, own: str) -> bool:
    if dialect == "sqlite":
        return insight.kind in ("INSERT", "UPDATE", "DELETE", "ALTER TABLE", "DROP TABLE") and bool(
            _SQLITE.search(text)
        )
    if own not in text:
        return False
    return any(each.schema == own for each in insight.touch.objects | insight.touch.runs if each.kind == "relation")
