"""Values that their column's type lets in and nobody can count with."""

from __future__ import annotations

from bascule.ports.validation import Asked, ColumnFacts, Inspection, Rule, RowTest, StructureTest, TableFacts, Test
from bascule.validation.rules.reading import FLOATS, TEXTS, bare, sqlite_kind, this

_STRANGE = {
    "integer": ("typeof({0}) NOT IN ('integer', 'null')", "hold something else than an integer"),
    "real": ("typeof({0}) NOT IN ('integer', 'real', 'null') OR {0} IN (9e999, -9e999)", "hold no finite number"),
    "number": ("typeof({0}) IN ('text', 'blob') OR {0} IN (9e999, -9e999)", "hold no finite number"),
    "text": (
        "typeof({0}) = 'blob' OR (typeof({0}) = 'text' AND instr({0}, char(65533)) > 0)",
        "hold bytes, or a character that was lost (U+FFFD)",
    ),
}


def _inspect(asked: Asked) -> Inspection:
    tests: list[Test] = []
    for table in asked.catalog.tables.values():
        find = _sqlite if asked.catalog.dialect == "sqlite" else _postgres
        tests += [test for column in table.columns if (test := find(table, column)) is not None]
        if asked.catalog.dialect == "sqlite" and not asked.options.trust_catalog:
            words = f"of {table.shown} are not of their STRICT column's type"
            tests.append(StructureTest(table=table.key, kind="type", words=words))
    return Inspection(tests=tuple(tests), advice="Correct the values at their source, then in the table.")


def _postgres(table: TableFacts, column: ColumnFacts) -> RowTest | None:
    kind = bare(column.type)
    if kind in FLOATS or (kind == "numeric" and "(" not in column.type):
        return _test(table, column, f"{this(column.name)} IN ('NaN', 'Infinity', '-Infinity')", "are NaN or infinite")
    if kind == "numeric":
        return _test(table, column, f"{this(column.name)} = 'NaN'", "are NaN")
    if kind in TEXTS:
        # Written so, it is right whatever the client's encoding; another server encoding has no such character.
        lost = f"pg_catalog.strpos({this(column.name)}, U&'\\FFFD') > 0"
        return _test(table, column, lost, "hold a character that was lost (U+FFFD)")
    return None


def _sqlite(table: TableFacts, column: ColumnFacts) -> RowTest | None:
    found = _STRANGE.get(sqlite_kind(column.type))
    return found and _test(table, column, found[0].format(this(column.name)), found[1])


def _test(table: TableFacts, column: ColumnFacts, offends: str, words: str) -> RowTest:
    return RowTest(
        table=table.key,
        offends=offends,
        words=f"of {table.shown} {words} in {column.name}",
        show=(column.name,),
        may_sample=True,
    )


RULE = Rule(
    id="data_type_validation",
    name="Data Type Validation",
    description="No NaN, infinity or lost character; in SQLite, values are of the type that is declared.",
    category="data_integrity",
    severity="warning",
    inspect=_inspect,
)
