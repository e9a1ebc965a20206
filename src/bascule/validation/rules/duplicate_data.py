"""Rows that are alike where they should not be: natural keys, and tables where nothing tells rows apart."""

from __future__ import annotations

from bascule.ports.validation import Asked, DuplicateTest, Finding, Inspection, Rule, TableFacts, Test
from bascule.validation.declared import declared_tests
from bascule.validation.rules.reading import TEXTS, bare, listed, sqlite_kind, unique_on

NATURAL = ("email", "username", "login", "slug", "sku", "isbn", "iban", "uuid", "guid")
_FOLDED = ("email", "username", "login")
PEOPLE = ("user", "account", "customer", "member", "person", "people", "employee", "contact", "subscriber", "student")
_COMPARABLE = (
    "smallint", "integer", "bigint", "numeric", "text", "character varying", "character", "boolean", "date", "uuid",
    "real", "double precision", "timestamp without time zone", "timestamp with time zone",
)  # fmt: skip


def _inspect(asked: Asked) -> Inspection:
    tests: list[Test] = []
    for table in asked.catalog.tables.values():
        tests += _natural(asked, table)
        if not table.primary and not any(index.unique for index in table.indexes):
            tests += _whole(asked, table)
    declared, problems = declared_tests(asked)
    findings: tuple[Finding, ...] = problems
    return Inspection(
        findings=findings,
        tests=(*tests, *declared),
        looked="" if tests or declared else "no table has a natural key without a unique index",
        advice="Merge the duplicates, and let a unique index keep new ones out.",
    )


def _natural(asked: Asked, table: TableFacts) -> list[Test]:
    found: list[Test] = []
    for column in table.columns:
        name = column.name.lower()
        if name not in NATURAL or (name == "email" and not _of_people(table)):
            continue
        folded = name in _FOLDED and _is_text(asked, column.type)
        if unique_on(table, (column.name,)) and not folded:
            continue
        unlike = " but for upper and lower case" if unique_on(table, (column.name,)) else ""
        words = f"of {table.shown} share their {column.name} with another{unlike}"
        found.append(DuplicateTest(table=table.key, columns=(column.name,), words=words, folded=folded))
    return found


def _of_people(table: TableFacts) -> bool:
    name = table.key[1].lower()
    return name in PEOPLE or name.rstrip("s") in PEOPLE


def _is_text(asked: Asked, kind: str) -> bool:
    return sqlite_kind(kind) == "text" if asked.catalog.dialect == "sqlite" else bare(kind) in TEXTS


def _whole(asked: Asked, table: TableFacts) -> list[Test]:
    names = tuple(column.name for column in table.columns)
    known = asked.catalog.dialect == "sqlite" or all(bare(column.type) in _COMPARABLE for column in table.columns)
    if not names or not known or (table.rows or 0) > asked.options.sample_above:
        return []
    words = f"of {table.shown}, which has no key, are alike in all columns ({listed(names[:6])}…)"
    return [DuplicateTest(table=table.key, columns=names, words=words, nulls_alike=True)]


RULE = Rule(
    id="duplicate_data",
    name="Duplicate Data",
    description="Natural keys without a unique index, and whole rows of tables without any key, appear once.",
    category="data_integrity",
    severity="warning",
    inspect=_inspect,
)
