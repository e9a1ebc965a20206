"""References that no constraint can watch over: keys that cannot work, are switched off, or do not reach a child table.

Bad: ``CREATE TABLE archive () INHERITS (orders)``: the foreign keys of orders do not hold for the rows of archive.
Good: archive has foreign keys of its own.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, ConstraintFacts, Finding, Inspection, ReferenceTest, Rule, TableFacts
from bascule.validation.rules.fk_integrity import reference_test


def _uninherited(asked: Asked, table: TableFacts) -> list[ReferenceTest]:
    own = {(each.columns, each.parent) for each in table.constraints if each.kind == "foreign"}
    tests = []
    for ancestor in filter(None, map(asked.catalog.table, table.ancestors)):
        for each in ancestor.constraints:
            parent = asked.catalog.table(each.parent) if each.kind == "foreign" and each.parent else None
            if parent is not None and (each.columns, each.parent) not in own:
                tests.append(reference_test(table, each, parent))
    return tests


def _trouble(table: TableFacts, constraint: ConstraintFacts) -> Finding:
    return Finding(
        words=f"{table.shown} ({', '.join(constraint.columns)}): {constraint.trouble}",
        table=table.key,
        advice="Declare the foreign key so that the database can hold it, or take it away.",
    )


def inspect(asked: Asked) -> Inspection:
    """Troubles of foreign keys; those that a table does not inherit."""
    findings, tests = [], []
    for table in asked.tables:
        findings += [_trouble(table, each) for each in table.constraints if each.kind == "foreign" and each.trouble]
        tests += _uninherited(asked, table)
    return Inspection(
        findings=tuple(findings),
        tests=tuple(tests),
        looked="every foreign key can work and is in force"
        + (f"; {len(tests)} that are not inherited hold" if tests else ""),
        advice="Foreign keys are not inherited: declare them on the child table too.",
    )


RULE = Rule(
    id="referential_integrity",
    name="Referential Integrity",
    description="Foreign keys can work, are in force, and hold for inherited tables too.",
    category="data_integrity",
    severity="error",
    inspect=inspect,
)
