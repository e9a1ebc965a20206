"""Values out of the world: dates no client can hold, sequences near their end, and ranges that the project declared.

Bad: ``infinity`` in a date that a report reads; an ``integer`` key at 1.9 billion. Good: NULL for "never"; ``bigint``.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, ColumnFacts, Declaration, Finding, Inspection, RowTest, Rule
from bascule.validation.declared import declared_tests, value_sql
from bascule.validation.scans import quoted

_DATES = {
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999 since 1970."""


def _dates(asked: Asked, column: ColumnFacts) -> str | None:
    name = quoted(column.name)
    if asked.catalog.dialect == "sqlite":
        if "date" not in column.type and "timestamp" not in column.type:
            return None
        number = f"(typeof({name}) IN ('integer', 'real') AND abs({name}) > {_LATEST})"
        return f"({number} OR (typeof({name}) = 'text' AND date({name}) < '0001-01-01'))"
    kind = _DATES.get(column.type.replace("timestamp(0)", "timestamp").partition("(")[0].strip()) or _precise(column)
    if kind is None:
        return None
    return f"({name} < '0001-01-01'::pg_catalog.{kind} OR {name} >= '10000-01-01'::pg_catalog.{kind})"


def _precise(column: ColumnFacts) -> str | None:
    """Of types like ``timestamp(3) with time zone``."""
    if not column.type.startswith("timestamp("):
        return None
    return "timestamptz" if column.type.endswith("with time zone") else "timestamp"


def _declared(declaration: Declaration, column: ColumnFacts) -> tuple[str, str]:
    name = quoted(column.name)
    parts = []
    if declaration.minimum is not None:
        parts.append(f"{name} < {value_sql(declaration.minimum)}")
    if declaration.maximum is not None:
        parts.append(f"{name} > {value_sql(declaration.maximum)}")
    said = [
        f"{word} {value}"
        for word, value in (("below", declaration.minimum), ("above", declaration.maximum))
        if value is not None
    ]
    return f"({' OR '.join(parts)})", f"is {' or '.join(said)}"


def inspect(asked: Asked) -> Inspection:
    """A declared range of a date column takes the place of the world's."""
    declared = declared_tests(asked, _declared)
    ranged = [each for each in asked.declared if each.column and not each.check]
    taken = {(table.key, each.column) for each in ranged for table in asked.catalog.find(each.table)}
    tests = [
        RowTest(
            table=table.key,
            offends=condition,
            words=f"{table.shown}.{column.name} is infinite or outside of the years 1 to 9999",
            show=(column.name,),
            may_sample=True,
        )
        for table in asked.tables
        for column in table.columns
        if (table.key, column.name) not in taken and (condition := _dates(asked, column)) is not None
    ]
    sequences = [
        Finding(
            words=f"{each.name} has used {each.used:.0%} of its range" + (f" ({each.feeds})" if each.feeds else ""),
            advice="Make the key a bigint before the sequence ends.",
        )
        for each in (asked.catalog.sequences if asked.scope is None else ())
        if each.used >= asked.options.sequence_share
    ]
    return Inspection(
        findings=(*declared.findings, *sequences),
        tests=(*declared.tests, *tests),
        looked=f"{len(tests)} date columns, {len(declared.tests)} declared ranges and "
        f"{len(asked.catalog.sequences)} sequences are within their limits",
        advice="Correct the values, and let a CHECK refuse new ones.",
        unread=tuple(words for part, words in asked.catalog.unread.items() if part == "sequences"),
    )


RULE = Rule(
    id="data_range_validation",
    name="Data Range Validation",
    description="Dates are of this world, sequences have room, declared ranges hold.",
    category="data_integrity",
    severity="warning",
    inspect=inspect,
)
