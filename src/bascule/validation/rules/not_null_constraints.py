"""Columns that should have no NULL and that the database has not looked at."""

from __future__ import annotations

import re

from bascule.ports.validation import Asked, Inspection, Rule, RowTest, StructureTest, TableFacts, Test
from bascule.validation.rules.reading import this

_NOT_NULL = re.compile(r"\(*\s*(\"(?:[^\"]|\"\")+\"|[A-Za-z_][\w$]*)\s+IS\s+NOT\s+NULL\s*\)*", re.IGNORECASE)


def demands_value(expression: str) -> bool:
    """A CHECK that says no more than that a column has a value: the usual way to NOT NULL without a long lock."""
    return _NOT_NULL.fullmatch(expression.strip()) is not None


def _inspect(asked: Asked) -> Inspection:
    tests: list[Test] = []
    trusted = 0
    for table in asked.catalog.tables.values():
        trusted += sum(column.not_null for column in table.columns)
        if asked.catalog.dialect == "sqlite":
            tests += _sqlite(table)
            continue
        for each in table.constraints:
            stated = each.kind == "not_null" or (each.kind == "check" and demands_value(each.expression))
            if stated and not each.validated:
                tests.append(_test(table, each.columns[0]))
        if not asked.options.trust_catalog:
            tests += [_test(table, column.name) for column in table.columns if column.not_null]
    looked = f"{trusted} columns are NOT NULL by the database" if trusted else ""
    return Inspection(tests=tuple(tests), looked=looked, advice="Fill in the missing values, then validate.")


def _sqlite(table: TableFacts) -> list[Test]:
    tests: list[Test] = []
    if any(column.not_null for column in table.columns):
        tests.append(
            StructureTest(table=table.key, kind="null", words=f"are NULL in a NOT NULL column of {table.shown}")
        )
    # By an old mistake that SQLite keeps, columns of a primary key may be NULL; one INTEGER PRIMARY KEY may not.
    key = [column for name in table.primary if (column := table.column(name)) is not None]
    if len(key) > 1 or (key and key[0].type.lower() != "integer"):
        tests += [_test(table, column.name) for column in key if not column.not_null]
    return tests


def _test(table: TableFacts, column: str) -> RowTest:
    return RowTest(table=table.key, offends=f"{this(column)} IS NULL", words=f"of {table.shown} have no {column}")


RULE = Rule(
    id="not_null_constraints",
    name="NOT NULL Constraints",
    description="Columns that must have a value have one where the database has not made sure of it.",
    category="data_integrity",
    severity="error",
    inspect=_inspect,
)
