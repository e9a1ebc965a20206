"""Rows that share what is declared unique, where no valid index watches over it.

Bad: a ``CREATE UNIQUE INDEX CONCURRENTLY`` that failed and left an INVALID index. Good: drop it, merge the rows
that are alike, build it again.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, DuplicateTest, Finding, IndexFacts, Inspection, Rule, TableFacts


def _finding(table: TableFacts, index: IndexFacts) -> Finding:
    return Finding(
        words=f"{table.shown}: the unique index {index.name} is INVALID and of a form that is not read: "
        "nobody knows whether rows share its values",
        table=table.key,
        advice=f"REINDEX INDEX CONCURRENTLY {index.name}, or drop it and build it again.",
    )


def inspect(asked: Asked) -> Inspection:
    """Invalid unique indexes; of SQLite all."""
    tests: list[DuplicateTest] = []
    findings = []
    known = 0
    trusting = asked.options.trust_catalog and asked.catalog.dialect == "postgresql"
    for table in asked.tables:
        for index in (each for each in table.indexes if each.unique):
            names = tuple(name for name in index.columns if name is not None)
            # What is the row's own number cannot stand twice, whatever becomes of indexes.
            if index.valid and (trusting or index.shape == "rowid"):
                known += 1
            elif len(names) == len(index.columns) and not index.partial:
                words = f"{table.shown} ({', '.join(names)}) is not unique"
                tests.append(DuplicateTest(table=table.key, columns=names, words=words, nulls_alike=index.nulls_alike))
            elif not index.valid:
                findings.append(_finding(table, index))
    return Inspection(
        findings=tuple(findings),
        tests=tuple(tests),
        looked=f"what is declared unique is: {known} by valid indexes, {len(tests)} read",
        advice="Merge the rows that are alike, then REINDEX.",
    )


RULE = Rule(
    id="unique_constraints",
    name="Unique Constraints",
    description="No two rows share what a primary key, UNIQUE or a unique index says is unique.",
    category="data_integrity",
    severity="error",
    inspect=inspect,
)
