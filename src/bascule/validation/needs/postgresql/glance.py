"""A first, quick look at statements of PostgreSQL, which most of them do not pass."""

from __future__ import annotations

import re

from bascule.domain.statement import Insight, Statement

_ASKS = re.compile(
    r"\b(?:null|unique|primary|check|foreign|references|validate|type|exclude|generated|expression|partition)\b"
    # A default has to fit a domain; of the server's own types it always does.
    r"|\bdefault\b",
    re.IGNORECASE,
)
_PARTITION = re.compile(r"\bpartition\s+of\b", re.IGNORECASE)


def may_ask(statement: Statement, insight: Insight) -> bool:
    """Whether the statement can need anything at all."""
    kind = insight.kind
    if kind in ("ALTER TABLE", "ALTER DOMAIN"):
        return _ASKS.search(statement.text) is not None
    if kind == "CREATE TABLE":
        return _PARTITION.search(statement.text) is not None
    return kind.startswith("CREATE INDEX") and "unique" in statement.text[:200].lower()
