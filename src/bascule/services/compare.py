"""How many rows the tables that a migration writes to held before it and hold after it, and which columns changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bascule.domain.content import Content, compared
from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import ObjectName
from bascule.errors import TargetUnreachable
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.validation.counts import (
    MOST,
    SMALL,
    Counted,
    counts_sql,
    read_sizes,
    shown_name,
    sizes_sql,
    written_tables,
)

ONE = 0.25
"""Seconds for one count, and for all digests of one moment; what takes longer is not counted, or not digested."""
FREE, SHARE = 0.1, 0.05
"""Looking begins no more when it has taken so many seconds and this share of the time of the whole run."""


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The looks of one run of several migrations. A migration that writes no rows costs nothing."""

    context: Context
    _begun: float = 0.0
    _spent: float = 0.0
    _passed_over: str = ""
    _asked: tuple[tuple[ObjectName, ...], tuple[str, ...]] = ((), ())
    _before: dict[str, Counted] = field(default_factory=dict)
    _held: Mapping[str, Content] | str = ""
    """What the tables held before, by the names of `_before`; or why that could not be seen."""

    def before(self, planned: PlannedMigration) -> None:
        """The migration is about to run."""
        self._begun = self._begun or self.context.clock.monotonic()
        self._before, self._passed_over, self._held = {}, "", ""
        tables, settings = written_tables(planned, self.context.target.dialect)
        if not tables:
            return
        if self._spent > FREE + SHARE * (self.context.clock.monotonic() - self._begun):
            self._passed_over = "counting would have slowed the run down"
        elif len(tables) > MOST:
            self._passed_over = f"it writes to more than {MOST} tables"
        if self._passed_over:
            return
        self._asked = (tables, settings)
        self._before = self._count()
        self._held = self._digest() if self._before else ""

    def after(self, planned: PlannedMigration) -> dict[str, Any]:
        """The migration has run. Answers what its RUN reports; nothing where nothing was counted."""
        if self._passed_over:
            return {"rows": {}, "rowsNotCounted": self._passed_over}
        after = self._count() if self._before else {}
        holds = self._digest() if after else ""
        rows = {
            name: {"before": before.rows, "after": after[name].rows}
            | ({"estimated": True} if before.estimated or after[name].estimated else {})
            | self._content(name, holds)
            for name, before in self._before.items()
            if name in after
        }
        return {"rows": rows} if rows else {}

    def _content(self, name: str, holds: Mapping[str, Content] | str) -> dict[str, Any]:
        then = self._held
        if isinstance(then, str) or isinstance(holds, str):
            return {"digestsNotTaken": then if isinstance(then, str) else holds}
        return compared(then.get(name), holds.get(name))

    def _digest(self) -> Mapping[str, Content] | str:
        begun = self.context.clock.monotonic()
        tables, settings = self._asked
        try:
            found = self.context.target.contents(tables, most=SMALL, seconds=ONE, settings=settings)
        except (WorkFailed, TargetUnreachable) as failure:
            return failure.message
        finally:
            self._spent += self.context.clock.monotonic() - begun
        return {shown_name(table): content for table, content in found.items()}

    def _count(self) -> dict[str, Counted]:
        begun = self.context.clock.monotonic()
        try:
            return self._counted(*self._asked)
        except (WorkFailed, TargetUnreachable):
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
        known = (each for each in sizes.items() if each[1].rows is not None or not each[1].there)
        return {shown_name(table): counted for table, counted in known}
