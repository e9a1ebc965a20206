"""Rows that each offend by themselves: NOT NULL, CHECK, a narrower type."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import SAMPLE
from bascule.validation.needs.writing import Source, key_and, name, select_shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Those for which a condition is true."""

    source: Source
    offends: str
    """The condition, in the source's columns."""
    columns: tuple[str, ...] = ()
    """Columns shown beside the key."""
    unless_not_null: tuple[str, ...] = ()
    """Where the catalog says that none of these holds NULL, nothing can offend."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.source.table,)

    def count(self, facts: Facts) -> str | None:
        known = facts.of(self.source.table).columns
        if self.unless_not_null and all(column in known and known[column].not_null for column in self.unless_not_null):
            return None
        return f"{self.source.before()}SELECT count(*) FROM {self.source.rows(facts)} WHERE {self.offends}"

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return key_and(self.columns, self.source, facts)

    def sample(self, facts: Facts) -> str:
        order = ", ".join(map(name, self.source.key(facts))) or "1"
        return (
            f"{self.source.before()}SELECT {select_shown(self.heading(facts), facts)} FROM {self.source.rows(facts)} "
            f"WHERE {self.offends} ORDER BY {order} LIMIT {SAMPLE}"
        )


def null(columns: tuple[str, ...]) -> str:
    """The condition that one of these is NULL."""
    return " OR ".join(f"{name(column)} IS NULL" for column in columns)
