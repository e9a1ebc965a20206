"""From a statement of SQLite to what it needs."""

from __future__ import annotations

import re

from bascule.domain.statement import Insight, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold
from bascule.sql.sqlite.words import Words
from bascule.validation.needs.need import Need
from bascule.validation.needs.sqlite import added_column, rebuild, unique
from bascule.validation.needs.sqlite.definition import read_table
from bascule.validation.needs.sqlite.world import World

_UNIQUE_INDEX = re.compile(r"\s*create\s+unique\s+index\b", re.IGNORECASE)
_ADDS = re.compile(r"\bnot\s+null\b|\bcheck\b", re.IGNORECASE)
_FILLS = re.compile(r"\bselect\b", re.IGNORECASE)
_CHANGES = ("INSERT", "UPDATE", "DELETE")


def may_ask(statement: Statement, insight: Insight) -> bool:
    """A first, quick look: whether the statement can need anything at all."""
    if insight.kind == "CREATE INDEX":
        return _UNIQUE_INDEX.match(statement.text) is not None
    if insight.kind == "ALTER TABLE":
        return _ADDS.search(statement.text) is not None
    return insight.kind == "INSERT" and _FILLS.search(statement.text) is not None


def read(world: World, statement: Statement, insight: Insight) -> list[Need]:
    """What it needs; the world has seen it afterwards."""
    try:
        return _read(world, statement, insight)
    except (SqlSyntaxProblem, IndexError):
        world.blind = world.blind or f"line {statement.line} cannot be read"
        return []


def _read(world: World, statement: Statement, insight: Insight) -> list[Need]:
    found: list[Need] = []
    kind = insight.kind
    if kind == "CREATE TABLE":
        _makes(world, statement)
    elif kind == "CREATE INDEX":
        found = list(unique.index(world, statement))
    elif kind == "ALTER TABLE":
        found = list(added_column.altered(world, statement))
    elif kind == "DROP TABLE":
        _drops(world, statement, insight)
    elif kind == "CREATE TRIGGER":
        world.triggered |= {each.name for each in insight.touch.objects}
    elif kind in _CHANGES:
        found = list(rebuild.filled(world, statement))
        world.changed(changed_table(statement), statement)
    if insight.touch.everything and kind != "CREATE VIRTUAL TABLE":
        world.blind = world.blind or f"{world.migration}, {insight.touch.reasons[0]}"
    return found


def _makes(world: World, statement: Statement) -> None:
    definition = read_table(statement.text)
    if definition is not None and definition.only_if_missing:
        return
    if definition is not None:
        world.made[definition.name] = definition
        return
    words = Words(statement.text)
    words.take("create")
    words.take_any("temp", "temporary")
    words.take("table")
    if not words.take("if", "not", "exists"):
        world.made[words.relation().name] = None


def _drops(world: World, statement: Statement, insight: Insight) -> None:
    for gone in insight.touch.objects:
        if world.made.pop(gone.name, None) is None:
            world.renamed.pop(gone.name, None)
            world.gone.add(gone.name)


def changed_table(statement: Statement) -> str:
    """The table whose rows an INSERT, UPDATE or DELETE changes."""
    words = Words(statement.text)
    if words.peek() == "with":
        words.skip_to("insert", "replace", "update", "delete")
    words.take_any("insert", "replace", "update", "delete")
    if words.take("or"):
        words.name()
    words.take_any("into", "from")
    return fold(words.relation().name)
