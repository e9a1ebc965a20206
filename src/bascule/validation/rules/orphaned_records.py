"""Columns that refer to a table by name and type, without a constraint, whose values lead nowhere.

Bad: ``orders.customer_id bigint`` beside ``customers.id bigint``, and nothing between them. Good: a foreign key.
"""

from __future__ import annotations

from bascule.ports.validation import (
    Asked,
    Catalog,
    ColumnFacts,
    Declaration,
    Finding,
    Inspection,
    ReferenceTest,
    Rule,
    TableFacts,
)
from bascule.validation.naming import kind_of, plural_forms, reference_words
from bascule.validation.rules.fk_integrity import leading_index


def _parent(catalog: Catalog, table: TableFacts, column: ColumnFacts) -> TableFacts | None:
    for words in reference_words(column.name):
        if words == "parent":
            found = [table]
        else:
            wanted = plural_forms(words)
            every = [*catalog.tables.values(), *catalog.partitioned.values()]
            found = [each for each in every if each.key[1].lower() in wanted and each.partition_of is None]
            near = [each for each in found if each.key[0] == table.key[0]]
            found = near or found
        if len(found) == 1:
            return found[0] if _fits(found[0], column) else None
    return None


def _fits(parent: TableFacts, column: ColumnFacts) -> bool:
    if len(parent.primary) != 1:
        return False
    key = parent.column(parent.primary[0])
    return key is not None and kind_of(key.type) == kind_of(column.type)


def _candidates(table: TableFacts) -> list[ColumnFacts]:
    taken = {name for each in table.constraints if each.kind == "foreign" for name in each.columns}
    names = {column.name.lower() for column in table.columns}
    found = []
    for column in table.columns:
        words = reference_words(column.name)
        # With a column that names the kind of thing (commentable_type), it refers to one of several tables.
        several = any(f"{word}_type" in names or f"{word}type" in names for word in words)
        if words and not several and column.name not in taken and (column.name,) != table.primary:
            found.append(column)
    return found


def _test(table: TableFacts, name: str, parent: TableFacts) -> ReferenceTest:
    return ReferenceTest(
        table=table.key,
        columns=(name,),
        parent=parent.key,
        parent_columns=parent.primary,
        words=f"{table.shown}.{name} refers to no row of {parent.shown}",
        indexed=leading_index(table, (name,)) and leading_index(parent, parent.primary),
        with_descendants=True,
        may_sample=True,
    )


def _declared(asked: Asked, each: Declaration) -> tuple[list[ReferenceTest], list[Finding]]:
    parents = [table for table in asked.catalog.find(each.references) if len(table.primary) == 1]
    whole = asked.catalog.named_root(each.references)
    parent = whole if whole is not None and len(whole.primary) == 1 else parents[0] if len(parents) == 1 else None
    tables = [table for table in asked.catalog.find(each.table) if table.column(each.column) is not None]
    if parent is None or not tables:
        missing = f"{each.table}.{each.column}" if not tables else f"{each.references} with a key of one column"
        return [], [Finding(words=f"declared, but not there: {missing}", advice="Correct the declaration.")]
    return [
        _test(table, each.column, parent) for table in tables if asked.scope is None or table.key in asked.scope
    ], []


def inspect(asked: Asked) -> Inspection:
    """What is declared, and what looks like it."""
    tests: dict[tuple[object, ...], ReferenceTest] = {}
    findings = []
    for each in asked.declared:
        found, missing = _declared(asked, each)
        tests |= {(test.table, test.columns): test for test in found}
        findings += missing
    for table in asked.tables:
        for column in _candidates(table):
            parent = _parent(asked.catalog, table, column)
            if parent is not None:
                tests.setdefault((table.key, (column.name,)), _test(table, column.name, parent))
    return Inspection(
        findings=tuple(findings),
        tests=tuple(tests.values()),
        looked=f"{len(tests)} columns look like references without a constraint, and lead somewhere"
        if tests
        else "no column looks like a reference without a constraint",
        advice="Mend or delete the orphans, then declare the foreign key.",
    )


RULE = Rule(
    id="orphaned_records",
    name="Orphaned Records",
    description="Columns that are references by name and type, without a constraint, lead to rows.",
    category="data_integrity",
    severity="warning",
    inspect=inspect,
)
