"""Values that are not of the kind that their column's type promises.

Bad: ``NaN`` in a price; in SQLite the text ``abc`` in an INTEGER column. Good: values that a client reads without a
surprise; in SQLite a STRICT table.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, ColumnFacts, Inspection, RowTest, Rule
from bascule.validation.scans import quoted

_NOT_A_NUMBER = "is NaN or infinite"
_FLOATS = ("real", "double precision")


def _postgresql(column: ColumnFacts) -> tuple[str, str] | None:
    """A condition and its words."""
    kind = column.type.partition("(")[0]
    if kind not in ("numeric", *_FLOATS):
        return None
    values = ", ".join(f"'{word}'::pg_catalog.{'numeric' if kind == 'numeric' else 'float8'}" for word in _SPECIAL)
    return f"{quoted(column.name)} IN ({values})", _NOT_A_NUMBER


_SPECIAL = ("NaN", "Infinity", "-Infinity")


def _sqlite(column: ColumnFacts) -> tuple[str, str] | None:
    name, kind = quoted(column.name), column.type
    of = f"typeof({name})"
    for words, condition, told in (
        (("json",), f"{of} = 'blob' OR ({of} = 'text' AND NOT json_valid({name}))", "is not JSON"),
        (("bool",), f"{of} <> 'null' AND {name} NOT IN (0, 1)", "is neither 0 nor 1"),
        (("date", "timestamp"), f"{of} = 'blob' OR ({of} = 'text' AND julianday({name}) IS NULL)", "is not a date"),
        (("int",), f"{of} NOT IN ('integer', 'null')", "is not an integer"),
        (("char", "clob", "text"), f"{of} NOT IN ('text', 'null')", "is not text"),
        (("real", "floa", "doub", "numeric", "decimal"), f"{of} IN ('text', 'blob')", "is not a number"),
    ):
        if any(word in kind for word in words):
            return condition, told
    return None


def inspect(asked: Asked) -> Inspection:
    """One condition a column whose type leaves room for something else."""
    condition_of = _sqlite if asked.catalog.dialect == "sqlite" else _postgresql
    tests = []
    for table in asked.tables:
        for column in table.columns:
            found = condition_of(column)
            if found is None:
                continue
            words = f"{table.shown}.{column.name} {found[1]}"
            tests.append(RowTest(table=table.key, offends=found[0], words=words, show=(column.name,), may_sample=True))
    return Inspection(
        tests=tuple(tests),
        looked=f"{len(tests)} columns hold what their types promise",
        advice="Correct the values, and let a CHECK (in SQLite: a STRICT table) refuse new ones.",
    )


RULE = Rule(
    id="data_type_validation",
    name="Data Type Validation",
    description="Values are what their column's type promises: no NaN, no text in numbers, no broken JSON or dates.",
    category="data_integrity",
    severity="warning",
    inspect=inspect,
)
