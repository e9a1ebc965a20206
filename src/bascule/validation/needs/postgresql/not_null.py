"""SET NOT NULL, NOT NULL constraints, and new columns that nothing fills."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, quoted, strings
from bascule.validation.needs.filled import HasRows
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import column_words, constraints, need, source
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.rows import Rows, null

_SERIALS = frozenset(
    ("serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"),
)


def set_not_null(
    world: World, statement: Statement, table: ObjectName, column: str, *, children: bool = True
) -> Iterator[Need]:
    """A column that must not hold NULL any more."""
    words = f"{column_words(table, [column])} must not be NULL"
    from_ = source(world, table, children=children)
    if world.is_null(table, column):
        question = HasRows(source=from_)
        words += ", and nothing fills the new column"
        yield need(world, statement, table, words=words, offence="would be NULL there", question=question)
        return
    yield need(
        world,
        statement,
        table,
        words=words,
        offence="are NULL there",
        question=Rows(source=from_, offends=null((column,)), columns=(column,), unless_not_null=(column,)),
        columns=(column,),
    )


def added_column(
    world: World, statement: Statement, table: ObjectName, column: Node, *, only_if_missing: bool, children: bool
) -> Iterator[Need]:
    """A new column: NOT NULL (or of a primary key) with nothing to fill it in the rows that are there."""
    found = constraints(column)
    default = found.get("CONSTR_DEFAULT")
    type_name = strings(column["typeName"]["names"])
    fills = (default is not None and not _is_null(default["raw_expr"])) or type_name[-1] in _SERIALS
    fills = fills or bool(found.keys() & {"CONSTR_IDENTITY", "CONSTR_GENERATED"})
    name = column["colname"]
    if fills or type_name[-1] in world.types:
        world.alters_column(table, name, f"line {statement.line} adds {column_words(table, [name])} first")
        return
    world.alters_column(table, name, "")
    more = {"unless_column": name} if only_if_missing else {}
    from_ = source(world, table, children=children)
    if found.keys() & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"}:
        own_type = type_name[0] != "pg_catalog" and default is None
        question = HasRows(source=from_, default_of=".".join(map(quoted, type_name)) if own_type else "")
        words = f"{column_words(table, [name])} is NOT NULL, and no default fills it"
        yield need(world, statement, table, words=words, offence="have no value for it", question=question, **more)
    elif found.get("CONSTR_UNIQUE", {}).get("nulls_not_distinct"):
        question = HasRows(source=from_, allowed=1)
        words = f"{column_words(table, [name])} must be unique, NULL included, and no default fills it"
        yield need(world, statement, table, words=words, offence="would share NULL", question=question, **more)


def _is_null(expression: Node) -> bool:
    """A default that says NULL, with a cast around it or not."""
    if "TypeCast" in expression:
        return _is_null(expression["TypeCast"]["arg"])
    return bool(expression.get("A_Const", {}).get("isnull"))
