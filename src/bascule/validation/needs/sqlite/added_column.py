"""ALTER TABLE … ADD COLUMN."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bascule.domain.statement import Statement
from bascule.validation.needs.filled import HasRows
from bascule.validation.needs.need import Need
from bascule.validation.needs.rows import Rows
from bascule.validation.needs.sqlite.definition import Column, Token, name_of, read_column, tokens_of
from bascule.validation.needs.sqlite.world import World, table
from bascule.validation.needs.writing import Source


def altered(world: World, statement: Statement) -> Iterator[Need]:
    """ADD COLUMN … NOT NULL needs an empty table or a default; renames are remembered."""
    tokens = tokens_of(statement.text)
    words = [token[1] for token in tokens]
    at = 2
    at += 2 if words[at + 1] == "." else 0
    of, at = name_of(tokens[at]), at + 1
    verb = words[at] if at < len(words) else ""
    if verb == "rename" and words[at + 1] == "to":
        _rename(world, of, name_of(tokens[at + 2]))
    elif verb == "rename":
        at += words[at + 1] == "column" and words[at + 3] == "to"
        new = name_of(tokens[at + 3])
        world.columns[of, new] = f"line {statement.line} renames {of}.{name_of(tokens[at + 1])} to it"
    elif verb == "add":
        at += 2 if words[at + 1] == "column" else 1
        definition = tokens[at:]
        column, checks = read_column(definition, statement.text)
        today = world.today(of)
        doubt = world.doubt(of)
        world.columns[of, column.name] = f"line {statement.line} adds {of}.{column.name} first"
        if today is not None and column.not_null and not column.fills:
            yield world.need(
                statement,
                today,
                words=f"{of}.{column.name} is NOT NULL, and no default fills it",
                offence="have no value for it",
                question=HasRows(source=Source(table=table(today))),
                doubt=doubt,
            )
        if today is not None and (value := _value(column, definition)) is not None:
            source = Source(table=table(today), alias="" if today == of else of, adds=(column.name, value))
            yield from _checked(world, statement, source, of, column.name, checks, doubt)


def _checked(
    world: World, statement: Statement, source: Source, of: str, column: str, checks: Sequence[str], doubt: str
) -> Iterator[Need]:
    for condition in checks:
        yield world.need(
            statement,
            source.table.name,
            words=f"CHECK ({' '.join(condition.split())}) must hold for the new {of}.{column}",
            offence="break it",
            question=Rows(source=source, offends=f"NOT ({condition}\n)", columns=(column,)),
            doubt=doubt,
        )


def _value(column: Column, definition: Sequence[Token]) -> str | None:
    """What the rows that are there will have, as the column's type makes it; None where only SQLite knows.

    CAST makes of a whole number, and of a text in a column of texts, what storing it there makes of it.
    """
    words = [token[1] for token in definition]
    if column.generated:
        return None
    if "default" not in words:
        return "NULL"
    first, *rest = words[words.index("default") + 1 :]
    number = re.fullmatch(r"[+-]?\d+", first + rest[0] if first in ("+", "-") and rest else first)
    if number is not None:
        return f"CAST({number[0]} AS {column.type})" if column.type else number[0]
    if first.startswith("'") and re.search("char|clob|text", column.type):
        return first
    return "NULL" if first == "null" else None


def _rename(world: World, old: str, new: str) -> None:
    today = world.today(old)
    if today is None:
        world.made[new] = world.made.pop(old, None)
        return
    world.renamed.pop(old, None)
    world.renamed[new] = today
    world.gone.add(old)
    world.gone.discard(new)
    for (name, column), words in list(world.columns.items()):
        if name == old:
            world.columns[new, column] = words
