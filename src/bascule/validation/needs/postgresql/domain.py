"""ALTER DOMAIN: what it demands of every column that has the domain for its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import Node, qualified, quoted, strings
from bascule.validation.needs.lookup import Lookup
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import column_words, need
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.rows import Rows
from bascule.validation.needs.writing import Source, literal, name

_COLUMNS = """SELECT n.nspname, c.relname, a.attname
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.atttypid = pg_catalog.to_regtype({type}) AND NOT a.attisdropped
  AND c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition
ORDER BY n.nspname, c.relname, a.attname"""
_CONSTRAINT = """SELECT pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
WHERE contypid = pg_catalog.to_regtype({type}) AND conname = {name} AND NOT convalidated"""

Condition = Callable[[str], str]
"""From a column's quoted name to what offends."""


def altered(world: World, statement: Statement, node: Node) -> Iterator[Need]:
    """SET NOT NULL, ADD CONSTRAINT, VALIDATE CONSTRAINT."""
    domain = qualified("type", strings(node["typeName"]))
    if domain.name in world.types:
        return
    what = node["subtype"]
    if what == "O":
        yield _each_column(world, statement, domain, "must not be NULL", "are NULL there", lambda it: f"{it} IS NULL")
    elif what == "C" and node["def"]["Constraint"]["contype"] == "CONSTR_CHECK":
        condition = _condition(Pieces(statement.text))
        if condition is None:
            return

        def asked(statement: Statement) -> list[Need]:
            words = "must pass its domain's new CHECK"
            return [_each_column(world, statement, domain, words, "break it", condition)]

        if node["def"]["Constraint"].get("skip_validation"):
            world.later[domain.name, node["def"]["Constraint"].get("conname", "")] = asked
        else:
            yield from asked(statement)
    elif what == "V":
        asked_then = world.later.get((domain.name, node["name"]))
        yield from asked_then(statement) if asked_then else [_validated(world, statement, domain, node["name"])]


def _condition(written: Pieces) -> Condition | None:
    behind = written.after("check")
    inside = behind.inside() if behind is not None else None
    return None if inside is None else lambda it: f"NOT ({inside.replaced('value', it)}\n)"


def _each_column(
    world: World, statement: Statement, domain: ObjectName, words: str, offence: str, offends: Condition
) -> Need:
    def found(asked: Need, rows: Sequence[tuple[Any, ...]]) -> list[Need]:
        return [of_column(asked, ObjectName(kind="relation", name=t, schema=s), c) for s, t, c in rows]

    def of_column(asked: Need, table: ObjectName, column: str) -> Need:
        question = Rows(source=Source(table=table), offends=offends(name(column)), columns=(column,))
        return replace(asked, table=table, words=f"{column_words(table, [column])} {words}", question=question)

    return need(
        world,
        statement,
        domain,
        words=f"columns of the domain {quoted(domain.name)} {words}",
        offence=offence,
        question=Lookup(sql=_COLUMNS.format(type=literal(_type(domain))), found=found),
        server_words=True,
    )


def _validated(world: World, statement: Statement, domain: ObjectName, constraint: str) -> Need:
    """One that the catalog has."""

    def found(asked: Need, rows: Sequence[tuple[Any, ...]]) -> list[Need]:
        if not rows:
            return []
        condition = _condition(Pieces(rows[0][0]))
        if condition is None:
            return []
        words = f"must pass its domain's CHECK {constraint}"
        each = _each_column(world, statement, domain, words, "break it", condition)
        return [replace(asked, words=each.words, question=each.question)]

    sql = _CONSTRAINT.format(type=literal(_type(domain)), name=literal(constraint))
    return need(
        world,
        statement,
        domain,
        words=f"constraint {constraint} of the domain {quoted(domain.name)} must hold",
        offence="break it",
        question=Lookup(sql=sql, found=found),
        server_words=True,
    )


def _type(domain: ObjectName) -> str:
    parts = (domain.name,) if domain.schema is None else (domain.schema, domain.name)
    return ".".join(map(name, parts))
