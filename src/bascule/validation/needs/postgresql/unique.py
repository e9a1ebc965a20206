"""UNIQUE, PRIMARY KEY, CREATE UNIQUE INDEX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, relation, shown, strings
from bascule.validation.needs.duplicates import Duplicates, Part
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import column_words, columns_in, need, source
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.rows import Rows, null
from bascule.validation.needs.writing import name

_SAME_EQUALITY = ("_pattern_ops", "_ops")


def constraint(
    world: World, statement: Statement, table: ObjectName, node: Node, *, children: bool = True
) -> Iterator[Need]:
    """A UNIQUE or PRIMARY KEY constraint; one that takes an index that is there needs nothing. `children` False: of a
    partitioned table alone, which has no rows itself.
    """
    divided = None if children else False
    columns = strings(node.get("keys", []))
    if "indexname" in node or not columns:
        return
    doubt = "WITHOUT OVERLAPS compares ranges, which is not looked at" if node.get("without_overlaps") else ""
    primary = node["contype"] == "CONSTR_PRIMARY"
    if primary:
        world.keys[table.name] = tuple(columns)
        from_ = source(world, table, children=divided)
        words = f"the primary key {column_words(table, columns)} must not be NULL"
        question = Rows(source=from_, offends=null(columns), columns=columns, unless_not_null=columns)
        yield need(world, statement, table, words=words, offence="are NULL there", question=question, columns=columns)
    distinct = not node.get("nulls_not_distinct")
    if distinct and any(world.is_null(table, column) for column in columns):
        return
    parts = tuple(Part(expression=name(column), label=column) for column in columns)
    yield _unique(world, statement, table, parts, columns, doubt=doubt, distinct=distinct, children=divided)


def index(world: World, statement: Statement, node: Node) -> Iterator[Need]:
    """CREATE UNIQUE INDEX, of columns and expressions, of all rows or of some."""
    table = relation(node["relation"])
    if not node.get("unique") or world.is_made(table):
        return
    pieces = Pieces(statement.text)
    on = pieces.after("on")
    inside = on.inside() if on is not None else None
    elements = [each["IndexElem"] for each in node["indexParams"]]
    written = inside.split() if inside is not None else []
    if len(written) != len(elements):
        return
    where = pieces.after("where") if "whereClause" in node else None
    parts = tuple(_part(element, text) for element, text in zip(elements, written, strict=True))
    strange = [each for each in elements if "opclass" in each and not _usual(each)]
    doubt = f"the operator class {strings(strange[0]['opclass'])[-1]} has an equality of its own" if strange else ""
    columns = (*(each["name"] for each in elements if "name" in each),)
    more: dict[str, Any] = {}
    if node.get("if_not_exists") and "idxname" in node:
        more["unless"] = ObjectName(kind="relation", name=node["idxname"], schema=table.schema)
    expressions = [node.get("whereClause"), *(each.get("expr") for each in elements)]
    if not node["relation"].get("inh"):
        more["children"] = False  # The index of a partitioned table alone has no rows in it.
    yield _unique(
        world,
        statement,
        table,
        parts,
        (*columns, *columns_in(expressions)),
        doubt=doubt,
        distinct=not node.get("nulls_not_distinct"),
        where=where.text if where is not None else "",
        **more,
    )


def _unique(
    world: World,
    statement: Statement,
    table: ObjectName,
    parts: tuple[Part, ...],
    columns: tuple[str, ...],
    *,
    doubt: str,
    distinct: bool,
    where: str = "",
    children: bool | None = None,
    **more: Any,
) -> Need:
    of = column_words(table, [part.label for part in parts])
    question = Duplicates(
        source=source(world, table, children=children), parts=parts, where=where, nulls_distinct=distinct
    )
    return need(
        world,
        statement,
        table,
        words=f"{of} must be unique" + (f" among the rows of {shown(table)} in the index" if where else ""),
        offence="share a value with another",
        question=question,
        columns=columns,
        doubt=doubt,
        **more,
    )


def _part(element: Node, written: Pieces) -> Part:
    expression = name(element["name"]) if "name" in element else written.expression()
    label = element["name"] if "name" in element else " ".join(expression.split())
    if "collation" in element:
        expression = f"({expression}) COLLATE {'.'.join(map(name, strings(element['collation'])))}"
    return Part(expression=expression, label=label)


def _usual(element: Node) -> bool:
    """Operator classes of PostgreSQL itself, under which the same values are equal as under the type's own."""
    return strings(element["opclass"])[-1].endswith(_SAME_EQUALITY)
