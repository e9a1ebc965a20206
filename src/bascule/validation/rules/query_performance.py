"""Statements that take long, as the server has timed them.

Bad: a statement of two seconds, called a thousand times. Good: an index for it.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, Inspection, Rule

_CALLS = 5
"""A statement called less often says little."""
_MOST = 10


def inspect(asked: Asked) -> Inspection:
    """What pg_stat_statements has."""
    statements = asked.catalog.statements
    if statements is None:
        return Inspection(
            skipped="SQLite times no statements"
            if asked.catalog.dialect == "sqlite"
            else "the extension pg_stat_statements is not there, or this role may not read it"
        )
    slow = [each for each in statements if each.calls >= _CALLS and each.mean_ms >= asked.options.slow_ms]
    slow.sort(key=lambda each: -each.total_ms)
    return Inspection(
        findings=tuple(
            Finding(
                words=f"{each.mean_ms:,.0f} ms on average, called {each.calls:,} times: {each.text}",
                advice="Look at the statement's plan (EXPLAIN).",
            )
            for each in slow[:_MOST]
        ),
        looked=f"none of {len(statements)} statements takes {asked.options.slow_ms:g} ms on average",
    )


RULE = Rule(
    id="query_performance",
    name="Query Performance",
    description="No statement that is often called takes long (pg_stat_statements).",
    category="performance",
    severity="info",
    inspect=inspect,
)
