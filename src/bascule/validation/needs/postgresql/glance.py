"""A first, quick look at statements of PostgreSQL, which most of them do not pass."""

from __future__ import annotations

import re

from bascule.domain.statement import Insight, Statement

_ASKS = re.compile(r"\b(?:null|unique|primary|check|foreign|references|validate|type|exclude)\b", re.IGNORECASE)


def may_ask(statement: Statement, insight: Insight) -> bool:
    """Whether the statement can need anything at all."""
    kind = insight.kind
    if kind in ("ALTER TABLE", "ALTER DOMAIN"):
        return _ASKS.search(statement.text) is not None
    return kind.startswith("CREATE INDEX") and "unique" in statement.text[:200].lower()
