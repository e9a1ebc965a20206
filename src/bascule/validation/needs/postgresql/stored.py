"""VALIDATE CONSTRAINT, of a constraint that the pending set adds or that the catalog has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bascule.domain.statement import ObjectName, Statement
from bascule.sql.postgres.tree import shown
from bascule.validation.needs.lookup import Lookup
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql.asking import need
from bascule.validation.needs.postgresql.world import World
from bascule.validation.needs.writing import literal, name, table_name

# One that the catalog has as valid is not looked at again by the server either.
_DEFINITION = """SELECT pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
WHERE conrelid = pg_catalog.to_regclass({table}) AND conname = {name} AND NOT convalidated"""

Reader = Callable[[World, Statement], Sequence[Need]]
"""What an ALTER TABLE needs."""


def validated(world: World, statement: Statement, table: ObjectName, constraint: str, read: Reader) -> Iterator[Need]:
    """What the constraint would have needed, had it not been added NOT VALID."""
    if (asked := world.later.get((table.name, constraint))) is not None:
        yield from asked(statement)
        return
    today = world.today(table)

    def found(asked: Need, rows: Sequence[tuple[Any, ...]]) -> list[Need]:
        return [_as_asked(each, asked) for (definition,) in rows for each in _read(definition)]

    def _read(definition: str) -> Sequence[Need]:
        written = definition.rstrip().removesuffix("NOT VALID")
        text = f"ALTER TABLE {table_name(today)} ADD CONSTRAINT {name(constraint)} {written}"
        return read(World(), replace(statement, text=text))

    yield need(
        world,
        statement,
        table,
        words=f"constraint {constraint} of {shown(table)} must hold",
        offence="break it",
        question=Lookup(
            sql=_DEFINITION.format(table=literal(table_name(today)), name=literal(constraint)), found=found
        ),
    )


def _as_asked(found: Need, asked: Need) -> Need:
    """The need that was found, standing where the one that asked stood."""
    return replace(
        found,
        migration=asked.migration,
        path=asked.path,
        doubt=asked.doubt,
        earlier=asked.earlier,
        settings=asked.settings,
    )
