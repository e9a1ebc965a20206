"""ADD EXCLUDE."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, items, shown, strings
from bascule.validation.needs.need import Need
from bascule.validation.needs.overlaps import Overlaps
from bascule.validation.needs.postgresql.asking import columns_in, need, source
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.writing import name


def constraint(world: World, statement: Statement, table: ObjectName, node: Node, written: Pieces) -> Iterator[Need]:
    """No two rows for which all the operators hold."""
    behind = written.after("exclude")
    inside = behind.inside() if behind is not None else None
    pairs = [items(each) for each in node["exclusions"]]
    texts = inside.split() if inside is not None else []
    if behind is None or len(texts) != len(pairs):
        return
    where = behind.after("where") if "where_clause" in node else None
    condition = where.inside() if where is not None else None
    parts = tuple(_part(pair, text) for pair, text in zip(pairs, texts, strict=True))
    elements = [pair[0]["IndexElem"] for pair in pairs]
    named = [each["name"] for each in elements if "name" in each]
    columns = (*named, *columns_in([*(each.get("expr") for each in elements), node.get("where_clause")]))
    yield need(
        world,
        statement,
        table,
        words=f"rows of {shown(table)} must not exclude each other ({node.get('conname', 'EXCLUDE')})",
        offence="exclude another",
        question=Overlaps(
            source=source(world, table, children=None),
            parts=parts,
            columns=tuple(dict.fromkeys(columns)),
            where=condition.text if condition is not None else "",
        ),
        columns=columns,
    )


def _part(pair: list[Node], written: Pieces) -> tuple[str, str]:
    element = pair[0]["IndexElem"]
    expression = name(element["name"]) if "name" in element else written.expression()
    *schema, operator = strings(items(pair[1]))
    prefix = "".join(f"{name(part)}." for part in schema)
    return expression, f"OPERATOR({prefix}{operator})"
