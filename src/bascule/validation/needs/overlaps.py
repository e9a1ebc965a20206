"""Rows that exclude each other: EXCLUDE."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import SAMPLE
from bascule.validation.needs.writing import Source, key_and, name, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """Rows for which another row is there that all operators hold with."""

    source: Source
    parts: tuple[tuple[str, str], ...]
    """Expression and operator, as in ``OPERATOR(pg_catalog.&&)``."""
    columns: tuple[str, ...] = ()
    where: str = ""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.source.table,)

    def count(self, facts: Facts) -> str | None:
        return f"{self._both(facts)}SELECT count(*) FROM {self._excluded()}"

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return key_and(self.columns, self.source, facts)

    def sample(self, facts: Facts) -> str:
        heading = self.heading(facts)
        columns = ", ".join(shown(f"one.shown_{number}", facts.dialect) for number in range(len(heading)))
        order = ", ".join(f"one.shown_{number}" for number in range(len(self.source.key(facts))))
        return f"{self._both(facts)}SELECT {columns} FROM {self._excluded()} ORDER BY {order} LIMIT {SAMPLE}"

    def _both(self, facts: Facts) -> str:
        """Expressions name columns of the one table, so they are computed before the rows meet each other."""
        shown_ = [f"{name(column)} AS shown_{number}" for number, column in enumerate(self.heading(facts))]
        parts = [f"({expression}\n) AS part_{number}" for number, (expression, _) in enumerate(self.parts)]
        where = f" WHERE ({self.where}\n)" if self.where else ""
        place = ["tableoid AS place_1", "ctid AS place_2"]
        return f"WITH asked AS (SELECT {', '.join((*shown_, *parts, *place))} FROM {self.source.rows(facts)}{where})\n"

    def _excluded(self) -> str:
        same = " AND ".join(
            f"one.part_{number} {operator} other.part_{number}" for number, (_, operator) in enumerate(self.parts)
        )
        itself = "(one.place_1, one.place_2) <> (other.place_1, other.place_2)"
        return f"asked AS one WHERE EXISTS (SELECT 1 FROM asked AS other WHERE {itself} AND {same})"
