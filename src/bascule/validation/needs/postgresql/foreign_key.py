"""ADD FOREIGN KEY."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, relation, shown, strings
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import column_words, need
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.references import References
from bascule.validation.needs.writing import Source


def constraint(
    world: World,
    statement: Statement,
    table: ObjectName,
    node: Node,
    *,
    child: Source | None = None,
    doubt: str = "",
) -> Iterator[Need]:
    """Every row that refers to another finds it. `child`: where the rows are read that refer, if not the table."""
    columns = strings(node.get("fk_attrs", []))
    parent = relation(node["pktable"])
    referenced = strings(node.get("pk_attrs", [])) or world.keys.get(parent.name, ())
    if any(world.is_null(table, column) for column in columns):
        return
    made = world.is_made(parent)
    doubt = doubt or (world.doubt(parent) if made else world.doubt_of(parent, *referenced))
    yield need(
        world,
        statement,
        table,
        words=f"{column_words(table, columns)} must refer to rows of {shown(parent)}",
        offence="refer to none",
        question=References(
            child=child or Source(table=world.today(table), children=None),
            columns=columns,
            parent=None if made else Source(table=world.today(parent), children=None),
            parent_columns=referenced,
            full=node.get("fk_matchtype") == "f",
        ),
        columns=columns,
        doubt=doubt or _temporal(node),
    )


def _temporal(node: Node) -> str:
    """PERIOD refers to ranges that cover, not to rows that are equal."""
    return "PERIOD is not looked at" if node.get("fk_with_period") else ""
