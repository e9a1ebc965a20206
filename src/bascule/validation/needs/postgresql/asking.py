"""Making a need of what a statement demands, in the world that the statements before it have left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, shown, strings
from bascule.validation.needs.need import Need, Question
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.writing import Source


def need(
    world: World,
    statement: Statement,
    table: ObjectName,
    *,
    words: str,
    offence: str,
    question: Question,
    columns: Sequence[str] = (),
    others: Sequence[ObjectName] = (),
    doubt: str = "",
    **more: Any,
) -> Need:
    """`columns`: those of `table` on which it depends; `others`: other tables on which it does."""
    others_doubt = next(filter(None, map(world.doubt, others)), "")
    doubts = (doubt, world.doubt_of(table, *columns), others_doubt, _not_there_yet(world, table, columns))
    return Need(
        migration=world.migration,
        path=world.path,
        line=statement.line,
        table=world.today(table),
        words=words,
        offence=offence,
        question=question,
        doubt=next(filter(None, doubts), ""),
        earlier=world.earlier(),
        settings=world.settings,
        **more,
    )


def source(world: World, table: ObjectName, *, children: bool | None = True) -> Source:
    """The rows of a table as it is today, under the name by which the statement knows it."""
    today = world.today(table)
    return Source(table=today, children=children, alias="" if today.name == table.name else table.name)


def column_words(table: ObjectName, columns: Sequence[str]) -> str:
    """``t.a`` or ``t (a, b)``."""
    return f"{shown(table)}.{columns[0]}" if len(columns) == 1 else f"{shown(table)} ({', '.join(columns)})"


def columns_in(node: Any) -> Iterator[str]:
    """The columns that an expression names."""
    if isinstance(node, list):
        for each in node:
            yield from columns_in(each)
    elif isinstance(node, dict):
        if "ColumnRef" in node:
            yield from strings(field for field in node["ColumnRef"]["fields"][-1:] if "String" in field)
        else:
            for each in node.values():
                yield from columns_in(each)


def constraints(column: Node) -> dict[str, Node]:
    """The constraints of a column's definition by their kind."""
    return {each["Constraint"]["contype"]: each["Constraint"] for each in column.get("constraints", [])}


def _not_there_yet(world: World, table: ObjectName, columns: Sequence[str]) -> str:
    added = [column for column in columns if world.is_null(table, column)]
    return f"the pending migrations add {column_words(table, added)} first" if added else ""
