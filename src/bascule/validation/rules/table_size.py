"""Tables that are large, or hold much that is dead.

Bad: a table half of which is dead rows, for autovacuum does not keep up. Good: partitions that can be dropped.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, Inspection, Rule

_DEAD_SHARE = 0.2
_DEAD_ROWS = 10_000


def inspect(asked: Asked) -> Inspection:
    """By the catalog and its statistics."""
    findings = []
    for table in asked.tables:
        if table.bytes > asked.options.large_table:
            words = f"{table.shown} takes {_size(table.bytes)} with its indexes"
            findings.append(Finding(words=words, table=table.key, advice="Think of partitions or of an archive."))
        every = (table.rows or 0) + table.dead_rows
        if table.dead_rows > _DEAD_ROWS and table.dead_rows > _DEAD_SHARE * every:
            words = f"{table.shown} holds {table.dead_rows:,.0f} dead rows beside {table.rows or 0:,.0f} living ones"
            advice = "Find what holds autovacuum up (long transactions, replication slots), then VACUUM."
            findings.append(Finding(words=words, table=table.key, advice=advice))
    total = sum(table.bytes for table in asked.tables)
    return Inspection(
        findings=tuple(findings),
        looked=f"{len(asked.tables)} tables take {total / (1 << 20):,.0f} MiB, "
        f"none more than {_size(asked.options.large_table)}",
    )


def _size(count: int) -> str:
    """``1.5 GiB``, ``16 KiB``."""
    for exponent, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << exponent:
            return f"{round(count / (1 << exponent), 1):g} {unit}"
    return f"{count} bytes"


RULE = Rule(
    id="table_size",
    name="Table Size",
    description="No table is larger than the limit or full of dead rows.",
    category="performance",
    severity="info",
    inspect=inspect,
)
