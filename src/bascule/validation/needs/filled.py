"""A table that must have no rows (or only few): a new column cannot be filled in them."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import SAMPLE
from bascule.validation.needs.writing import Source, literal, name, select_shown

MOST = 1000
"""Rows beyond which they are not counted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HasRows:
    """All rows offend, if there are more than `allowed`."""

    source: Source
    allowed: int = 0
    default_of: str = ""
    """PostgreSQL: a type which, where it has a default of its own, fills the column."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.source.table,)

    def count(self, facts: Facts) -> str | None:
        few = f"(SELECT 1 FROM {self.source.rows(facts)} LIMIT {MOST + 1}) AS few"
        found = f"CASE WHEN count(*) > {self.allowed} THEN count(*) ELSE 0 END"
        if not self.default_of:
            return f"SELECT {found} FROM {few}"
        # A type that is not there today fills nothing and fails by itself; that is no need of the rows.
        fills = (
            "SELECT 1 FROM pg_catalog.pg_type t "
            f"WHERE t.oid = pg_catalog.to_regtype({literal(self.default_of)}) AND t.typdefault IS NULL"
        )
        return f"SELECT CASE WHEN EXISTS ({fills}) THEN {found} ELSE 0 END FROM {few}"

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return self.source.key(facts)

    def sample(self, facts: Facts) -> str:
        key = self.source.key(facts)
        order = ", ".join(map(name, key))
        rows = self.source.rows(facts)
        return f"SELECT {select_shown(key, facts)} FROM {rows} ORDER BY {order} LIMIT {SAMPLE}"
