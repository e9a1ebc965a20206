"""ALTER TABLE … ADD COLUMN."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import Statement
from bascule.validation.needs.filled import HasRows
from bascule.validation.needs.need import Need
from bascule.validation.needs.sqlite.definition import name_of, read_column, tokens_of
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
        column, _ = read_column(tokens[at:], statement.text)
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
