"""Pieces of SQL that questions are made of, in both spellings. Every name is quoted, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bascule.domain.statement import Dialect, ObjectName
from bascule.validation.needs.facts import Facts

SHOWN = 80
"""Characters of a value that are shown at most."""


def name(part: str) -> str:
    """An identifier, quoted."""
    return '"' + part.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def table_name(table: ObjectName) -> str:
    """With its schema, if it was written with one."""
    return name(table.name) if table.schema is None else f"{name(table.schema)}.{name(table.name)}"


def shown(expression: str, dialect: Dialect) -> str:
    """A value as text that a person can read, whatever its type."""
    if dialect == "sqlite":
        return f"substr(CAST({expression} AS TEXT), 1, {SHOWN})"
    return f"pg_catalog.left(({expression})::text, {SHOWN})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the rows in question are read from."""

    table: ObjectName
    children: bool | None = True
    """PostgreSQL: rows of child tables count too. None: only where `table` is divided into partitions."""
    alias: str = ""
    """The name by which expressions know the table, where it is another one today."""
    query: str = ""
    """A query whose rows stand for those of `table`, with `columns` as names."""
    columns: tuple[str, ...] = ()
    adds: tuple[str, str] | None = None
    """A column that the rows do not have today, and the expression of its value."""

    def before(self) -> str:
        """What stands before the SELECT."""
        if not self.query:
            return ""
        return f"WITH {name(self.table.name)}({', '.join(map(name, self.columns))}) AS (\n{self.query}\n)\n"

    def rows(self, facts: Facts, called: str = "") -> str:
        """What stands behind FROM. `called`: another name for it, which may also stand behind this."""
        if self.query:
            return f"{name(self.table.name)}{f' AS {name(called)}' if called else ''}"
        if self.adds is not None:
            today = self.alias or self.table.name
            column, value = self.adds
            # Without a key their place is what tells the rows apart.
            place = "" if facts.of(self.table).key else f", {name(today)}.{self.key(facts)[0]}"
            inner = f"{name(today)}.*{place}, {value} AS {name(column)}"
            return f"(SELECT {inner} FROM {self._today(facts, self.alias)}) AS {name(called or today)}"
        return self._today(facts, called or self.alias)

    def _today(self, facts: Facts, called: str) -> str:
        alone = facts.dialect == "postgresql" and (
            self.children is False or (self.children is None and facts.of(self.table).plain)
        )
        alias = f" AS {name(called)}" if called else ""
        return f"{'ONLY ' if alone else ''}{table_name(self.table)}{alias}"

    def key(self, facts: Facts) -> tuple[str, ...]:
        """What tells a row from the others: the primary key, else its place in the table."""
        if self.query:
            return ()
        return facts.of(self.table).key or (("ctid",) if facts.dialect == "postgresql" else ("rowid",))


def key_and(columns: Iterable[str], source: Source, facts: Facts) -> tuple[str, ...]:
    """The key, then those of `columns` that are not in it."""
    key = source.key(facts)
    return (*key, *(column for column in dict.fromkeys(columns) if column not in key))


def select_shown(columns: Iterable[str], facts: Facts) -> str:
    """A select list of columns as text."""
    return ", ".join(shown(column_name(column), facts.dialect) for column in columns)


def column_name(column: str) -> str:
    """Quoted, unless it is a place in the table, which PostgreSQL knows by that name alone as SQLite does."""
    return name(column)
