"""Unique indexes that are not whole."""

from __future__ import annotations

from bascule.ports.validation import Asked, DuplicateTest, Finding, Inspection, Rule, StructureTest, Test
from bascule.validation.rules.reading import listed


def _inspect(asked: Asked) -> Inspection:
    findings: list[Finding] = []
    tests: list[Test] = []
    trusted = 0
    for table in asked.catalog.tables.values():
        unique = [index for index in table.indexes if index.unique]
        if asked.catalog.dialect == "sqlite":
            if unique:
                words = f"of {table.shown} are not unique where an index says so"
                tests.append(StructureTest(table=table.key, kind="unique", words=words))
            continue
        for index in unique:
            names = tuple(name for name in index.columns if name is not None)
            if index.valid:
                trusted += 1
                if asked.options.trust_catalog or len(names) < len(index.columns) or index.partial:
                    continue
            else:
                findings.append(
                    Finding(
                        words=f"the unique index {index.name} of {table.shown} is INVALID and keeps nothing unique",
                        table=table.key,
                        advice=f"Remove the duplicates, then REINDEX INDEX CONCURRENTLY {index.name}, or drop it.",
                    )
                )
            if names and len(names) == len(index.columns) and not index.partial:
                words = f"of {table.shown} share ({listed(names)}) with another"
                tests.append(DuplicateTest(table=table.key, columns=names, words=words))
    return Inspection(
        findings=tuple(findings),
        tests=tuple(tests),
        looked=f"{trusted} unique indexes are valid" if trusted else "",
        advice="Remove the duplicates, then build the index anew.",
    )


RULE = Rule(
    id="unique_constraints",
    name="Unique Constraints",
    description="Every unique index is valid; rows under one that is not are looked at.",
    category="data_integrity",
    severity="error",
    inspect=_inspect,
)
