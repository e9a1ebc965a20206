"""New partitions: rows that they would bring in or take over from the default partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, relation, shown
from bascule.sql.sqlite.words import unquoted
from bascule.validation.needs.lookup import Lookup
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import need
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.rows import Rows
from bascule.validation.needs.writing import Source, literal, table_name

# The key's definition reads ``RANGE (a, lower(b))``.
_KEY = """SELECT pg_catalog.pg_get_partkeydef(p.partrelid), n.nspname, d.relname
FROM pg_catalog.pg_partitioned_table AS p LEFT JOIN pg_catalog.pg_class AS d ON d.oid = p.partdefid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.relnamespace
WHERE p.partrelid = pg_catalog.to_regclass({table})"""
_NO_VALUE = ("minvalue", "maxvalue")


def made(world: World, statement: Statement, node: Node) -> Iterator[Need]:
    """CREATE TABLE … PARTITION OF."""
    parent, new = relation(node["inhRelations"][0]["RangeVar"]), relation(node["relation"])
    more = {"unless": new} if node.get("if_not_exists") else {}
    yield from _beside_default(world, statement, parent, new, node["partbound"], Pieces(statement.text), **more)


def attached(world: World, statement: Statement, parent: ObjectName, node: Node, written: Pieces) -> Iterator[Need]:
    """ATTACH PARTITION: the rows that come have to belong there."""
    new, bound = relation(node["name"]), node["bound"]
    yield from _beside_default(world, statement, parent, new, bound, written)
    values = _values(bound, written)
    if values is None or world.is_made(new):
        return
    today = world.today(new)

    def found(asked: Need, rows: Sequence[tuple[Any, ...]]) -> list[Need]:
        made = []
        for definition, *_ in rows:
            inside, columns = _belongs(definition, bound, values)
            question = Rows(source=Source(table=today), offends=f"({inside}) IS NOT TRUE", columns=columns)
            made.append(replace(asked, table=today, question=question))
        return made

    yield need(
        world,
        statement,
        parent,
        words=f"rows of {shown(new)} must belong to it as a partition of {shown(parent)}",
        offence="do not belong to it",
        question=Lookup(sql=_key_of(world, parent), found=found),
        others=(new,),
    )


def _beside_default(
    world: World, statement: Statement, parent: ObjectName, new: ObjectName, bound: Node, written: Pieces, **more: Any
) -> Iterator[Need]:
    values = _values(bound, written)
    if values is None or world.is_made(parent):
        return

    def found(asked: Need, rows: Sequence[tuple[Any, ...]]) -> list[Need]:
        made = []
        for definition, schema, table in rows:
            if table is None:
                continue
            inside, columns = _belongs(definition, bound, values)
            default = ObjectName(kind="relation", name=table, schema=schema)
            question = Rows(source=Source(table=default), offends=inside, columns=columns)
            words = f"rows of {shown(default)}, the default partition, must not belong to the new {shown(new)}"
            made.append(replace(asked, table=default, words=words, question=question))
        return made

    yield need(
        world,
        statement,
        parent,
        words=f"rows of the default partition of {shown(parent)} must not belong to the new {shown(new)}",
        offence="belong to it",
        question=Lookup(sql=_key_of(world, parent), found=found),
        **more,
    )


def _key_of(world: World, parent: ObjectName) -> str:
    return _KEY.format(table=literal(table_name(world.today(parent))))


Values = tuple[list[str], list[str]]
"""Of a list the values, and nothing; of a range its lower and its upper bounds."""


def _values(bound: Node, written: Pieces) -> Values | None:
    """As they were written; None for a default partition, and for those by hash, which stand beside none."""
    behind = written.after("values")
    if behind is None or bound.get("is_default"):
        return None
    match bound.get("strategy"):
        case "l":
            return _listed(behind.after("in")), []
        case "r":
            return _listed(behind.after("from")), _listed(behind.after("to"))
    return None


def _listed(behind: Pieces | None) -> list[str]:
    inside = behind.inside() if behind is not None else None
    return [each.text for each in inside.split()] if inside is not None else []


def _belongs(definition: str, bound: Node, values: Values) -> tuple[str, tuple[str, ...]]:
    """The condition that a row belongs to the partition, and the columns of the key that are shown."""
    inside = Pieces(definition).inside()
    keys = [each.text for each in inside.split()] if inside is not None else []
    columns = tuple(unquoted(key) for key in keys if key.isidentifier() or key.startswith('"'))
    if bound["strategy"] == "l":
        return _in_list(keys[0], values[0]), columns
    conditions = [f"({key}) IS NOT NULL" for key in keys]
    conditions += _bounded(keys, values[0], {"": ">=", "minvalue": ">=", "maxvalue": ">"})
    conditions += _bounded(keys, values[1], {"": "<", "minvalue": "<", "maxvalue": "<="})
    return " AND ".join(conditions), columns


def _in_list(key: str, values: Sequence[str]) -> str:
    given = [value for value in values if value.lower() != "null"]
    conditions = [f"({key}) IN ({', '.join(given)})"] if given else []
    conditions += [f"({key}) IS NULL"] if len(given) < len(values) else []
    return f"({' OR '.join(conditions)})"


def _bounded(keys: Sequence[str], values: Sequence[str], signs: dict[str, str]) -> list[str]:
    """One side of a range: what stands behind the first MINVALUE or MAXVALUE does not count."""
    first = next((at for at, value in enumerate(values) if value.lower() in _NO_VALUE), len(values))
    ending = values[first].lower() if first < len(values) else ""
    if not first:
        # A range from MAXVALUE, or to MINVALUE, the server does not take.
        return []
    left, right = (", ".join(f"({each})" for each in some[:first]) for some in (keys, values))
    return [f"ROW({left}) {signs[ending]} ROW({right})"]
