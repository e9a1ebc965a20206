"""Rows that a CHECK forbids, where the database has not looked.

Bad: ``ADD CONSTRAINT positive CHECK (total > 0) NOT VALID`` over older rows. Good: the same, then VALIDATE CONSTRAINT.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, RowTest, Rule
from bascule.validation.scans import quoted


def inspect(asked: Asked) -> Inspection:
    """Checks that are not validated or not enforced, of tables and of domains; of SQLite all."""
    tests: list[RowTest] = []
    known = 0
    trusting = asked.options.trust_catalog and asked.catalog.dialect == "postgresql"
    for table in asked.tables:
        for each in table.constraints:
            if each.kind != "check":
                continue
            if trusting and each.validated and each.enforced:
                known += 1
                continue
            name = each.name or f"CHECK ({each.expression})"
            tests.append(
                RowTest(
                    table=table.key,
                    # A check whose answer is NULL is kept.
                    offends=f"NOT ({each.expression}\n)",
                    words=f"{table.shown} breaks {name}",
                    show=each.columns,
                )
            )
        for column in table.columns:
            for name, expression in column.domain_checks:
                # VALUE, outside of a domain, is a plain name.
                within = f"SELECT ({expression}\n) FROM (SELECT {quoted(column.name)} AS value) AS domain_value"
                words = f"{table.shown}.{column.name} breaks {name} of its domain"
                tests.append(RowTest(table=table.key, offends=f"NOT ({within})", words=words, show=(column.name,)))
    return Inspection(
        tests=tuple(tests),
        looked=f"every CHECK holds: {known} by the catalog, {len(tests)} read",
        advice="Correct these rows, then ALTER TABLE … VALIDATE CONSTRAINT."
        if asked.catalog.dialect == "postgresql"
        else "Correct these rows.",
    )


RULE = Rule(
    id="check_constraints",
    name="Check Constraints",
    description="Rows keep the CHECK constraints that the database has not validated.",
    category="data_integrity",
    severity="error",
    inspect=inspect,
)
