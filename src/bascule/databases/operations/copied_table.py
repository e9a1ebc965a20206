"""What would be lost when ``op.batch_alter_table`` copies and replaces a table of SQLite, and how it is kept.

The copy is made from what SQLAlchemy reads back of a table, which is not all there is: triggers go with the old
table, indexes over expressions are passed over, CHECK, COLLATE and a few other clauses are not read. The first two
are made again as they were; the loss of the others is refused. And where foreign keys are enforced, dropping the old
table would delete the rows that refer to it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bascule.errors import MigrationFailed
from bascule.sql.lexer import fold, significant

Rows = Callable[[str], Sequence[Sequence[Any]]]

_CLAUSES = ("check", "collate", "autoincrement", "conflict", "rowid", "strict")
"""Words by which what the copy may lose is counted in a table's definition."""

_TABLE_CONSTRAINTS = frozenset(("constraint", "primary", "unique", "check", "foreign"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A trigger or an index of a table."""

    kind: str
    name: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTable:
    """A table as it was before it was copied."""

    table: str
    schema: str
    reflected: bool
    """Its shape was read from the database; False: the author gave it, and what it lacks is meant to go."""
    definition: str
    attached: tuple[Attached, ...]

    @classmethod
    def look(cls, rows: Rows, table: str, schema: str | None, *, reflected: bool) -> CopiedTable:
        """The table as it is now. Raises MigrationFailed where dropping it would delete rows of other tables."""
        seen = cls(
            table=table,
            schema=schema or "main",
            reflected=reflected,
            definition=_definition(rows, table, schema or "main"),
            attached=_attached(rows, table, schema or "main"),
        )
        seen._refuse_children(rows)
        return seen

    def restore(self, rows: Rows, send: Callable[[str], None]) -> None:
        """After the copy: make again what went with the old table. Raises MigrationFailed for what cannot be kept."""
        lost = lost_clauses(self.definition, _definition(rows, self.table, self.schema)) if self.reflected else ()
        if lost:
            raise MigrationFailed(
                f"Copying {self.table} would lose what is not read back from the database: {', '.join(lost)}.",
                code="copy_loses",
                hint="Add it with batch_alter_table(table_args=…), give the whole table with copy_from=…, "
                "or write op.execute('ALTER TABLE …') where SQLite can do it in place.",
            )
        there = {attached.name for attached in _attached(rows, self.table, self.schema)}
        for attached in self.attached:
            if attached.name not in there and (self.reflected or attached.kind == "trigger"):
                self._again(attached, send)
        if any(attached.kind == "trigger" for attached in self.attached):
            self._look_into_triggers(rows)

    def _again(self, attached: Attached, send: Callable[[str], None]) -> None:
        from sqlalchemy.exc import DBAPIError

        try:
            send(attached.sql)
        except DBAPIError as error:
            raise self._does_not_fit(f"{attached.kind} {attached.name}", str(error.orig)) from error

    def _look_into_triggers(self, rows: Rows) -> None:
        """Creating a trigger does not look into it, but renaming a table looks into all."""
        table = f"{_quoted(self.schema)}.{_quoted(self.table)}"
        rows("SAVEPOINT bascule_look")
        try:
            rows(f"ALTER TABLE {table} RENAME TO {_quoted(self.table + '_bascule_look')}")
        except sqlite3.Error as error:
            raise self._does_not_fit("trigger", str(error)) from error
        finally:
            rows("ROLLBACK TO bascule_look")
            rows("RELEASE bascule_look")

    def _does_not_fit(self, what: str, words: str) -> MigrationFailed:
        return MigrationFailed(
            f"Copying {self.table} drops its {what}, which does not fit the new table: {words}.",
            code="copy_loses",
            hint=f"Drop the {what.split()[0]} before batch_alter_table, and create what replaces it afterwards.",
        )

    def _refuse_children(self, rows: Rows) -> None:
        if not rows("PRAGMA foreign_keys")[0][0]:
            return
        children = rows(
            f"SELECT DISTINCT m.name FROM {_quoted(self.schema)}.sqlite_master m, "
            f"pragma_foreign_key_list(m.name, {_text(self.schema)}) f WHERE m.type = 'table' "
            f'AND lower(f."table") = lower({_text(self.table)}) AND lower(m.name) <> lower({_text(self.table)})'
        )
        if children:
            raise MigrationFailed(
                f"Copying and replacing {self.table} would drop it while foreign keys are enforced: rows of "
                f"{', '.join(row[0] for row in children)} that refer to it would be deleted, or stop the migration.",
                code="recreate_with_children",
                hint="Open the database with foreign keys off for this migration, or set transactional = False, give "
                "batch_alter_table(copy_from=…), and begin with op.execute('PRAGMA foreign_keys = OFF').",
            )


def lost_clauses(before: str, after: str) -> tuple[str, ...]:
    """Clauses that the definition `after` has fewer of than `before`; those of dropped columns may go."""
    new = list(_parts(after))
    columns = {column for column, _ in new}
    had = sum((words for column, words in _parts(before) if column is None or column in columns), Counter[str]())
    has = sum((words for _, words in new), Counter[str]())
    names = {"rowid": "WITHOUT ROWID", "conflict": "ON CONFLICT"}
    return tuple(names.get(clause, clause.upper()) for clause in _CLAUSES if had[clause] > has[clause])


def _parts(definition: str) -> Iterator[tuple[str | None, Counter[str]]]:
    """For each part of CREATE TABLE its column (None: of the whole table) and its clauses, counted."""
    depth = 0
    part: list[str] = []
    for kind, start, end in significant(definition, "sqlite"):
        token = definition[start:end]
        depth += (token == "(") - (token == ")")
        if (token == "," and depth == 1) or (token == ")" and depth == 0):
            yield _part(part)
            part = []
        elif depth > 1 or token != "(":
            # A quoted word is a name, and a string in double quotes at most.
            part.append(fold(token) if kind == "word" else token)
        else:
            # CREATE TABLE and the name.
            part = []
    yield None, _clauses(part)


def _part(tokens: list[str]) -> tuple[str | None, Counter[str]]:
    first = tokens[0] if tokens else ""
    return None if first in _TABLE_CONSTRAINTS else _unquoted(first), _clauses(tokens)


def _clauses(tokens: list[str]) -> Counter[str]:
    return Counter(token for token in tokens if token in _CLAUSES)


def _unquoted(name: str) -> str:
    if name[:1] in ('"', "`", "["):
        closing = "]" if name[0] == "[" else name[0]
        name = name[1:-1].replace(closing * 2, closing)
    return name.casefold()


def _definition(rows: Rows, table: str, schema: str) -> str:
    found = rows(
        f"SELECT sql FROM {_quoted(schema)}.sqlite_master WHERE type = 'table' AND lower(name) = lower({_text(table)})"
    )
    return str(found[0][0]) if found else ""


def _attached(rows: Rows, table: str, schema: str) -> tuple[Attached, ...]:
    found = rows(
        f"SELECT type, name, sql FROM {_quoted(schema)}.sqlite_master WHERE type IN ('trigger', 'index') "
        f"AND sql IS NOT NULL AND lower(tbl_name) = lower({_text(table)}) ORDER BY rowid"
    )
    return tuple(Attached(kind=kind, name=name, sql=sql) for kind, name, sql in found)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
