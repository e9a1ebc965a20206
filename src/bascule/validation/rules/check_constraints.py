"""CHECK constraints that the database has not looked at."""

from __future__ import annotations

import re

from bascule.ports.validation import Asked, Inspection, Rule, RowTest, StructureTest, TableFacts, Test
from bascule.validation.rules.not_null_constraints import demands_value
from bascule.validation.rules.reading import this

_OUTSIDE_QUOTES = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|\bVALUE\b", re.IGNORECASE)


def _inspect(asked: Asked) -> Inspection:
    tests: list[Test] = []
    trusted = 0
    for table in asked.catalog.tables.values():
        checks = [each for each in table.constraints if each.kind == "check"]
        if asked.catalog.dialect == "sqlite":
            if checks:
                words = f"of {table.shown} do not meet a CHECK"
                tests.append(StructureTest(table=table.key, kind="check", words=words))
            continue
        for each in checks:
            if each.validated and asked.options.trust_catalog:
                trusted += 1
            elif not demands_value(each.expression):
                words = f"of {table.shown} do not meet {each.name}"
                offends = f"NOT ({each.expression}\n)"
                tests.append(RowTest(table=table.key, offends=offends, words=words, show=each.columns))
        tests += _domains(table)
    return Inspection(
        tests=tuple(tests),
        looked=f"{trusted} checks are validated by the database" if trusted else "",
        advice="Correct the rows, then ALTER TABLE … VALIDATE CONSTRAINT.",
    )


def _domains(table: TableFacts) -> list[Test]:
    return [
        RowTest(
            table=table.key,
            offends=f"NOT ({_about(expression, column.name)}\n)",
            words=f"of {table.shown} do not meet {name} of the domain of {column.name}",
            show=(column.name,),
        )
        for column in table.columns
        for name, expression in column.domain_checks
    ]


def _about(expression: str, column: str) -> str:
    """A domain's expression, said of a column."""
    return _OUTSIDE_QUOTES.sub(lambda found: found[1] or this(column), expression)


RULE = Rule(
    id="check_constraints",
    name="Check Constraints",
    description="Rows meet the CHECK constraints, of tables and of domains, that the database has not validated.",
    category="data_integrity",
    severity="error",
    inspect=_inspect,
)
