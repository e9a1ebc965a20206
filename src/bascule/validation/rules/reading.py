"""How rules read a catalog: kinds of columns, whose index covers what, and tests that several of them make."""

from __future__ import annotations

from collections.abc import Sequence

from bascule.ports.validation import Asked, Catalog, ConstraintFacts, Key, ReferenceTest, TableFacts
from bascule.validation.scans import quoted

FLOATS = ("real", "double precision")
TEXTS = ("text", "character varying", "character", "varchar", "citext")
DATES = ("date", "timestamp without time zone", "timestamp with time zone")


def bare(kind: str) -> str:
    """A type without what stands in brackets: ``numeric(10,2)`` is a numeric, ``timestamp(3) with time zone`` one."""
    head, bracket, rest = kind.partition("(")
    if not bracket:
        return kind.strip()
    return " ".join((head + rest.partition(")")[2]).split())


def this(name: str) -> str:
    """A column of the row that is read."""
    return f"this.{quoted(name)}"


def indexed(table: TableFacts | None, columns: Sequence[str]) -> bool:
    """A whole, valid index begins with these columns, in any order."""
    if table is None:
        return False
    wanted = set(columns)
    return any(
        each.valid and not each.partial and set(each.columns[: len(wanted)]) == wanted for each in table.indexes
    )


def unique_on(table: TableFacts, columns: Sequence[str]) -> bool:
    """Rows cannot be alike in these columns."""
    wanted = set(columns)
    if table.primary and set(table.primary) <= wanted:
        return True
    return any(
        each.valid and each.unique and not each.partial and None not in each.columns and set(each.columns) <= wanted
        for each in table.indexes
    )


def reference(asked: Asked, table: TableFacts, foreign: ConstraintFacts, words: str, **more: bool) -> ReferenceTest:
    """The test of a foreign key's rows."""
    assert foreign.parent is not None, "foreign keys have one"
    parent = asked.catalog.table(foreign.parent)
    return ReferenceTest(
        table=table.key,
        columns=foreign.columns,
        parent=foreign.parent,
        parent_columns=foreign.parent_columns,
        match_full=foreign.match_full,
        words=words,
        indexed=indexed(table, foreign.columns) and indexed(parent, foreign.parent_columns),
        **more,
    )


def name_of(catalog: Catalog, key: Key) -> str:
    """A table for people."""
    table = catalog.table(key)
    return table.shown if table else f"{key[0]}.{key[1]}"


def listed(names: Sequence[str]) -> str:
    """Columns for people."""
    return ", ".join(names)


def sqlite_kind(declared: str) -> str:
    """SQLite's affinity of a declared type; ``date`` for the words that people give dates."""
    kind = declared.lower()
    if "int" in kind:
        return "integer"
    if any(word in kind for word in ("char", "clob", "text")):
        return "text"
    if "blob" in kind or not kind:
        return "blob"
    if any(word in kind for word in ("real", "floa", "doub")):
        return "real"
    if kind.startswith(("date", "timestamp")):
        return "date"
    return "number" if kind.startswith(("dec", "num")) else "any"
