"""Dates out of the world, sequences near their end, and ranges that were declared."""

from __future__ import annotations

from bascule.ports.validation import Asked, ColumnFacts, Finding, Inspection, Rule, RowTest, TableFacts, Test
from bascule.validation.declared import declared_tests
from bascule.validation.rules.reading import DATES, bare, sqlite_kind, this

FIRST, LAST, OPEN_END = "1000-01-01", "2200-01-01", "9999-12-31"
"""Dates outside are called out of the world, but for the last day that a date can have, which means "no end"."""


def _inspect(asked: Asked) -> Inspection:
    findings = [
        Finding(
            words=f"the sequence {each.name} has used {each.used:.0%} of what "
            f"{each.feeds or 'it'} can hold",
            advice=f"Make {each.feeds or each.name} a bigint before {each.name} comes to its end.",
        )
        for each in asked.catalog.sequences
        if each.used > asked.options.sequence_share
    ]
    tests: list[Test] = []
    for table in asked.catalog.tables.values():
        find = _sqlite if asked.catalog.dialect == "sqlite" else _postgres
        tests += [test for column in table.columns if (test := find(table, column)) is not None]
    declared, problems = declared_tests(asked)
    return Inspection(
        findings=(*findings, *problems),
        tests=(*tests, *declared),
        looked=f"{len(asked.catalog.sequences)} sequences have room" if asked.catalog.sequences else "",
        advice="Correct the values, and let a CHECK keep such values out.",
    )


def _postgres(table: TableFacts, column: ColumnFacts) -> RowTest | None:
    if bare(column.type) not in DATES:
        return None
    it = this(column.name)
    day = it if column.type == "date" else f"CAST({it} AS timestamp without time zone)"
    # The last day itself may be told in another time zone.
    offends = f"{day} < '{FIRST}' OR ({day} > '{LAST}' AND NOT {day} BETWEEN '{OPEN_END[:-1]}0' AND '10000-01-02')"
    return _test(table, column, offends)


def _sqlite(table: TableFacts, column: ColumnFacts) -> RowTest | None:
    if sqlite_kind(column.type) != "date":
        return None
    it = this(column.name)
    day = f"date({it})"
    # Numbers may count seconds, days or milliseconds: nobody can tell which.
    offends = (
        f"typeof({it}) = 'text' AND ({day} IS NULL OR {day} < '{FIRST}' OR ({day} > '{LAST}' AND {day} <> '{OPEN_END}'))"
    )
    return _test(table, column, offends)


def _test(table: TableFacts, column: ColumnFacts, offends: str) -> RowTest:
    return RowTest(
        table=table.key,
        offends=offends,
        words=f"of {table.shown} have a date out of the world in {column.name}",
        show=(column.name,),
        may_sample=True,
    )


RULE = Rule(
    id="data_range_validation",
    name="Data Range Validation",
    description="Dates are between 1000 and 2200, sequences are not near their end, declared ranges hold.",
    category="data_integrity",
    severity="warning",
    inspect=_inspect,
)
