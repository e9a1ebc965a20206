"""Rows that share what must be unique: UNIQUE, PRIMARY KEY, CREATE UNIQUE INDEX."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import SAMPLE
from bascule.validation.needs.writing import Source, name, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A column or an expression of the key."""

    expression: str
    """SQL, a column's name quoted, with its COLLATE."""
    label: str
    """For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Groups of more than one row."""

    source: Source
    parts: tuple[Part, ...]
    where: str = ""
    """Of a partial index: which rows are in it."""
    nulls_distinct: bool = True
    comes_from: tuple[ObjectName, str] | None = None
    """The table and column of which the values are a copy: where that is the whole primary key, nothing can offend."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.source.table,) if self.comes_from is None else (self.source.table, self.comes_from[0])

    def count(self, facts: Facts) -> str | None:
        if self.comes_from is not None and facts.of(self.comes_from[0]).key == (self.comes_from[1],):
            return None
        groups = f"SELECT count(*) AS n FROM {self._shared(facts)}"
        return f"{self.source.before()}SELECT coalesce(sum(n), 0) FROM ({groups}) AS shared"

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return (*(part.label for part in self.parts), "rows", *self._first_key(facts))

    def sample(self, facts: Facts) -> str:
        values = ", ".join(shown(part.expression, facts.dialect) for part in self.parts)
        keys = "".join(f", {shown(f'min({name(column)})', facts.dialect)}" for column in self._first_column(facts))
        count = shown("count(*)", facts.dialect)
        return (
            f"{self.source.before()}SELECT {values}, {count}{keys} FROM {self._shared(facts)} "
            f"ORDER BY count(*) DESC, 1 LIMIT {SAMPLE}"
        )

    def _first_column(self, facts: Facts) -> tuple[str, ...]:
        """The key of one of the rows, where the key is one column that can be compared."""
        key = facts.of(self.source.table).key if not self.source.query else ()
        return key if len(key) == 1 and key[0] not in {part.label for part in self.parts} else ()

    def _first_key(self, facts: Facts) -> tuple[str, ...]:
        return tuple(f"first {column}" for column in self._first_column(facts))

    def _shared(self, facts: Facts) -> str:
        conditions = [f"({self.where}\n)"] if self.where else []
        if self.nulls_distinct:
            conditions += [f"({part.expression}) IS NOT NULL" for part in self.parts]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        groups = ", ".join(f"({part.expression})" for part in self.parts)
        return f"{self.source.rows(facts)}{where} GROUP BY {groups} HAVING count(*) > 1"
