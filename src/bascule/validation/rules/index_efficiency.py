"""Indexes that do nothing, and one that is missing.

Bad: an INVALID index that every write pays for; two indexes of one shape; a foreign key whose column has no index, so
that deleting a parent reads the whole child table. Good: one valid index for each way of asking.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, IndexFacts, Inspection, Rule, TableFacts
from bascule.validation.rules.fk_integrity import leading_index

_WORTH = 1 << 20
"""Bytes below which an unused index is not worth a word."""
_USED = 100
"""Uses of a table's other indexes from which on it counts that one was never used."""
_ROWS = 1_000
"""Rows of a child table below which a missing index is no loss."""


def _invalid(table: TableFacts) -> list[Finding]:
    return [
        Finding(
            words=f"{table.shown}: index {index.name} is INVALID",
            table=table.key,
            advice=f"DROP INDEX CONCURRENTLY {index.name}, or REINDEX INDEX CONCURRENTLY {index.name}.",
        )
        for index in table.indexes
        if not index.valid
    ]


def _duplicates(table: TableFacts) -> list[Finding]:
    kept: dict[str, IndexFacts] = {}
    findings = []
    # What a constraint stands on is kept, and then what is unique.
    for index in sorted(table.indexes, key=lambda each: (not each.constraint, not each.unique, each.name)):
        if not index.valid:
            continue
        other = kept.setdefault(index.shape, index)
        if other is not index and not index.constraint:
            words = f"{table.shown}: index {index.name} does what {other.name} does"
            findings.append(Finding(words=words, table=table.key, advice=f"Drop the index {index.name}."))
    return findings


def _unused(table: TableFacts) -> list[Finding]:
    counted = [index for index in table.indexes if index.scans is not None]
    used = sum(index.scans or 0 for index in counted)
    return [
        Finding(
            words=f"{table.shown}: index {index.name} ({index.bytes >> 20} MiB) was never used",
            table=table.key,
            advice=f"Look at every replica too; then drop the index {index.name}.",
        )
        for index in counted
        if index.scans == 0
        and used >= _USED
        and index.bytes >= _WORTH
        and index.valid
        and not index.unique
        and not index.constraint
    ]


def _unindexed(table: TableFacts) -> list[Finding]:
    return [
        Finding(
            words=f"{table.shown} ({', '.join(each.columns)}) is a foreign key without an index",
            table=table.key,
            advice="Create an index there: deleting or changing a parent reads the whole table.",
        )
        for each in table.constraints
        if each.kind == "foreign" and (table.rows or 0) >= _ROWS and not leading_index(table, each.columns)
    ]


def inspect(asked: Asked) -> Inspection:
    """All from the catalog and its statistics."""
    findings = [
        finding
        for table in asked.tables
        for found in (_invalid(table), _duplicates(table), _unused(table), _unindexed(table))
        for finding in found
    ]
    count = sum(len(table.indexes) for table in asked.tables)
    return Inspection(findings=tuple(findings), looked=f"{count} indexes are valid, used and needed")


RULE = Rule(
    id="index_efficiency",
    name="Index Efficiency",
    description="No invalid, duplicate or unused indexes, and no foreign keys without one.",
    category="performance",
    severity="info",
    inspect=inspect,
)
