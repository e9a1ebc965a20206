"""How many rows the tables that a migration writes to held before it, and hold after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import ObjectName
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.validation.counts import Counted, counts_sql, read_sizes, sizes_sql, written_tables

ONE = 0.25
"""Seconds for one count; a table that takes longer is not counted."""
FREE, SHARE = 0.1, 0.05
"""Counting begins no more when it has taken so many seconds and this share of the time of the whole run."""


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The counts of one run of several migrations. A migration that writes no rows costs nothing."""

    context: Context
    _begun: float = 0.0
    _spent: float = 0.0
    _passed_over: bool = False
    _asked: tuple[tuple[ObjectName, ...], tuple[str, ...]] = ((), ())
    _before: dict[str, Counted] = field(default_factory=dict)

    def before(self, planned: PlannedMigration) -> None:
        """The migration is about to run."""
        self._begun = self._begun or self.context.clock.monotonic()
        self._before, self._passed_over = {}, False
        tables, settings = written_tables(planned, self.context.target.dialect)
        if not tables:
            return
        if self._spent > FREE + SHARE * (self.context.clock.monotonic() - self._begun):
            self._passed_over = True
            return
        self._asked = (tables, settings)
        self._before = self._count()

    def after(self, planned: PlannedMigration) -> dict[str, Any]:
        """The migration has run. Answers what its RUN reports; nothing where nothing was counted."""
        if self._passed_over:
            return {"rows": {}, "rowsNotCounted": "counting would have slowed the run down"}
        after = self._count() if self._before else {}
        rows = {
            name: {"before": before.rows, "after": after[name].rows}
            | ({"estimated": True} if before.estimated or after[name].estimated else {})
            for name, before in self._before.items()
            if name in after
        }
        return {"rows": rows} if rows else {}

    def _count(self) -> dict[str, Counted]:
        begun = self.context.clock.monotonic()
        try:
            return self._counted(*self._asked)
        except WorkFailed:
            # Counts are for the report alone; that they cannot be had must not keep a run from going on.
            return {}
        finally:
            self._spent += self.context.clock.monotonic() - begun

    def _counted(self, tables: tuple[ObjectName, ...], settings: tuple[str, ...]) -> dict[str, Counted]:
        target = self.context.target
        sizes = read_sizes(tables, target.query(sizes_sql(tables, target.dialect), seconds=ONE, settings=settings))
        small = tuple(table for table, counted in sizes.items() if counted.rows is None and counted.there)
        if small:
            ((*numbers,),) = target.query(counts_sql(small, target.dialect), seconds=ONE, settings=settings)
            sizes |= {table: Counted(rows=number, there=True) for table, number in zip(small, numbers, strict=True)}
        # Too many rows to be counted, and nobody estimates them.
        return {
            _shown(table): counted for table, counted in sizes.items() if counted.rows is not None or not counted.there
        }


def _shown(table: ObjectName) -> str:
    return table.name if table.schema is None else f"{table.schema}.{table.name}"
