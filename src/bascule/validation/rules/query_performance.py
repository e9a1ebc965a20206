"""Slow statements, and tables that the planner knows nothing of."""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, Inspection, Rule

_MANY_ROWS = 10_000
_TOLD = 5


def _inspect(asked: Asked) -> Inspection:
    findings = [
        Finding(
            words=f"the planner has no statistics of {table.shown} (about {table.rows:,.0f} rows)",
            table=table.key,
            advice=f"ANALYZE {table.shown}.",
        )
        for table in asked.catalog.tables.values()
        if not table.analyzed and (table.rows or 0) > _MANY_ROWS
    ]
    statements = asked.catalog.statements
    slow = [each for each in statements or () if each.mean_ms > asked.options.slow_ms]
    for each in sorted(slow, key=lambda each: -each.total_ms)[:_TOLD]:
        words = " ".join(each.text.split())[:120]
        findings.append(
            Finding(
                words=f"{each.calls} calls took {each.mean_ms:,.0f} ms on average: {words}",
                advice="EXPLAIN (ANALYZE, BUFFERS) the statements that take longest.",
            )
        )
    if statements is None and not findings:
        why = "SQLite times no statements" if asked.catalog.dialect == "sqlite" else "pg_stat_statements is not there"
        return Inspection(skipped=f"{why}; every large table has statistics")
    return Inspection(findings=tuple(findings), looked=f"{len(statements or ())} statements are quick")


RULE = Rule(
    id="query_performance",
    name="Query Performance",
    description="No statement takes long on average (pg_stat_statements), and the planner knows every large table.",
    category="performance",
    severity="info",
    inspect=_inspect,
)
