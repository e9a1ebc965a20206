"""ADD CHECK."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, shown
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import columns_in, need, source
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.rows import Rows


def constraint(
    world: World, statement: Statement, table: ObjectName, node: Node, written: Pieces, *, children: bool
) -> Iterator[Need]:
    """A condition that no row may make false; NULL passes."""
    behind = written.after("check")
    condition = behind.inside() if behind is not None else None
    if condition is None:
        return
    columns = tuple(dict.fromkeys(columns_in(node.get("raw_expr"))))
    named = f" ({node['conname']})" if "conname" in node else ""
    yield need(
        world,
        statement,
        table,
        words=f"CHECK ({' '.join(condition.text.split())}) must hold in {shown(table)}{named}",
        offence="break it",
        question=Rows(
            source=source(world, table, children=children and not node.get("is_no_inherit")),
            offends=f"NOT ({condition.text}\n)",
            columns=columns,
        ),
        columns=columns,
        server_words=True,
    )
