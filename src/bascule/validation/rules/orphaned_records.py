"""Columns that are references by their name and type, and have no foreign key."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.ports.validation import Asked, Catalog, ColumnFacts, Inspection, ReferenceTest, Rule, TableFacts
from bascule.validation.rules.reading import bare, indexed, listed, sqlite_kind

_INTEGERS = {"smallint": "int", "integer": "int", "bigint": "int"}


def _inspect(asked: Asked) -> Inspection:
    tests = []
    by_name: dict[str, list[TableFacts]] = {}
    for table in (*asked.catalog.tables.values(), *asked.catalog.partitioned.values()):
        if table.partition_of is None:
            by_name.setdefault(table.key[1].lower(), []).append(table)
    for table in asked.catalog.tables.values():
        bound = {each.columns[0] for each in table.constraints if each.kind == "foreign" and len(each.columns) == 1}
        for column in table.columns:
            if column.name in bound or not column.name.lower().endswith("_id"):
                continue
            parent = _parent(asked.catalog, table, column, by_name)
            if parent is not None:
                tests.append(_test(table, column, parent))
    return Inspection(
        tests=tuple(tests),
        looked="" if tests else "no column looks like a reference without a foreign key",
        advice="If the column is a reference, remove the orphans and declare the foreign key (NOT VALID, then VALIDATE).",
    )


def _test(table: TableFacts, column: ColumnFacts, parent: TableFacts) -> ReferenceTest:
    words = f"of {table.shown} ({column.name}) refer by name to {parent.shown} ({listed(parent.primary)}) and find none"
    return ReferenceTest(
        table=table.key,
        columns=(column.name,),
        parent=parent.key,
        parent_columns=parent.primary,
        words=words,
        indexed=indexed(table, (column.name,)) and indexed(parent, parent.primary),
        with_descendants=True,
        may_sample=True,
    )


def _parent(
    catalog: Catalog, table: TableFacts, column: ColumnFacts, by_name: dict[str, list[TableFacts]]
) -> TableFacts | None:
    """The one table that the name can mean; none where two can."""
    stem = column.name[:-3].lower()
    for name in _plurals(stem):
        found = [each for each in by_name.get(name, ()) if each.key[0] == table.key[0] and each.key != table.key]
        fitting = [each for each in found if len(each.primary) == 1 and _alike(catalog, column, each)]
        if len(fitting) == 1:
            return fitting[0]
    return None


def _plurals(stem: str) -> Iterator[str]:
    yield stem
    yield f"{stem}s"
    yield f"{stem}es"
    if stem.endswith("y"):
        yield f"{stem[:-1]}ies"
    if stem == "person":
        yield "people"


def _alike(catalog: Catalog, column: ColumnFacts, parent: TableFacts) -> bool:
    key = parent.column(parent.primary[0])
    if key is None:
        return False
    if catalog.dialect == "sqlite":
        return sqlite_kind(column.type) == sqlite_kind(key.type)
    mine, its = bare(column.type), bare(key.type)
    return _INTEGERS.get(mine, mine) == _INTEGERS.get(its, its)


RULE = Rule(
    id="orphaned_records",
    name="Orphaned Records",
    description="Columns named like a reference (user_id) and of its key's type, without a foreign key, find their row.",
    category="data_integrity",
    severity="warning",
    inspect=_inspect,
)
