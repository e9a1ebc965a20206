"""Rows that are the same thing twice: natural keys that nobody holds unique, rows alike in tables without any key.

Bad: ``ann@example.com`` and ``Ann@Example.com``, two accounts. Good: a unique index over ``lower(email)``.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, DuplicateTest, Finding, Inspection, Rule, TableFacts
from bascule.validation.naming import kind_of

_KEYS = frozenset({"slug", "sku", "isbn", "uuid", "guid", "ean", "iban", "vat_id"})
"""Names of columns that say which thing it is, whatever the table."""
_OF_PEOPLE = frozenset({"email", "email_address", "e_mail", "username", "user_name", "login"})
_PEOPLE = ("user", "account", "member", "customer", "client", "person", "people", "employee", "contact", "subscriber")
"""Tables in which a row is a person; elsewhere an address may stand often."""


def _natural(table: TableFacts) -> list[DuplicateTest]:
    person = any(table.key[1].lower().rstrip("s") == word or table.key[1].lower() == word for word in _PEOPLE)
    held = {index.columns for index in table.indexes if index.unique and index.valid and not index.partial}
    tests = []
    for column in table.columns:
        name = column.name.lower()
        folded = name in _OF_PEOPLE and kind_of(column.type) == "text"
        if (name in _KEYS and (column.name,) not in held) or (
            folded and (person or (column.name,) in held) and not _held_folded(table)
        ):
            words = f"{table.shown}.{column.name} stands for the same thing" + (
                " (letters of either case are alike)" if folded else ""
            )
            tests.append(DuplicateTest(table=table.key, columns=(column.name,), words=words, folded=folded))
    return tests


def _held_folded(table: TableFacts) -> bool:
    """A unique index over an expression: most likely lower(…)."""
    return any(index.unique and index.valid and None in index.columns for index in table.indexes)


def _keyless(asked: Asked, table: TableFacts) -> DuplicateTest | None:
    if any(index.unique for index in table.indexes) or table.primary or not table.columns:
        return None
    without_equality = any(column.type.startswith(_UNEQUAL) for column in table.columns)
    if asked.catalog.dialect == "postgresql" and without_equality:
        return None
    return DuplicateTest(
        table=table.key,
        columns=tuple(column.name for column in table.columns),
        words=f"{table.shown} has no key and rows that are alike",
        nulls_alike=True,
    )


_UNEQUAL = ("json", "xml", "point", "polygon", "line", "box", "circle", "path", "user-defined", "pg_", "aclitem")


def _declared(asked: Asked) -> tuple[list[DuplicateTest], list[Finding]]:
    tests, findings = [], []
    for each in asked.declared:
        columns = each.columns or (each.column,)
        tables = [table for table in asked.catalog.find(each.table) if all(map(table.column, columns))]
        if not tables:
            words = f"declared, but not there: {each.table} ({', '.join(columns)})"
            findings.append(Finding(words=words, advice="Correct the declaration."))
        for table in tables:
            if asked.scope is None or table.key in asked.scope:
                words = each.message or f"{table.shown} ({', '.join(columns)}) stands for the same thing"
                tests.append(DuplicateTest(table=table.key, columns=columns, words=words, folded=each.ignore_case))
    return tests, findings


def inspect(asked: Asked) -> Inspection:
    """Declared keys, natural keys, and tables without any key."""
    tests, findings = _declared(asked)
    passed_over = []
    for table in asked.tables:
        keyless = _keyless(asked, table)
        for test in [*_natural(table), *([keyless] if keyless else [])]:
            if (table.rows or 0) > asked.options.sample_above:
                passed_over.append(f"{table.shown} ({', '.join(test.columns)}): too large to be grouped")
            elif all((test.table, test.columns) != (known.table, known.columns) for known in tests):
                tests.append(test)
    return Inspection(
        findings=tuple(findings),
        tests=tuple(tests),
        looked=f"{len(tests)} natural keys have no two rows alike" if tests else "no natural key without a constraint",
        advice="Merge the rows that are alike, then add a unique index.",
        passed_over=tuple(passed_over),
    )


RULE = Rule(
    id="duplicate_data",
    name="Duplicate Data",
    description="Natural keys and declared keys have no two rows alike; tables without a key have no row twice.",
    category="data_integrity",
    severity="warning",
    inspect=inspect,
)
