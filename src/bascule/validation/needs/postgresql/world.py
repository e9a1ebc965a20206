"""What the earlier statements of the same pending set have made of the world that a need is asked in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bascule.domain.statement import Insight, ObjectName, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant
from bascule.sql.postgres.tree import Node, qualified, relation, shown, strings
from bascule.sql.sqlite.words import unquoted
from bascule.validation.needs.need import Change, Need

_MAKES_TABLE = ("CREATE TABLE", "CREATE TABLE AS", "CREATE MATERIALIZED VIEW", "CREATE FOREIGN TABLE", "SELECT INTO")
# A partition that is dropped takes rows of its parent away.
_MOVES_ROWS = ("DROP TABLE", "REFRESH MATERIALIZED VIEW")
# They may run functions that parsing cannot follow, in defaults and in keys of indexes; rows are not what those change.
_DEFINES = ("CREATE EXTENSION", "CREATE SCHEMA", "CREATE TABLE", "CREATE INDEX", "ALTER TABLE")
_BEGINS = frozenset(("create", "table", "temp", "temporary", "local", "global", "unlogged", "materialized", "view"))


@dataclass(slots=True, kw_only=True)
class World:
    """Reads statements in order. Names are compared generously: one without a schema may be one with any."""

    migration: str = ""
    path: str = ""
    settings: tuple[str, ...] = ()
    made: set[ObjectName] = field(default_factory=set)
    """Tables that were not there before the pending set."""
    renamed: dict[ObjectName, ObjectName] = field(default_factory=dict)
    """Name within the pending set → name of today."""
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    """(Table, column) that an earlier statement adds or changes → why today's rows cannot tell; empty for one that was
    added and is NULL in every row."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Enumerations that are made by the pending set."""
    domains: dict[str, Callable[[str], str]] = field(default_factory=dict)
    """Domains that are made by the pending set: from a value to the condition that it is none of theirs."""
    types: set[str] = field(default_factory=set)
    """Types that the pending set makes or changes."""
    later: dict[tuple[str, str], Callable[[Statement], Sequence[Need]]] = field(default_factory=dict)
    """(Table or domain, constraint) added NOT VALID: what it needs of the world in which it is validated."""
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Table → the primary key that the pending set gives it."""
    changes: list[Change] = field(default_factory=list)
    triggered: set[str] = field(default_factory=set)
    """Tables that are given triggers or rules."""
    blind: str = ""
    """Why nothing that comes later can be told."""
    _told: tuple[Change, ...] = ()

    def enter(self, migration: str, path: str) -> None:
        """The next script begins; what it sets is its own."""
        self.migration, self.path, self.settings = migration, path, ()

    def go_blind(self, words: str) -> None:
        """From here on, nothing is known of the rows."""
        self.blind = self.blind or words

    # What is asked

    def is_made(self, table: ObjectName) -> bool:
        """Whether the table holds nothing of today."""
        return table not in self.renamed and any(_may_be(table, each) for each in self.made)

    def today(self, table: ObjectName) -> ObjectName:
        """The name that it has today."""
        for new, old in self.renamed.items():
            if _may_be(table, new):
                return old
        return table

    def doubt(self, *tables: ObjectName) -> str:
        """Why the rows of these tables, as they are today, cannot tell; empty where they can."""
        for change in self.changes:
            if any(_may_be(change.table, self.today(table)) for table in tables):
                return self.said(change)
        return self.blind

    def doubt_of(self, table: ObjectName, *columns: str) -> str:
        """As `doubt`, of some columns."""
        known = (self.columns.get((table.name, column)) for column in columns)
        return next((words for words in known if words), "") or self.doubt(table)

    def is_null(self, table: ObjectName, column: str) -> bool:
        """Whether the pending set has added the column and nothing but NULL is in it."""
        return self.columns.get((table.name, column)) == ""

    def earlier(self) -> tuple[Change, ...]:
        """Rows that were changed before, table by table."""
        if len(self._told) != len(self.changes):
            self._told = tuple(self.changes)
        return self._told

    def said(self, change: Change) -> str:
        """A change in words."""
        where = f"line {change.line}"
        if change.migration != self.migration:
            where = f"{change.migration}, line {change.line}"
        return f"{where} changes rows of {shown(change.table)} first"

    # What is told

    def passed(self, statement: Statement, insight: Insight) -> None:
        """A statement of any kind has been read."""
        if insight.search_path is not None or (insight.session and insight.kind == "RESET"):
            self.settings += (statement.text,)
        if insight.kind in _MAKES_TABLE:
            self._makes(statement, insight)
        elif insight.kind in ("CREATE TRIGGER", "CREATE RULE"):
            self.triggered |= {each.name for each in insight.touch.objects}
        elif insight.kind in _MOVES_ROWS:
            for each in insight.touch.objects:
                self._changed(each, statement)
        self._changes_rows(statement, insight)

    def _makes(self, statement: Statement, insight: Insight) -> None:
        if insight.kind == "SELECT INTO":
            self.made |= insight.touch.objects
            return
        made, only_if_missing = _made_by(statement.text)
        if made is None:
            return
        if only_if_missing:
            # It may be there already, and then its rows are today's; a table that is not there is found out later.
            return
        self.made.add(made)
        self.renamed.pop(made, None)

    def _changes_rows(self, statement: Statement, insight: Insight) -> None:
        where = f"line {statement.line}"
        for each in insight.touch.runs:
            if each.kind != "relation":
                if insight.kind.startswith(_DEFINES):
                    continue
                self.go_blind(f"{self.migration}, {where} calls {shown(each)}, which may change rows")
                continue
            if each.name in self.triggered:
                self.go_blind(f"{self.migration}, {where} fires triggers on {shown(each)}, which may change rows")
            self._changed(each, statement)
        if insight.touch.everything and not insight.kind.startswith(_DEFINES):
            reason = insight.touch.reasons[0] if insight.touch.reasons else f"{where} may change anything"
            self.go_blind(f"{self.migration}, {reason}")

    def _changed(self, table: ObjectName, statement: Statement) -> None:
        today = self.today(table)
        if not any(change.table == today for change in self.changes):
            self.changes.append(Change(table=today, migration=self.migration, line=statement.line))

    def moved(self, table: ObjectName, to: ObjectName) -> None:
        """A table has another name from here on."""
        if self.is_made(table):
            self.made.discard(table)
            self.made.add(to)
            return
        self.renamed[to] = self.today(table)
        for (name, column), words in list(self.columns.items()):
            if name == table.name:
                self.columns[to.name, column] = words

    def alters_column(self, table: ObjectName, column: str, words: str) -> None:
        """What `columns` is to say of it."""
        self.columns[table.name, column] = words

    def creates_type(self, kind: str, node: Node) -> None:
        """CREATE TYPE … AS ENUM, CREATE DOMAIN, ALTER TYPE."""
        if kind == "CompositeTypeStmt":
            name = relation(node["typevar"]).name
        else:
            name = qualified("type", strings(node["domainname" if "domainname" in node else "typeName"])).name
        self.types.add(name)
        if kind == "CreateEnumStmt":
            self.labels[name] = strings(node.get("vals", []))
        else:
            self.labels.pop(name, None)
        self.domains.pop(name, None)


def renaming(kind: str, node: Node) -> tuple[ObjectName, ObjectName] | None:
    """Old and new name of a table that is renamed or moved to another schema."""
    if "relation" not in node:
        return None
    old = relation(node["relation"])
    if kind == "RenameStmt" and node["renameType"] == "OBJECT_TABLE":
        return old, replace(old, name=node["newname"])
    if kind == "AlterObjectSchemaStmt" and node["objectType"] == "OBJECT_TABLE":
        return old, replace(old, schema=node["newschema"])
    return None


def _may_be(one: ObjectName, other: ObjectName) -> bool:
    return one.name == other.name and (one.schema is None or other.schema is None or one.schema == other.schema)


def _made_by(text: str) -> tuple[ObjectName | None, bool]:
    """The table that a CREATE makes, and whether only IF NOT EXISTS. Long statements are not read to their end."""
    words = _words(text)
    word = next(words, "")
    while word in _BEGINS or word == "foreign":
        word = next(words, "")
    only_if_missing = word == "if"
    if only_if_missing:
        next(words, ""), next(words, "")
        word = next(words, "")
    first, dot = _name(word), next(words, "")
    if not first:
        return None, False
    if dot != ".":
        return ObjectName(kind="relation", name=first), only_if_missing
    return ObjectName(kind="relation", name=_name(next(words, "")), schema=first), only_if_missing


def _words(text: str) -> Iterator[str]:
    try:
        for kind, start, end in significant(text, "postgresql"):
            yield fold(text[start:end]) if kind == "word" else text[start:end]
    except SqlSyntaxProblem:
        return


def _name(word: str) -> str:
    return unquoted(word) if re.match(r'[\w"]', word) else ""
