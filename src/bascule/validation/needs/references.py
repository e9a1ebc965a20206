"""Rows that refer to a row which is not there: FOREIGN KEY."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import SAMPLE
from bascule.validation.needs.writing import Source, key_and, name, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Children without a parent."""

    child: Source
    columns: tuple[str, ...]
    parent: Source | None
    """None: the table is made by the pending migrations, and nobody fills it before; whoever refers to it offends."""
    parent_columns: tuple[str, ...] = ()
    """Empty: its primary key."""
    full: bool = False
    """MATCH FULL: all of the columns or none."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.child.table,) if self.parent is None else (self.child.table, self.parent.table)

    def count(self, facts: Facts) -> str | None:
        if self.parent is not None and not facts.of(self.parent.table).exists:
            # Without the parent the statement fails whatever the rows are; the server says so better.
            return None
        if len(self._referenced(facts)) != len(self.columns):
            return None
        return f"{self.child.before()}SELECT count(*) FROM {self._orphans(facts)}"

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return key_and(self.columns, self.child, facts)

    def sample(self, facts: Facts) -> str:
        columns = ", ".join(shown(f"child.{name(column)}", facts.dialect) for column in self.heading(facts))
        order = ", ".join(f"child.{name(column)}" for column in self.child.key(facts)) or "1"
        return f"{self.child.before()}SELECT {columns} FROM {self._orphans(facts)} ORDER BY {order} LIMIT {SAMPLE}"

    def _referenced(self, facts: Facts) -> tuple[str, ...]:
        if self.parent is None:
            return self.columns
        return self.parent_columns or facts.of(self.parent.table).key

    def _orphans(self, facts: Facts) -> str:
        whole = " AND ".join(f"child.{name(column)} IS NOT NULL" for column in self.columns)
        offends = f"{whole}{self._missing(facts)}"
        if self.full and len(self.columns) > 1:
            some = " OR ".join(f"child.{name(column)} IS NOT NULL" for column in self.columns)
            offends = f"({offends}) OR (({some}) AND NOT ({whole}))"
        return f"{self.child.rows(facts, 'child')} WHERE {offends}"

    def _missing(self, facts: Facts) -> str:
        if self.parent is None:
            return ""
        pairs = zip(self._referenced(facts), self.columns, strict=True)
        same = " AND ".join(f"parent.{name(theirs)} = child.{name(ours)}" for theirs, ours in pairs)
        return f" AND NOT EXISTS (SELECT 1 FROM {self.parent.rows(facts)} AS parent WHERE {same})"
