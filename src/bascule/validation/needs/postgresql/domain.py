"""ALTER DOMAIN: what it demands of every column of that type; CREATE DOMAIN: which values are its own."""

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


def made(world: World, statement: Statement, node: Node) -> Condition | None:
    """CREATE DOMAIN: from a value to the condition that it is none of the domain's; None where that cannot be said."""
    if strings(node["typeName"]["names"])[-1] in world.types or "arrayBounds" in node["typeName"]:
        return None
    behind = Pieces(statement.text).after("domain")
    if behind is None:
        return None
    written = behind.without_first()
    if _first(written) == ".":
        written = written.without_first().without_first()
    if _first(written) == "as":
        written = written.without_first()
    base = written.before("collate", "default", "constraint", "not", "null", "check").text
    checks: list[Pieces] = []
    rest = written.after("check")
    while rest is not None:
        inside = rest.inside()
        if inside is None:
            return None
        checks.append(inside)
        rest = rest.after("check")
    kinds = {each["Constraint"]["contype"] for each in node.get("constraints", ())}

    def breaks(value: str) -> str:
        converted = f"{value}::{base}"
        parts = [f"NOT ({check.replaced('value', f'({converted})')}\n)" for check in checks]
        parts += [f"{converted} IS NULL"] if "CONSTR_NOTNULL" in kinds else []
        # Without a condition, it is computed for the sake of the error.
        return " OR ".join(parts) or f"pg_catalog.num_nonnulls({converted}) < 0"

    return breaks


def _first(written: Pieces) -> str:
    return next((text for _, text in written.words), "")


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
