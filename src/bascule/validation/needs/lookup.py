"""Needs that only the catalog can spell out: a constraint that is there already, the columns of a domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import Need


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Stands for other needs until `sql` is answered."""

    sql: str
    found: Callable[[Need, Sequence[tuple[Any, ...]]], Sequence[Need]]
    """From the need that asked, and the rows, to the needs that stand in its place."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return ()

    def count(self, facts: Facts) -> str | None:
        return None

    def sample(self, facts: Facts) -> str:
        return ""

    def heading(self, facts: Facts) -> tuple[str, ...]:
        return ()
