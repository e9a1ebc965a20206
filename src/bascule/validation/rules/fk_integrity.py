"""Rows that a declared foreign key forbids and that its database has not looked at.

Bad: ``ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID`` over rows of customers that
are gone. Good: the same, and ``VALIDATE CONSTRAINT`` after it.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, ConstraintFacts, Inspection, ReferenceTest, Rule, TableFacts


def reference_test(table: TableFacts, constraint: ConstraintFacts, parent: TableFacts) -> ReferenceTest:
    """The rows of a table that break one foreign key."""
    assert constraint.parent is not None, "a foreign key has a parent"
    columns = ", ".join(constraint.columns)
    return ReferenceTest(
        table=table.key,
        columns=constraint.columns,
        parent=constraint.parent,
        parent_columns=constraint.parent_columns,
        words=f"{table.shown} ({columns}) refers to no row of {parent.shown}",
        match_full=constraint.match_full,
        indexed=leading_index(table, constraint.columns) and leading_index(parent, constraint.parent_columns),
    )


def leading_index(table: TableFacts, columns: tuple[str, ...]) -> bool:
    """An index begins with these columns, in any order."""
    return any(
        index.valid and not index.partial and set(index.columns[: len(columns)]) == set(columns)
        for index in table.indexes
    )


def inspect(asked: Asked) -> Inspection:
    """Foreign keys that are not validated, not enforced, or of SQLite."""
    tests, known = [], 0
    for table in asked.tables:
        for constraint in table.constraints:
            if constraint.kind != "foreign" or constraint.parent is None:
                continue
            parent = asked.catalog.table(constraint.parent)
            if parent is None or not constraint.parent_columns:
                continue
            if asked.options.trust_catalog and constraint.validated and constraint.enforced:
                known += 1
            else:
                tests.append(reference_test(table, constraint, parent))
    if not known and not tests:
        return Inspection(looked="there are no foreign keys")
    return Inspection(
        tests=tuple(tests),
        looked=f"{known + len(tests)} foreign keys hold: {known} by the catalog, {len(tests)} read",
        advice="Mend or delete the rows that refer to nothing, then ALTER TABLE … VALIDATE CONSTRAINT."
        if asked.catalog.dialect == "postgresql"
        else "Mend or delete the rows that refer to nothing, and keep PRAGMA foreign_keys on in every connection.",
    )


RULE = Rule(
    id="fk_integrity",
    name="Foreign Key Integrity",
    description="Rows keep the foreign keys that the database has not validated.",
    category="data_integrity",
    severity="error",
    inspect=inspect,
)
