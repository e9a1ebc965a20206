"""NULL in columns that are declared NOT NULL, where the database has not looked.

Bad, in SQLite: ``name TEXT PRIMARY KEY`` takes NULL. Good: ``name TEXT NOT NULL PRIMARY KEY``.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, RowTest, Rule, TableFacts
from bascule.validation.scans import quoted


def _open(asked: Asked, table: TableFacts) -> list[str]:
    """Columns that nobody answers for."""
    if asked.catalog.dialect == "sqlite":
        declared = [column.name for column in table.columns if column.not_null]
        return list(dict.fromkeys([*declared, *table.primary]))
    unsure = [
        name
        for each in table.constraints
        if each.kind == "not_null" and not (each.validated and each.enforced)
        for name in each.columns
    ]
    sure = [] if asked.options.trust_catalog else [column.name for column in table.columns if column.not_null]
    return list(dict.fromkeys([*unsure, *sure]))


def inspect(asked: Asked) -> Inspection:
    """One condition a column."""
    # Both databases take "IS NULL" of a column that is declared NOT NULL for false, without a look.
    null = "typeof({}) = 'null'" if asked.catalog.dialect == "sqlite" else "pg_catalog.num_nulls({}) > 0"
    tests = tuple(
        RowTest(
            table=table.key,
            offends=null.format(quoted(name)),
            words=f"{table.shown}.{name} is NULL",
            show=(name,),
        )
        for table in asked.tables
        for name in _open(asked, table)
    )
    known = sum(column.not_null for table in asked.tables for column in table.columns) - len(tests)
    return Inspection(
        tests=tests,
        looked=f"NOT NULL holds: {max(known, 0)} columns by the catalog, {len(tests)} read",
        advice="Fill these columns, or take NOT NULL away.",
    )


RULE = Rule(
    id="not_null_constraints",
    name="NOT NULL Constraints",
    description="No NULL where NOT NULL or a primary key is declared.",
    category="data_integrity",
    severity="error",
    inspect=inspect,
)
